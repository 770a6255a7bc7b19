"""The control socket: STATE/control, where the command line asks the running service.

A Unix socket of mode 0600. The conversation itself, and the desk that answers, are made when the first one comes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory

from mailbox_appliance.admin.wire import socket_path
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import FullJournal

if TYPE_CHECKING:  # imported when somebody asks: AMP and the desks are two megabytes
    from mailbox_appliance.admin.conversation import ControlConnection
    from mailbox_appliance.admin.dispatch import Desk

MOST_CONNECTIONS = 20


class SocketReactor(Clock, Protocol):
    """What the socket needs of the reactor (IReactorUNIX, IReactorTime)."""

    def listenUNIX(self, address: str, factory: Any, backlog: int = ..., mode: int = ...) -> IListeningPort:
        """Listen on a Unix socket."""


class ControlFactory(ServerFactory):
    """Makes connections; ``allowed`` are the users who are answered, ``desk`` makes who answers them."""

    noisy = False

    def __init__(
        self, desk: Callable[[], Awaitable[Desk]], journal: FullJournal, clock: Clock, allowed: frozenset[int]
    ) -> None:
        self.open: set[ControlConnection] = set()
        self._desk = desk
        self._journal = journal
        self._clock = clock
        self._allowed = allowed

    def buildProtocol(self, addr: Any) -> ControlConnection:
        from mailbox_appliance.admin.conversation import ControlConnection

        protocol = ControlConnection(self._desk, self._journal, self._clock, self._allowed)
        protocol.factory = self
        return protocol


class ControlSocket:
    """``start`` it when STATE/lock is held (what lies at the path is then a leftover) and root was dropped."""

    def __init__(
        self, reactor: SocketReactor, state: str, desk: Callable[[], Awaitable[Desk]], journal: FullJournal
    ) -> None:
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
