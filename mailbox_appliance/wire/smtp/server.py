"""The server's machine of SMTP: octets in, events and replies out; no wires, no clock, no decisions.

RFC 5321 §4 (commands, order, replies), RFC 2920 (pipelining), RFC 3030 (BDAT), RFC 3207 (STARTTLS), RFC 4954 (AUTH),
RFC 2033 (LMTP).

Every conversation is in one State (see ``states``). The verbs stand in the table VERBS: in which states each may be
said, how its argument is read, what it does. Every command gets exactly one reply: from here when the table or the
grammar refuses it, else from the session, which must ``answer`` an owed event before it may ask for the next one.
(Content under LMTP or PRDR is the exception: each accepted recipient gets its own reply.)
Replies gather in ``take_output`` so that a burst of commands is answered by one write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.users import ScramKeys
from mailbox_appliance.wire.sasl import Challenge
from mailbox_appliance.wire.scram import Bindings, no_bindings
from mailbox_appliance.wire.smtp import answers, grammar
from mailbox_appliance.wire.smtp.authentication import Authentication, Step
from mailbox_appliance.wire.smtp.claims import parse_xclient
from mailbox_appliance.wire.smtp.commands import Fault, Incoming
from mailbox_appliance.wire.smtp.events import (
    Begin,
    Claim,
    Content,
    CutOff,
    Event,
    Hello,
    KeysWanted,
    LogIn,
    LogInConfirmed,
    Mail,
    Quit,
    Rcpt,
    Reset,
    StartTls,
)
from mailbox_appliance.wire.smtp.flows import ChunkFlow, DataFlow
from mailbox_appliance.wire.smtp.states import COMMAND_STATES, State
from mailbox_appliance.wire.smtp.terms import Terms, capabilities, offered_keywords

_HTTP_VERBS = frozenset(b"GET POST HEAD PUT DELETE OPTIONS CONNECT TRACE PATCH PRI".split())
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Verb:
    """A row of the table. ``wrong`` answers in states not allowed; ``before_tls``: also where TLS is demanded.

    ``lmtp``: True in LMTP only, False everywhere else only, None everywhere.
    """

    allowed: frozenset[State]
    act: Callable[[Server, Any], Event | None]
    read: Callable[[str], Any] = str
    wrong: Reply = answers.OUT_OF_ORDER
    before_tls: bool = False
    lmtp: bool | None = None


class Server:
    """One conversation. Feed ``receive``, then take events by ``next_event`` until it gives None."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.bindings: Bindings = no_bindings  # the session sets it when TLS stands
        self.state = State.BANNER
        self.tls = terms.service.implicit_tls
        self.logged_in = False
        self.extended = False
        self._incoming = Incoming()
        self._out: list[bytes] = []
        self._owed: Event | None = None
        self._news: Event | None = None
        self._errors = 0
        self._smtputf8 = False
        self._prdr = False
        self._taken = 0  # recipients accepted in this transaction
        self._commands_only = False
        self._authentication = Authentication()
        self._flow: DataFlow | ChunkFlow = DataFlow()
        self._chunks = ChunkFlow()
        self._chunk = grammar.ChunkArguments(0, False)
        self._swallow_left = 0
        self._after_swallowing: tuple[Reply, State] = (answers.OUT_OF_ORDER, State.READY)
        self._swallowed_is_error = False

    # ---------------------------------------------------------------- the session's side

    def receive(self, octets: bytes) -> None:
        """Take what the network gave. The session bounds how much that is before it asks for events."""
        if self.state is not State.CLOSED:
            self._incoming.add(octets)

    def burst_ends(self) -> None:
        """Everything the network gave was fed: what comes now was sent by a peer that may have read our replies."""
        self._commands_only = False

    @property
    def closed(self) -> bool:
        """The last word was said: flush and close."""
        return self.state is State.CLOSED

    @property
    def owes(self) -> bool:
        """An event waits for its answer."""
        return self._owed is not None

    @property
    def in_content(self) -> bool:
        """Octets of a message are flowing."""
        return self.state in (State.DATA, State.CHUNK, State.SWALLOW)

    def take_output(self) -> bytes:
        """Everything said since the last call."""
        if not self._out:
            return b""
        octets = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return octets

    @property
    def answers_each(self) -> bool:
        """This content is answered for each recipient: LMTP (RFC 2033 §4.2), or PRDR was asked for."""
        return self._prdr or self.terms.service.lmtp

    def greet(self, reply: Reply, *, early: bool = False) -> None:
        """Say the banner; a peer that has talked already is sent away (RFC 5321 §3.1). Not 220 ends it, too.

        ``early``: this one may (PIPECONNECT).
        """
        if self._incoming and not early:
            self._cut_off(answers.EARLY, "talked before the greeting")
            return
        self._say(reply)
        self.state = State.START if reply.is_positive else State.CLOSED

    def tls_started(self) -> None:
        """TLS stands: everything learnt in clear is forgotten (RFC 3207 §4.2)."""
        self._incoming.clear()
        self.tls = True
        self.state = State.START
        self.logged_in = self.extended = self._commands_only = False

    def say_last(self, reply: Reply) -> None:
        """Say 421 out of turn and end (RFC 5321 §3.8): idle too long, or the service stops."""
        if self.state is not State.CLOSED:
            self._say(reply)
            self.state = State.CLOSED

    def answer(self, reply: Reply) -> None:
        """The one reply to the owed event."""
        owed = self._owed
        if owed is None:
            raise RuntimeError("no event waits for an answer")
        self._owed = None
        if reply.code == 421:
            self._say(reply)
            self.state = State.CLOSED
            return
        if reply.code >= 500 and isinstance(owed, Mail | LogIn) and self._is_one_too_many():
            return
        good = reply.code < 400
        if isinstance(owed, Rcpt):
            if good:
                self.state = State.RCPT
                self._taken += 1
        elif isinstance(owed, Mail):
            if good:
                self.state = State.MAIL
                self._smtputf8 = owed.arguments.smtputf8
                self._prdr = owed.arguments.prdr
                self._taken = 0
        elif isinstance(owed, Begin):
            self._answer_begin(owed, reply)
            return
        elif isinstance(owed, Content):
            self.state = State.READY if owed.message_ends else State.CHUNKS if good else State.FAILED
            if owed.message_ends and self.terms.service.lmtp:
                for _ in range(self._taken - 1):
                    self._say(reply)
        elif isinstance(owed, LogIn | LogInConfirmed):
            self.logged_in = good
        elif isinstance(owed, StartTls):
            self.state = State.TLS if good else State.CLOSED
        elif isinstance(owed, Claim) and good:
            self.state = State.START
            self.extended = False
        self._say(reply)

    def keys(self, keys: ScramKeys) -> None:
        """The answer to KeysWanted: the exchange goes on."""
        self._settle(KeysWanted)
        self._authenticated(self._authentication.keys(keys))

    def prove(self, outcome: Challenge) -> None:
        """The answer to a LogIn that was proven and is good: we prove that we know the password, too."""
        self._settle(LogIn)
        self._authenticated(self._authentication.prove(outcome))

    def _settle(self, kind: type[Event]) -> None:
        if not isinstance(self._owed, kind):
            raise RuntimeError(f"no {kind.__name__} waits for this")
        self._owed = None

    def answer_each(self, replies: Sequence[Reply], overall: Reply) -> None:
        """The replies to the end of the content: one for each RCPT that was accepted, in order.

        PRDR frames them by 353 and ``overall``; a single ``answer`` would stand for all of them there.
        """
        owed = self._owed
        if not isinstance(owed, Content) or not owed.message_ends or len(replies) != self._taken:
            raise RuntimeError("each recipient is answered once, after the content")
        self._owed = None
        self.state = State.READY
        if self._prdr:
            replies = (answers.EACH_FOLLOWS, *replies, overall)
        for reply in replies:
            self._say(reply)

    def _answer_begin(self, begin: Begin, reply: Reply) -> None:
        good = reply.code < 400
        if begin.chunked:
            if good:
                self._flow = self._chunks = ChunkFlow()
                self._chunks.expect(self._chunk.size, self._chunk.last)
                self.state = State.CHUNK
            else:
                self._swallow(self._chunk.size, reply, State.READY if self._chunk.last else State.FAILED)
            return
        if good:
            self._flow = DataFlow()
            self.state = State.DATA
        else:
            self.state = State.READY
            self._commands_only = True
        self._say(reply)

    def next_event(self) -> Event | None:
        """What happened next; None when more octets are needed (or nothing more will come)."""
        if self._owed is not None:
            raise RuntimeError(f"{self._owed!r} waits for its answer")
        while True:
            if self._news is not None:
                news, self._news = self._news, None
                return news
            read = _READERS.get(self.state)
            if read is None:
                return None
            state, waiting = self.state, len(self._incoming)
            event = read(self)
            if event is not None:
                return event
            if self.state is state and len(self._incoming) == waiting:
                return None

    # ---------------------------------------------------------------- words

    def _say(self, reply: Reply) -> None:
        self._out.append(reply.octets())

    def _cut_off(self, reply: Reply, reason: str) -> None:
        self._say(reply)
        self.state = State.CLOSED
        self._news = CutOff(reason)

    def _is_one_too_many(self) -> bool:
        self._errors += 1
        if self._errors < self.terms.errors:
            return False
        self._cut_off(answers.TOO_MANY_ERRORS, "too many errors")
        return True

    def _complain(self, reply: Reply) -> None:
        """Refuse a command; after too many of them the reply is 421 instead."""
        if not self._is_one_too_many():
            self._say(reply)

    # ---------------------------------------------------------------- lines

    def _read_command(self) -> Event | None:
        line = self._incoming.take_line(self.terms.command_line, self.terms.auth_line)
        if isinstance(line, bytes):
            return self._command(line)
        if line is not None and not self._is_http(line[1]):
            self._complain(answers.LINE_LENGTH if line[0] is Fault.TOO_LONG else answers.LINE_END)
        return None

    def _read_response(self) -> Event | None:
        line = self._incoming.take_line(self.terms.auth_line, self.terms.auth_line)
        if line is None:
            return None
        if isinstance(line, bytes):
            return self._authenticated(self._authentication.respond(line))
        self.state = State.READY
        self._complain(answers.AUTH_LENGTH if line[0] is Fault.TOO_LONG else answers.LINE_END)
        return None

    def _is_http(self, line: bytes) -> bool:
        if line.partition(b" ")[0].upper() not in _HTTP_VERBS:
            return False
        self._cut_off(answers.HTTP, "speaks HTTP")
        return True

    def _command(self, line: bytes) -> Event | None:
        word, _, rest = line.partition(b" ")
        verb = VERBS.get(word.upper())
        if verb is None or verb.lmtp is (not self.terms.service.lmtp):
            self._unknown(word)
            return None
        try:
            argument = verb.read(_text_of(rest))
        except grammar.GrammarError as error:
            if word.upper() == b"BDAT":
                # Where the next command begins, nobody knows: going on would run content as commands.
                self._cut_off(error.reply, "BDAT without a readable size")
            else:
                self._complain(error.reply)
            return None
        if self.terms.service.needs_tls and not self.tls and not verb.before_tls:
            self._refuse(verb, answers.TLS_FIRST, argument)
            return None
        if self.state not in verb.allowed:
            self._refuse(verb, answers.HELLO_FIRST if self.state is State.START else verb.wrong, argument)
            return None
        try:
            return verb.act(self, argument)
        except grammar.GrammarError as error:
            self._complain(error.reply)
            return None

    def _unknown(self, word: bytes) -> None:
        if self._is_http(word):
            return
        if self._commands_only:
            self._cut_off(answers.UNSYNCHRONIZED, "sent content though DATA was refused")
            return
        self._complain(answers.UNKNOWN if word.isalnum() and word.isascii() else answers.NOT_A_COMMAND)

    def _refuse(self, verb: Verb, reply: Reply, argument: object) -> None:
        if isinstance(argument, grammar.ChunkArguments):
            reply = answers.RSET_FIRST if self.state is State.FAILED else reply
            self._swallow(argument.size, reply, self.state, complain=True)
            return
        if verb is VERBS[b"DATA"]:
            self._commands_only = True
            if self.state is State.MAIL:
                reply = answers.NO_RECIPIENTS_LMTP if self.terms.service.lmtp else answers.NO_RECIPIENTS
        self._complain(reply)

    # ---------------------------------------------------------------- what each verb does

    def _ehlo(self, name: str) -> Event:
        self.state = State.READY
        self.extended = True
        lines = [f"{self.terms.hostname} at your service"]
        lines += [f"{keyword} {argument}".rstrip() for keyword, argument in capabilities(self.terms, self.tls)]
        self._say(Reply(250, "", "\n".join(lines)))
        return Hello(name, True)

    def _helo(self, name: str) -> Event:
        self.state = State.READY
        self.extended = False
        self._say(Reply(250, "", self.terms.hostname))
        return Hello(name, False)

    def _xclient(self, text: str) -> Event:
        if not self.terms.xclient:
            raise grammar.GrammarError(answers.NO_XCLIENT)
        return self._owe(Claim(parse_xclient(text)))

    def _mail(self, text: str) -> Event:
        if self.terms.service.needs_auth and not self.logged_in:
            raise grammar.GrammarError(answers.AUTH_FIRST)
        return self._owe(Mail(grammar.parse_mail(text, self._offered())))

    def _rcpt(self, text: str) -> Event:
        return self._owe(Rcpt(grammar.parse_rcpt(text, self._offered(), self._smtputf8)))

    def _offered(self) -> frozenset[str]:
        return offered_keywords(self.terms, self.tls) if self.extended else frozenset()

    def _begin_data(self, nothing: None) -> Event:
        return self._owe(Begin(chunked=False))

    def _bdat(self, arguments: grammar.ChunkArguments) -> Event | None:
        self._chunk = arguments
        if self.state is State.RCPT:
            return self._owe(Begin(chunked=True))
        self._chunks.expect(arguments.size, arguments.last)
        self.state = State.CHUNK
        return None

    def _rset(self, nothing: None) -> Event:
        if self.state is not State.START:
            self.state = State.READY
        self._say(answers.OK)
        return Reset()

    def _noop(self, text: str) -> None:
        self._say(answers.OK)

    def _help(self, text: str) -> None:
        self._say(answers.HELP)

    def _vrfy(self, text: str) -> None:
        self._say(answers.VRFY)

    def _expn(self, text: str) -> None:
        self._complain(answers.EXPN)

    def _quit(self, nothing: None) -> Event:
        self._say(answers.BYE)
        self.state = State.CLOSED
        return Quit()

    def _starttls(self, nothing: None) -> Event | None:
        if self.tls:
            self._complain(answers.TLS_ALREADY)
        elif not (self.terms.service.offers_tls and self.terms.tls_available):
            self._complain(answers.NO_TLS)
        elif self._incoming:
            self._cut_off(answers.INJECTED, "sent octets behind STARTTLS")
        else:
            return self._owe(StartTls())
        return None

    def _auth(self, arguments: grammar.AuthArguments) -> Event | None:
        if not self.terms.service.offers_auth:
            self._complain(answers.NO_AUTH)
        elif self.logged_in:
            self._complain(answers.AUTH_ALREADY)
        else:
            return self._authenticated(self._authentication.begin(arguments, self.terms.mechanisms, self.bindings))
        return None

    def _authenticated(self, step: Step) -> Event | None:
        """One step further: a challenge, the end, or a refusal."""
        self.state = State.READY
        if isinstance(step, LogIn | KeysWanted | LogInConfirmed):
            return self._owe(step)
        if step.is_positive:
            self.state = State.SASL
            self._say(step)
        else:
            self._complain(step)
        return None

    def _owe(self, event: Event) -> Event:
        self._owed = event
        return event

    # ---------------------------------------------------------------- content

    def _read_content(self) -> Event | None:
        content = self._flow.read(self._incoming)
        if content is not None and (content.message_ends or content.chunk_ends):
            self._owed = content
        return content

    def _swallow(self, size: int, reply: Reply, after: State, *, complain: bool = False) -> None:
        self.state = State.SWALLOW
        self._swallow_left = size
        self._after_swallowing = (reply, after)
        self._swallowed_is_error = complain

    def _skip_chunk(self) -> Event | None:
        self._swallow_left -= self._incoming.skip(self._swallow_left)
        if not self._swallow_left:
            reply, self.state = self._after_swallowing
            if self._swallowed_is_error:
                self._complain(reply)
            else:
                self._say(reply)
        return None


def _text_of(octets: bytes) -> str:
    """An argument as text: UTF-8 without controls. Raises GrammarError."""
    try:
        text = octets.decode("utf-8").strip(" ")
    except UnicodeDecodeError:
        raise grammar.GrammarError(answers.NOT_TEXT) from None
    if not text.isprintable() and _CONTROL.search(text):
        raise grammar.GrammarError(answers.NOT_TEXT)
    return text


# How octets are read; in the states not named nothing is.
_READERS: dict[State, Callable[[Server], Event | None]] = {
    **dict.fromkeys(COMMAND_STATES, Server._read_command),
    State.SASL: Server._read_response,
    State.DATA: Server._read_content,
    State.CHUNK: Server._read_content,
    State.SWALLOW: Server._skip_chunk,
}

# The commands. A new one is a new row.
VERBS: dict[bytes, Verb] = {
    b"EHLO": Verb(COMMAND_STATES, Server._ehlo, grammar.parse_hello, before_tls=True, lmtp=False),
    b"HELO": Verb(COMMAND_STATES, Server._helo, grammar.parse_hello, before_tls=True, lmtp=False),
    b"LHLO": Verb(COMMAND_STATES, Server._ehlo, grammar.parse_hello, before_tls=True, lmtp=True),
    b"MAIL": Verb(frozenset({State.READY}), Server._mail),
    b"RCPT": Verb(frozenset({State.MAIL, State.RCPT}), Server._rcpt),
    b"DATA": Verb(frozenset({State.RCPT}), Server._begin_data, grammar.no_argument),
    b"BDAT": Verb(frozenset({State.RCPT, State.CHUNKS}), Server._bdat, grammar.parse_bdat),
    b"RSET": Verb(COMMAND_STATES, Server._rset, grammar.no_argument, before_tls=True),
    b"NOOP": Verb(COMMAND_STATES, Server._noop, before_tls=True),
    b"QUIT": Verb(COMMAND_STATES, Server._quit, grammar.no_argument, before_tls=True),
    b"HELP": Verb(COMMAND_STATES, Server._help, before_tls=True),
    b"VRFY": Verb(COMMAND_STATES, Server._vrfy, grammar.some_argument),
    b"EXPN": Verb(COMMAND_STATES, Server._expn, grammar.some_argument),
    b"STARTTLS": Verb(frozenset({State.READY}), Server._starttls, grammar.no_argument, before_tls=True),
    b"XCLIENT": Verb(frozenset({State.START, State.READY}), Server._xclient),
    b"AUTH": Verb(frozenset({State.READY}), Server._auth, grammar.parse_auth),
}
