"""The control socket: STATE/control, where the command line asks the running service.

A Unix socket of mode 0600; besides, the kernel is asked who the peer is (SO_PEERCRED), and only root and the
service's own user are answered. A verb that breaks is journaled and refused; the next one is none the wiser.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from typing import Any, ClassVar, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.protocols import amp

from mailbox_appliance.admin.dispatch import Desk
from mailbox_appliance.admin.result import Refused
from mailbox_appliance.admin.wire import LONGEST_ANSWER, LONGEST_QUESTION, pieces_of, socket_path
from mailbox_appliance.journal.events.admin import DeskRefused
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import HasFailed, Journal

MOST_CONNECTIONS = 20
IDLE = 900.0  # seconds; relay test may take minutes


class FullJournal(Journal, HasFailed, Protocol):
    """Events and tracebacks."""


class SocketReactor(Clock, Protocol):
    """What the socket needs of the reactor (IReactorUNIX, IReactorTime)."""

    def listenUNIX(self, address: str, factory: Any, backlog: int = ..., mode: int = ...) -> IListeningPort:
        """Listen on a Unix socket."""


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

    def __init__(self, desk: Desk, journal: FullJournal, clock: Clock, allowed: frozenset[int]) -> None:
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
            result = await self._desk.run(str(said["noun"]), str(said["verb"]), dict(said["arguments"]))
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


class ControlFactory(ServerFactory):
    """Makes connections; ``allowed`` are the users who are answered."""

    noisy = False

    def __init__(self, desk: Desk, journal: FullJournal, clock: Clock, allowed: frozenset[int]) -> None:
        self.open: set[ControlConnection] = set()
        self._desk = desk
        self._journal = journal
        self._clock = clock
        self._allowed = allowed

    def buildProtocol(self, addr: Any) -> ControlConnection:
        protocol = ControlConnection(self._desk, self._journal, self._clock, self._allowed)
        protocol.factory = self
        return protocol


class ControlSocket:
    """``start`` it when STATE/lock is held (what lies at the path is then a leftover) and root was dropped."""

    def __init__(self, reactor: SocketReactor, state: str, desk: Desk, journal: FullJournal) -> None:
        self._reactor = reactor
        self._state = state
        self._desk = desk
        self._journal = journal
        self._folder = -1
        self._port: IListeningPort | None = None
        self._factory: ControlFactory | None = None

    def start(self) -> None:
        """Listen. Raises OSError or twisted's CannotListenError."""
        self._folder = os.open(self._state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink("control", dir_fd=self._folder)
        allowed = frozenset({0, os.geteuid()})
        self._factory = ControlFactory(self._desk, self._journal, self._reactor, allowed)
        before = os.umask(0o177)  # 0600 from the first moment on
        try:
            path = socket_path(self._state, self._folder)
            self._port = self._reactor.listenUNIX(path, self._factory, MOST_CONNECTIONS, 0o600)
        finally:
            os.umask(before)

    async def stop(self) -> None:
        """Stop listening and hang up; an answer that is on its way is cut off."""
        if self._port is None or self._factory is None:
            return
        port, self._port = self._port, None
        with contextlib.suppress(FileNotFoundError):  # somebody else removed the socket
            stopped = port.stopListening()
            if isinstance(stopped, Deferred):
                await stopped
        for connection in list(self._factory.open):
            connection.transport.abortConnection()
        os.close(self._folder)


def peer_user(transport: Any) -> int:
    """The user id behind a Unix socket, as the kernel knows it; -1 when it does not say."""
    try:
        credentials = transport.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except (OSError, AttributeError):
        return -1
    user: int = struct.unpack("iII", credentials)[1]
    return user
