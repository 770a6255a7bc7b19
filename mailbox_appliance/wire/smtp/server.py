"""The server's machine of SMTP: octets in, events and replies out; no wires, no clock, no decisions.

RFC 5321 §4 (commands, order, replies), RFC 2920 (pipelining), RFC 3030 (BDAT), RFC 3207 (STARTTLS), RFC 4954 (AUTH),
RFC 2033 (LMTP).

Every conversation is in one State (see ``states``). ``verbs`` holds the table of commands, ``conversation`` what they
act on; here is how lines and content are read, and what the session's answers mean. Every command gets exactly one
reply: from here when the table or the grammar refuses it, else from the session, which must ``answer`` an owed event
before it may ask for the next one. (Content under LMTP or PRDR is the exception: each accepted recipient gets its own
reply.) Replies gather in ``take_output`` so that a burst of commands is answered by one write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.users import ScramKeys
from mailbox_appliance.wire.sasl import Challenge
from mailbox_appliance.wire.smtp import answers, grammar, mistakes
from mailbox_appliance.wire.smtp.commands import Fault
from mailbox_appliance.wire.smtp.conversation import Conversation
from mailbox_appliance.wire.smtp.events import (
    Begin,
    Claim,
    Content,
    Event,
    KeysWanted,
    LogIn,
    LogInConfirmed,
    Mail,
    Rcpt,
    StartTls,
)
from mailbox_appliance.wire.smtp.flows import ChunkFlow, DataFlow
from mailbox_appliance.wire.smtp.states import COMMAND_STATES, State
from mailbox_appliance.wire.smtp.terms import Terms
from mailbox_appliance.wire.smtp.verbs import VERBS, Verb

_HTTP_VERBS = frozenset(b"GET POST HEAD PUT DELETE OPTIONS CONNECT TRACE PATCH PRI".split())
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Server(Conversation):
    """One conversation. Feed ``receive``, then take events by ``next_event`` until it gives None."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._prdr = False
        self._flow: DataFlow | ChunkFlow = DataFlow()

    # ---------------------------------------------------------------- the session's side

    def receive(self, octets: bytes) -> None:
        """Take what the network gave. The session bounds how much that is before it asks for events."""
        if self.state is not State.CLOSED:
            self.incoming.add(octets)

    def burst_ends(self) -> None:
        """Everything the network gave was fed: what comes now was sent by a peer that may have read our replies."""
        self.commands_only = False

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

    @property
    def answers_each(self) -> bool:
        """This content is answered for each recipient: LMTP (RFC 2033 §4.2), or PRDR was asked for."""
        return self._prdr or self.terms.service.lmtp

    def greet(self, reply: Reply, *, early: bool = False) -> None:
        """Say the banner; a peer that has talked already is sent away (RFC 5321 §3.1). Not 220 ends it, too.

        ``early``: this one may (PIPECONNECT).
        """
        if self.incoming and not early:
            self.cut_off(answers.EARLY, "talked before the greeting")
            return
        self.say(reply)
        self.state = State.START if reply.is_positive else State.CLOSED

    def tls_started(self) -> None:
        """TLS stands: everything learnt in clear is forgotten (RFC 3207 §4.2)."""
        self.incoming.clear()
        self.tls = True
        self.state = State.START
        self.logged_in = self.extended = self.commands_only = False

    def say_last(self, reply: Reply) -> None:
        """Say 421 out of turn and end (RFC 5321 §3.8): idle too long, or the service stops."""
        if self.state is not State.CLOSED:
            self.say(reply)
            self.state = State.CLOSED

    def answer(self, reply: Reply) -> None:
        """The one reply to the owed event."""
        owed = self._owed
        if owed is None:
            raise RuntimeError("no event waits for an answer")
        self._owed = None
        if reply.code == 421:
            self.say(reply)
            self.state = State.CLOSED
            return
        if reply.code >= 500 and isinstance(owed, Mail | LogIn) and self.is_one_too_many():
            return
        good = reply.code < 400
        if 400 <= reply.code < 500 and isinstance(owed, Mail) and self.is_stalling():
            return
        if isinstance(owed, Rcpt):
            if good:
                self.state = State.RCPT
                self._taken += 1
        elif isinstance(owed, Mail):
            if good:
                self.state = State.MAIL
                self.smtputf8 = owed.arguments.smtputf8
                self._prdr = owed.arguments.prdr
                self._taken = 0
        elif isinstance(owed, Begin):
            self._answer_begin(owed, reply)
            return
        elif isinstance(owed, Content):
            self.state = State.READY if owed.message_ends else State.CHUNKS if good else State.FAILED
            self._message_over(owed.message_ends and good)
            if owed.message_ends and self.terms.service.lmtp:
                for _ in range(self._taken - 1):
                    self.say(reply)
        elif isinstance(owed, LogIn | LogInConfirmed):
            self.logged_in = good
        elif isinstance(owed, StartTls):
            self.state = State.TLS if good else State.CLOSED
        elif isinstance(owed, Claim) and good:
            self.state = State.START
            self.extended = False
            self._stalls = 0
        self.say(reply)

    def keys(self, keys: ScramKeys) -> None:
        """The answer to KeysWanted: the exchange goes on."""
        self._settle(KeysWanted)
        self.authenticated(self.authentication.keys(keys))

    def prove(self, outcome: Challenge) -> None:
        """The answer to a LogIn that was proven and is good: we prove that we know the password, too."""
        self._settle(LogIn)
        self.authenticated(self.authentication.prove(outcome))

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
        self._message_over(overall.is_positive)
        if self._prdr:
            replies = (answers.EACH_FOLLOWS, *replies, overall)
        for reply in replies:
            self.say(reply)

    def _message_over(self, accepted: bool) -> None:
        """An accepted message is what a peer is here for: what it says from now on is counted anew."""
        if accepted:
            self._stalls = 0

    def _answer_begin(self, begin: Begin, reply: Reply) -> None:
        good = reply.code < 400
        if begin.chunked:
            if good:
                self._flow = self.chunks = ChunkFlow()
                self.chunks.expect(self.chunk.size, self.chunk.last)
                self.state = State.CHUNK
            else:
                self.swallow(self.chunk.size, reply, State.READY if self.chunk.last else State.FAILED)
            return
        if good:
            self._flow = DataFlow()
            self.state = State.DATA
        else:
            self.state = State.READY
            self.commands_only = True
        self.say(reply)

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
            state, waiting = self.state, len(self.incoming)
            event = read(self)
            if event is not None:
                return event
            if self.state is state and len(self.incoming) == waiting:
                return None

    # ---------------------------------------------------------------- lines

    def _read_command(self) -> Event | None:
        line = self.incoming.take_line(self.terms.command_line, self.terms.auth_line)
        if isinstance(line, bytes):
            return self._command(line)
        if line is not None and not self._is_http(line[1]):
            self.complain(answers.LINE_LENGTH if line[0] is Fault.TOO_LONG else answers.LINE_END)
        return None

    def _read_response(self) -> Event | None:
        line = self.incoming.take_line(self.terms.auth_line, self.terms.auth_line)
        if line is None:
            return None
        if isinstance(line, bytes):
            return self.authenticated(self.authentication.respond(line))
        self.state = State.READY
        self.complain(answers.AUTH_LENGTH if line[0] is Fault.TOO_LONG else answers.LINE_END)
        return None

    def _is_http(self, line: bytes) -> bool:
        if line.partition(b" ")[0].upper() not in _HTTP_VERBS:
            return False
        self.cut_off(answers.HTTP, "speaks HTTP")
        return True

    def _command(self, line: bytes) -> Event | None:
        word, _, rest = line.partition(b" ")
        verb = VERBS.get(word.upper())
        if verb is None or verb.lmtp is (not self.terms.service.lmtp):
            self._unknown(word)
            return None
        try:
            argument = verb.read(_text_of(rest))
        except mistakes.GrammarError as error:
            if word.upper() == b"BDAT":
                # Where the next command begins, nobody knows: going on would run content as commands.
                self.cut_off(error.reply, "BDAT without a readable size")
            else:
                self.complain(error.reply)
            return None
        if self.terms.service.needs_tls and not self.tls and not verb.before_tls:
            self._refuse(verb, answers.TLS_FIRST, argument)
            return None
        if self.state not in verb.allowed:
            self._refuse(verb, answers.HELLO_FIRST if self.state is State.START else verb.wrong, argument)
            return None
        try:
            return verb.act(self, argument)
        except mistakes.GrammarError as error:
            self.complain(error.reply)
            return None

    def _unknown(self, word: bytes) -> None:
        if self._is_http(word):
            return
        if self.commands_only:
            self.cut_off(answers.UNSYNCHRONIZED, "sent content though DATA was refused")
            return
        self.complain(answers.UNKNOWN if word.isalnum() and word.isascii() else answers.NOT_A_COMMAND)

    def _refuse(self, verb: Verb, reply: Reply, argument: object) -> None:
        if isinstance(argument, grammar.ChunkArguments):
            reply = answers.RSET_FIRST if self.state is State.FAILED else reply
            self.swallow(argument.size, reply, self.state, complain=True)
            return
        if verb is VERBS[b"DATA"]:
            self.commands_only = True
            if self.state is State.MAIL:
                reply = answers.NO_RECIPIENTS_LMTP if self.terms.service.lmtp else answers.NO_RECIPIENTS
        self.complain(reply)

    # ---------------------------------------------------------------- content

    def _read_content(self) -> Event | None:
        content = self._flow.read(self.incoming)
        if content is not None and (content.message_ends or content.chunk_ends):
            self._owed = content
        return content


def _text_of(octets: bytes) -> str:
    """An argument as text: UTF-8 without controls. Raises GrammarError."""
    try:
        text = octets.decode("utf-8").strip(" ")
    except UnicodeDecodeError:
        raise mistakes.GrammarError(answers.NOT_TEXT) from None
    if not text.isprintable() and _CONTROL.search(text):
        raise mistakes.GrammarError(answers.NOT_TEXT)
    return text


# How octets are read; in the states not named nothing is.
_READERS: dict[State, Callable[[Server], Event | None]] = {
    **dict.fromkeys(COMMAND_STATES, Server._read_command),
    State.SASL: Server._read_response,
    State.DATA: Server._read_content,
    State.CHUNK: Server._read_content,
    State.SWALLOW: Server.skip_chunk,
}
