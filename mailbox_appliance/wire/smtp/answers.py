"""What the server's machine says by itself, word for word: nothing here ever holds an octet of the client's."""

from __future__ import annotations

from mailbox_appliance.mail.reply import Reply

OK = Reply(250, "2.0.0", "Ok")
BYE = Reply(221, "2.0.0", "Bye")
HELP = Reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH; see RFC 5321")
VRFY = Reply(252, "2.1.5", "Not told here; send the mail and see")
EXPN = Reply(502, "5.5.1", "EXPN is not offered")

UNKNOWN = Reply(500, "5.5.1", "Command not known")
NOT_A_COMMAND = Reply(500, "5.5.2", "This is no command line")
LINE_END = Reply(500, "5.5.2", "A command line ends with CR LF")
LINE_LENGTH = Reply(500, "5.5.2", "Line too long")
AUTH_LENGTH = Reply(500, "5.5.6", "Authentication line too long")
NOT_TEXT = Reply(500, "5.5.2", "Control characters or invalid UTF-8 in a command")

HELLO_FIRST = Reply(503, "5.5.1", "Say EHLO first")
OUT_OF_ORDER = Reply(503, "5.5.1", "Not now: wrong order of commands")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
RSET_FIRST = Reply(503, "5.5.1", "A chunk was refused; say RSET")

TLS_FIRST = Reply(530, "5.7.0", "Say STARTTLS first")
TLS_ALREADY = Reply(503, "5.5.1", "TLS is on already")
NO_TLS = Reply(454, "4.7.0", "TLS is not available now")

AUTH_FIRST = Reply(530, "5.7.0", "Authentication required")
NO_AUTH = Reply(502, "5.5.1", "AUTH is not offered here")
AUTH_ALREADY = Reply(503, "5.5.1", "You are logged in already")
MECHANISM = Reply(504, "5.5.4", "This mechanism is not offered")
AUTH_MALFORMED = Reply(501, "5.5.2", "Malformed authentication exchange")
AUTH_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")

NO_RECIPIENTS_LMTP = Reply(503, "5.5.1", "No valid recipients")  # RFC 2033 §4.2
NO_XCLIENT = Reply(550, "5.7.0", "XCLIENT is not for you")
CHUNK_TOO_LARGE = Reply(552, "5.3.4", "Message too large")
EACH_FOLLOWS = Reply(353, "", "A reply for each recipient follows, then one for all")

# The last words of a conversation.
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, closing")
NO_MESSAGE = Reply(421, "4.7.0", "Too many commands without a message, closing")
EARLY = Reply(554, "5.5.1", "You talk before the greeting, closing")
HTTP = Reply(554, "5.5.1", "This is SMTP, closing")
UNSYNCHRONIZED = Reply(554, "5.5.1", "What follows is no command, closing")
INJECTED = Reply(554, "5.5.1", "Nothing may follow STARTTLS before TLS, closing")
