"""One command line at the control socket: its question in boxes, the verb, the answer in boxes (see ``wire``).

The kernel is asked who the peer is (SO_PEERCRED), and only root and the service's own user are answered. A verb that
breaks is journaled and refused; the next one is none the wiser.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.protocols import amp

from mailbox_appliance.admin.control import MOST_CONNECTIONS
from mailbox_appliance.admin.result import Refused
from mailbox_appliance.admin.wire import LONGEST_ANSWER, LONGEST_QUESTION, pieces_of
from mailbox_appliance.journal.events.admin import DeskRefused
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import FullJournal

if TYPE_CHECKING:
    from mailbox_appliance.admin.dispatch import Desk

IDLE = 900.0  # seconds; relay test may take minutes


class Give(amp.Command):
    """A piece of a question too long for one box."""

    arguments: ClassVar = [(b"piece", amp.String())]
    response: ClassVar = []


class Ask(amp.Command):
    """The (last piece of the) question; the answer waits in ``pieces`` pieces."""

    arguments: ClassVar = [(b"piece", amp.String())]
    response: ClassVar = [(b"pieces", amp.Integer())]


class Take(amp.Command):
    """One piece of the answer."""

    arguments: ClassVar = [(b"number", amp.Integer())]
    response: ClassVar = [(b"piece", amp.String())]


class ControlConnection(amp.AMP):
    """One command line at the socket."""

    transport: Any
    factory: Any

    def __init__(
        self, desk: Callable[[], Awaitable[Desk]], journal: FullJournal, clock: Clock, allowed: frozenset[int]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._desk = desk
        self._journal = journal
        self._clock = clock
        self._allowed = allowed
        self._question = b""
        self._answer: list[bytes] = []
        self._timer: Timer | None = None

    def connectionMade(self) -> None:
        super().connectionMade()  # type: ignore[no-untyped-call]
        user = peer_user(self.transport)
        if user not in self._allowed:
            self._journal.tell(DeskRefused(user=user))
            self.transport.abortConnection()
            return
        if len(self.factory.open) >= MOST_CONNECTIONS:
            self.transport.abortConnection()
            return
        self.factory.open.add(self)
        self._timer = self._clock.callLater(IDLE, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.reset(IDLE)
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.open.discard(self)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._question, self._answer = b"", []
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    @Give.responder
    def give(self, piece: bytes) -> dict[str, Any]:
        """Remember a piece."""
        self._question += piece
        if len(self._question) > LONGEST_QUESTION:
            self._question = b""
            self.transport.abortConnection()
        return {}

    @Ask.responder
    def ask(self, piece: bytes) -> Deferred[dict[str, Any]]:
        """Run the verb."""
        question, self._question = self._question + piece, b""
        return Deferred.fromCoroutine(self._run(question))

    async def _run(self, question: bytes) -> dict[str, Any]:
        answer: dict[str, Any]
        try:
            said = json.loads(question)
            result = await (await self._desk()).run(str(said["noun"]), str(said["verb"]), dict(said["arguments"]))
            answer = result.to_json()
        except Refused as refused:
            answer = {"refused": str(refused)}
        except Exception as error:  # noqa: BLE001 - one command ends, the service goes on
            self._journal.broken("admin", error)
            answer = {"refused": "something went wrong inside; the journal has the line journal.broken for it"}
        octets = json.dumps(answer).encode()
        if len(octets) > LONGEST_ANSWER:
            octets = json.dumps({"refused": "the answer is too long; ask for less"}).encode()
        self._answer = pieces_of(octets)
        return {"pieces": len(self._answer)}

    @Take.responder
    def take(self, number: int) -> dict[str, Any]:
        """Hand over a piece."""
        return {"piece": self._answer[number] if 0 <= number < len(self._answer) else b""}


def peer_user(transport: Any) -> int:
    """The user id behind a Unix socket, as the kernel knows it; -1 when it does not say."""
    try:
        credentials = transport.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except (OSError, AttributeError):
        return -1
    user: int = struct.unpack("iII", credentials)[1]
    return user
