"""Turns of a client's conversation: which commands wait, which replies are due, and how a session ends.

Every command stands in one queue with the step that takes its reply; with PIPELINING (RFC 2920 §3.1) the commands of a
transaction leave together, else one after the other. Whatever is neither expected nor SMTP ends the session, and
whoever is still undecided is to be tried again (RFC 5321 §3.8, §4.2).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.smtp.client_events import Done, Event, Offers, Refusal, Stage, Transaction, Trouble
from mailbox_appliance.wire.smtp.replies import ReplyParser

Step = Callable[[Reply], None]


class Turns:
    """The state of one connection; ``first`` takes the greeting."""

    def __init__(self, first: Step) -> None:
        self._parser = ReplyParser()
        self._unsent: deque[tuple[bytes, Step]] = deque()
        self._expected: deque[Step] = deque([first])
        self._output: list[bytes] = []
        self._events: list[Event] = []
        self._transaction: Transaction | None = None
        self._outcomes: list[Outcome | None] = []
        self._content_sent = False
        self.stage = Stage.GREETING
        self.offers = Offers()
        self.replies = 0  # whole replies so far: a server that drips octets gets no more time

    def _is(self, stage: Stage) -> bool:
        """The stage as it is now: any call may have changed it, which no type checker believes."""
        return self.stage is stage

    @property
    def is_waiting(self) -> bool:
        """A reply is due."""
        return bool(self._expected)

    def _send(self, line: bytes, step: Step) -> None:
        self._unsent.append((line, step))

    def _pump(self) -> None:
        together = self.stage is Stage.ENVELOPE and "PIPELINING" in self.offers
        while self._unsent and (together or not self._expected):
            line, step = self._unsent.popleft()
            self._output.append(line)
            self._expected.append(step)

    def _replied(self, reply: Reply) -> None:
        self.replies += 1
        if not self._expected:
            if self.stage is Stage.IDLE and reply.code == 421:
                self._break(Trouble.BUSY, reply, remote=True)
            else:
                self._break(Trouble.MALFORMED, Reply(451, "4.5.0", f"a reply nobody asked for: {reply}"))
        elif reply.code == 421 and self.stage is not Stage.QUIT:
            self._break_by(reply)
        else:
            self._expected.popleft()(reply)
            self._pump()

    def _break_by(self, reply: Reply) -> None:
        """421: the server closes the connection, whatever was going on (RFC 5321 §3.8)."""
        if self.stage in (Stage.FINAL, Stage.CONTENT):
            self._settle(Outcome(Result.TRY_AGAIN, reply, remote=True))
        self._break(Trouble.BUSY, reply, remote=True)

    def _unexpected(self, reply: Reply) -> None:
        text = f"unexpected reply while waiting for {self.stage.value}: {reply}"
        self._break(Trouble.MALFORMED, Reply(451, "4.5.0", text))

    def _quitted(self, reply: Reply) -> None:
        self._closed()

    def _refuse(self, trouble: Trouble, reply: Reply, *, remote: bool = True) -> None:
        """There will be no session: say QUIT, whatever it answers."""
        if remote and reply.code < 400:
            self._unexpected(reply)
            return
        self._closed()
        self._output.append(b"QUIT\r\n")
        self._events.append(Refusal(trouble, reply, remote, "" if remote else reply.text))

    def _break(self, trouble: Trouble, reply: Reply, reason: str = "", *, remote: bool = False) -> None:
        """The session is over; who is undecided is to be tried again."""
        if self.stage is Stage.CLOSED:
            return
        quitting = self.stage is Stage.QUIT
        self._closed()
        reason = reason or ("" if remote else reply.text)
        if self._transaction is not None:
            at_risk, self._transaction = self._content_sent, None
            untold = frozenset(index for index, outcome in enumerate(self._outcomes) if outcome is None)
            self._settle(Outcome(Result.TRY_AGAIN, reply, reason=reason, remote=remote))
            outcomes = tuple(outcome for outcome in self._outcomes if outcome is not None)
            self._events.append(Done(outcomes, True, at_risk, untold))
        elif not quitting:
            self._events.append(Refusal(trouble, reply, remote, reason))

    def _closed(self) -> None:
        self.stage = Stage.CLOSED
        self._unsent.clear()
        self._expected.clear()
        self._parser.clear()

    def _settle(self, outcome: Outcome) -> None:
        """Everybody who is undecided gets ``outcome``."""
        self._outcomes = [known or outcome for known in self._outcomes]

    def _told(self) -> list[Event]:
        events, self._events = self._events, []
        return events
