"""What a conversation knows, and how it speaks: the part of the server's machine on which the verbs act.

Replies are gathered (RFC 2920 §3.2), errors are counted, an event that the session must answer is owed, and what a
refused BDAT still brings is swallowed (RFC 3030 §2).
"""

from __future__ import annotations

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.scram import Bindings, no_bindings
from mailbox_appliance.wire.smtp import answers
from mailbox_appliance.wire.smtp.authentication import Authentication, Step
from mailbox_appliance.wire.smtp.commands import Incoming
from mailbox_appliance.wire.smtp.events import CutOff, Event, KeysWanted, LogIn, LogInConfirmed, TooLarge
from mailbox_appliance.wire.smtp.flows import ChunkFlow
from mailbox_appliance.wire.smtp.grammar import ChunkArguments
from mailbox_appliance.wire.smtp.states import State
from mailbox_appliance.wire.smtp.terms import Terms


class Conversation:
    """The state of one conversation. ``Server`` reads and answers for it; the session knows only ``Server``."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.bindings: Bindings = no_bindings  # the session sets it when TLS stands
        self.state = State.BANNER
        self.tls = terms.service.implicit_tls
        self.logged_in = False
        self.extended = False  # it said EHLO
        self.smtputf8 = False  # this transaction may have addresses in UTF-8 (RFC 6531 §3.4)
        self.commands_only = False  # DATA was refused: what is no command now is content sent blindly
        self.incoming = Incoming()
        self.authentication = Authentication()
        self.chunks = ChunkFlow()
        self.chunk = ChunkArguments(0, False)
        self._out: list[bytes] = []
        self._owed: Event | None = None
        self._news: Event | None = None
        self._errors = 0
        self._stalls = 0
        self._taken = 0  # recipients accepted in this transaction
        self._chunked = 0  # octets that its BDATs have announced
        self._swallow_left = 0
        self._after_swallowing: tuple[Reply | None, State] = (answers.OUT_OF_ORDER, State.READY)
        self._swallowed_is_error = False

    def take_output(self) -> bytes:
        """Everything said since the last call."""
        if not self._out:
            return b""
        octets = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return octets

    def say(self, reply: Reply) -> None:
        """It leaves with the next ``take_output``."""
        self._out.append(reply.octets())

    def cut_off(self, reply: Reply, reason: str) -> None:
        """The last word, and the reason for the journal."""
        self.say(reply)
        self.state = State.CLOSED
        self._news = CutOff(reason)

    def is_one_too_many(self) -> bool:
        """Count an error; when it is one too many, the conversation has been ended."""
        self._errors += 1
        if self._errors < self.terms.errors:
            return False
        self.cut_off(answers.TOO_MANY_ERRORS, "too many errors")
        return True

    def is_stalling(self) -> bool:
        """Count a command that brings no message nearer; after too many in a row the conversation has been ended."""
        self._stalls += 1
        if not self.terms.stalls or self._stalls <= self.terms.stalls:
            return False
        self.cut_off(answers.NO_MESSAGE, "too many commands without a message")
        return True

    def say_idly(self, reply: Reply) -> None:
        """Answer such a command; after too many of them the reply is 421 instead."""
        if not self.is_stalling():
            self.say(reply)

    def complain(self, reply: Reply) -> None:
        """Refuse a command; after too many of them the reply is 421 instead."""
        if not self.is_one_too_many():
            self.say(reply)

    def owe(self, event: Event) -> Event:
        """The session must answer this before anything else happens."""
        self._owed = event
        return event

    def authenticated(self, step: Step) -> Event | None:
        """One step further: a challenge, the end, or a refusal."""
        self.state = State.READY
        if isinstance(step, LogIn | KeysWanted | LogInConfirmed):
            return self.owe(step)
        if step.is_positive:
            self.state = State.SASL
            self.say(step)
        else:
            self.complain(step)
        return None

    def is_too_large(self, chunk: ChunkArguments) -> TooLarge | None:
        """Refuse a chunk at once that makes its message larger than SIZE; one of twice that is not waited for."""
        most = self.terms.message_size
        size = self._chunked = chunk.size + (0 if self.state is State.RCPT else self._chunked)
        if not most or size <= most:
            return None
        reply = answers.CHUNK_TOO_LARGE
        if chunk.size > 2 * most:
            self.cut_off(reply, "BDAT with far more octets than a message may have")
            return TooLarge(size, reply)
        for _ in range(self._taken if chunk.last and self.terms.service.lmtp else 1):  # RFC 2033 §4.3
            self.say(reply)
        self.swallow(chunk.size, None, State.READY if chunk.last else State.FAILED)
        return TooLarge(size, reply)

    def swallow(self, size: int, reply: Reply | None, after: State, *, complain: bool = False) -> None:
        """Let ``size`` octets of a refused chunk pass, then say ``reply`` and go on in the state ``after``.

        None: it was said already.
        """
        self.state = State.SWALLOW
        self._swallow_left = size
        self._after_swallowing = (reply, after)
        self._swallowed_is_error = complain

    def skip_chunk(self) -> Event | None:
        """What came of the refused chunk is dropped."""
        self._swallow_left -= self.incoming.skip(self._swallow_left)
        if not self._swallow_left:
            reply, self.state = self._after_swallowing
            if reply is None:
                pass
            elif self._swallowed_is_error:
                self.complain(reply)
            else:
                self.say(reply)
        return None
