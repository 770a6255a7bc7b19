"""What a session says itself, beside the machine's own answers (``wire.smtp.answers``); RFC 5321 §4.2, RFC 3463."""

from __future__ import annotations

from mailbox_appliance.mail.reply import Reply

SENDER_OK = Reply(250, "2.1.0", "Sender ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient ok")
GO_AHEAD = Reply(354, "", "Send the message, end it with a line of one dot")
CHUNK_OK = Reply(250, "2.0.0", "Chunk taken")
TLS_GO_AHEAD = Reply(220, "2.0.0", "Begin TLS")
FAULT = Reply(451, "4.3.0", "Something went wrong here, try again later")
MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients, send the others in another message")
MANY_UNKNOWN = Reply(421, "4.7.0", "Too many unknown recipients, closing")
WEAK_PASSWORD = Reply(
    550, "5.7.1", "Your password is guessed easily, so it sends from your home network only: change it (see your INBOX)"
)
MAY_NOT_SEND = Reply(550, "5.7.1", "Sending is switched off for this account")
HOLD_TOO_LONG = Reply(501, "5.5.4", "A message is not held for so long here")
BANNED = Reply(421, "4.7.0", "Too many failures from your address, try again later")
IDLE = Reply(421, "4.4.2", "Nothing was said for too long, closing")
WITHDRAWN = Reply(421, "4.7.0", "Your password has changed or your account has ended: log in again")
TOO_SLOW = Reply(421, "4.4.2", "The message comes too slowly, closing")
TOO_LONG = Reply(421, "4.7.0", "No message for too long, closing")
MANY_PUT_OFF = Reply(421, "4.7.0", "Too many refused recipients, closing")
STOPPING = Reply(421, "4.3.2", "The service is going down, come back soon")
