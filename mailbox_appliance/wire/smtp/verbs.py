"""The table of SMTP's commands: when each may be said, how its argument is read, what it does.

RFC 5321 §4.1 (commands) and §4.1.4 (their order), RFC 3030 §2 (BDAT), RFC 3207 §4 (STARTTLS), RFC 4954 §4 (AUTH),
RFC 2033 §4.1 (LHLO). A new command is a new row and a function; a function gives the event that the session must hear
of, says the reply itself, or raises GrammarError with the reply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.smtp import answers, grammar, mistakes
from mailbox_appliance.wire.smtp.claims import parse_xclient
from mailbox_appliance.wire.smtp.conversation import Conversation
from mailbox_appliance.wire.smtp.events import Begin, Claim, Event, Hello, Mail, Quit, Rcpt, Reset, StartTls
from mailbox_appliance.wire.smtp.states import COMMAND_STATES, State
from mailbox_appliance.wire.smtp.terms import capabilities, offered_keywords


@dataclass(frozen=True, slots=True)
class Verb:
    """A row of the table. ``wrong`` answers in states not allowed; ``before_tls``: also where TLS is demanded.

    ``lmtp``: True in LMTP only, False everywhere else only, None everywhere.
    """

    allowed: frozenset[State]
    act: Callable[[Conversation, Any], Event | None]
    read: Callable[[str], Any] = str
    wrong: Reply = answers.OUT_OF_ORDER
    before_tls: bool = False
    lmtp: bool | None = None


def _ehlo(talk: Conversation, name: str) -> Event:
    talk.state = State.READY
    talk.extended = True
    lines = [f"{talk.terms.hostname} at your service"]
    lines += [f"{keyword} {argument}".rstrip() for keyword, argument in capabilities(talk.terms, talk.tls)]
    talk.say_idly(Reply(250, "", "\n".join(lines)))
    return Hello(name, True)


def _helo(talk: Conversation, name: str) -> Event:
    talk.state = State.READY
    talk.extended = False
    talk.say_idly(Reply(250, "", talk.terms.hostname))
    return Hello(name, False)


def _xclient(talk: Conversation, text: str) -> Event:
    if not talk.terms.xclient:
        raise mistakes.GrammarError(answers.NO_XCLIENT)
    return talk.owe(Claim(parse_xclient(text)))


def _mail(talk: Conversation, text: str) -> Event:
    if talk.terms.service.needs_auth and not talk.logged_in:
        raise mistakes.GrammarError(answers.AUTH_FIRST)
    return talk.owe(Mail(grammar.parse_mail(text, _offered(talk))))


def _rcpt(talk: Conversation, text: str) -> Event:
    return talk.owe(Rcpt(grammar.parse_rcpt(text, _offered(talk), talk.smtputf8)))


def _offered(talk: Conversation) -> frozenset[str]:
    return offered_keywords(talk.terms, talk.tls) if talk.extended else frozenset()


def _begin_data(talk: Conversation, nothing: None) -> Event:
    return talk.owe(Begin(chunked=False))


def _bdat(talk: Conversation, arguments: grammar.ChunkArguments) -> Event | None:
    talk.chunk = arguments
    too_large = talk.is_too_large(arguments)
    if too_large is not None:
        return too_large
    if talk.state is State.RCPT:
        return talk.owe(Begin(chunked=True))
    talk.chunks.expect(arguments.size, arguments.last)
    talk.state = State.CHUNK
    return None


def _rset(talk: Conversation, nothing: None) -> Event:
    if talk.state is not State.START:
        talk.state = State.READY
    talk.say_idly(answers.OK)
    return Reset()


def _noop(talk: Conversation, text: str) -> None:
    talk.say_idly(answers.OK)


def _help(talk: Conversation, text: str) -> None:
    talk.say_idly(answers.HELP)


def _vrfy(talk: Conversation, text: str) -> None:
    talk.say_idly(answers.VRFY)


def _expn(talk: Conversation, text: str) -> None:
    talk.complain(answers.EXPN)


def _quit(talk: Conversation, nothing: None) -> Event:
    talk.say(answers.BYE)
    talk.state = State.CLOSED
    return Quit()


def _starttls(talk: Conversation, nothing: None) -> Event | None:
    if talk.tls:
        talk.complain(answers.TLS_ALREADY)
    elif not (talk.terms.service.offers_tls and talk.terms.tls_available):
        talk.complain(answers.NO_TLS)
    elif talk.incoming:
        talk.cut_off(answers.INJECTED, "sent octets behind STARTTLS")
    else:
        return talk.owe(StartTls())
    return None


def _auth(talk: Conversation, arguments: grammar.AuthArguments) -> Event | None:
    if not talk.terms.service.offers_auth:
        talk.complain(answers.NO_AUTH)
    elif talk.logged_in:
        talk.complain(answers.AUTH_ALREADY)
    else:
        return talk.authenticated(talk.authentication.begin(arguments, talk.terms.mechanisms, talk.bindings))
    return None


VERBS: dict[bytes, Verb] = {
    b"EHLO": Verb(COMMAND_STATES, _ehlo, grammar.parse_hello, before_tls=True, lmtp=False),
    b"HELO": Verb(COMMAND_STATES, _helo, grammar.parse_hello, before_tls=True, lmtp=False),
    b"LHLO": Verb(COMMAND_STATES, _ehlo, grammar.parse_hello, before_tls=True, lmtp=True),
    b"MAIL": Verb(frozenset({State.READY}), _mail),
    b"RCPT": Verb(frozenset({State.MAIL, State.RCPT}), _rcpt),
    b"DATA": Verb(frozenset({State.RCPT}), _begin_data, grammar.no_argument),
    b"BDAT": Verb(frozenset({State.RCPT, State.CHUNKS}), _bdat, grammar.parse_bdat),
    b"RSET": Verb(COMMAND_STATES, _rset, grammar.no_argument, before_tls=True),
    b"NOOP": Verb(COMMAND_STATES, _noop, before_tls=True),
    b"QUIT": Verb(COMMAND_STATES, _quit, grammar.no_argument, before_tls=True),
    b"HELP": Verb(COMMAND_STATES, _help, before_tls=True),
    b"VRFY": Verb(COMMAND_STATES, _vrfy, grammar.some_argument),
    b"EXPN": Verb(COMMAND_STATES, _expn, grammar.some_argument),
    b"STARTTLS": Verb(frozenset({State.READY}), _starttls, grammar.no_argument, before_tls=True),
    b"XCLIENT": Verb(frozenset({State.START, State.READY}), _xclient),
    b"AUTH": Verb(frozenset({State.READY}), _auth, grammar.parse_auth),
}
