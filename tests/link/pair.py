"""An edge and a store in one process, joined by memory: real TLS, real control channel, a fake clock and no sockets."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from mailbox_appliance.link.connection import LinkConnection
from mailbox_appliance.link.edge import EdgeLink
from mailbox_appliance.link.keys import LinkFolder, OwnKey
from mailbox_appliance.link.roster import Roster
from mailbox_appliance.link.store import StoreLink
from mailbox_appliance.link.tls import StoreTls
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.link import Entry
from mailbox_appliance.wire.pairing import Code
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

NOW = 1_763_800_000.0


class End:
    """One end of a pipe: the transport of ``protocol``."""

    TLS = False
    disconnecting = False
    connected = True

    def __init__(self, pipe: Pipe, peer: str) -> None:
        self._pipe = pipe
        self._peer = peer
        self.protocol: Any = None
        self.inbox: list[bytes] = []
        self.other: End
        self.closing = False

    def write(self, data: bytes) -> None:
        if not self._pipe.over:
            self.other.inbox.append(data)

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        self.closing = True

    def abortConnection(self) -> None:
        self._pipe.aborted = True  # as TCP does: the protocol hears of it a moment later

    def getPeer(self) -> Any:
        return IPv4Address("TCP", self._peer, 40_000)

    def getHost(self) -> Any:
        return IPv4Address("TCP", "198.51.100.1", 4025)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def setTcpKeepAlive(self, enabled: bool) -> None:
        pass


class Pipe:
    """Two ends. ``cut`` True swallows everything, as a dead line does: nobody is told."""

    def __init__(self, net: Net, left: Protocol, right: Protocol) -> None:
        self.over = False
        self.aborted = False
        self.cut = False
        self.left, self.right = End(self, "198.51.100.1"), End(self, "203.0.113.9")
        self.left.other, self.right.other = self.right, self.left
        self.left.protocol, self.right.protocol = left, right
        net.pipes.append(self)
        right.makeConnection(self.right)  # type: ignore[arg-type]
        left.makeConnection(self.left)  # type: ignore[arg-type]

    def step(self) -> bool:
        moved = False
        if self.aborted and not self.over:
            self.end(Failure(ConnectionAborted()))
            return True
        for end in (self.left, self.right):
            while end.inbox and not self.over and not self.aborted:
                moved = True
                data = end.inbox.pop(0)
                if not self.cut:
                    end.protocol.dataReceived(data)
        if not self.over and not self.cut and (self.left.closing or self.right.closing):
            self.end(Failure(ConnectionDone()))
            moved = True
        return moved

    def end(self, reason: Failure) -> None:
        if self.over:
            return
        self.over = True
        ends = (self.left, self.right)
        for end in ends:
            if not self.cut or end.protocol is not None:
                end.protocol.connectionLost(reason)


class Net:
    """All pipes; ``reachable`` False refuses new ones."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pipes: list[Pipe] = []
        self.reachable = True

    def pump(self) -> None:
        """Move octets until nothing moves."""
        moved = True
        while moved:
            self.clock.advance(0)  # TLS gathers small writes
            steps = [pipe.step() for pipe in list(self.pipes)]
            moved = any(steps)
        self.pipes = [pipe for pipe in self.pipes if not pipe.over]

    def cut(self) -> None:
        """The line is dead from now on, and nobody is told."""
        for pipe in self.pipes:
            pipe.cut = True
        self.reachable = False


class Recorder(Protocol):
    """A server of the store's, or a client of the edge's: what it got, and what it says at once."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.greeting = greeting
        self.got = b""
        self.gone = False

    def connectionMade(self) -> None:
        if self.greeting:
            self.transport.write(self.greeting)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: Any = None) -> None:
        self.gone = True


class TwoHalves:
    """``edge`` and ``store``; ``up_servers``, ``down_servers``, ``spliced`` remember what came."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.net = Net(self.clock)
        self.folders = [tempfile.mkdtemp(prefix="link-") for _ in range(2)]
        self.edge_journal, self.store_journal = RememberedJournal(), RememberedJournal()
        self.people = Roster([Entry("domain", "example.org"), Entry("address", "ann@example.org", "d")])
        self.up_servers: list[Recorder] = []
        self.down_servers: list[Recorder] = []
        self.spliced: list[tuple[LinkConnection, bytes, bytes]] = []
        self.changes: list[str] = []
        self.asked: list[tuple[Address, int]] = []
        self.judgement = Reply(550, "5.1.1", "No such user here")
        self.edge = self.new_edge()
        self.store = self.new_store()

    def new_edge(self) -> EdgeLink:
        def up_door() -> Recorder:
            self.up_servers.append(Recorder(b"220 edge\r\n"))
            return self.up_servers[-1]

        return EdgeLink(
            LinkFolder(self.folders[0]),
            "mx.example.org",
            self.clock,  # type: ignore[arg-type]
            InlineWorkers(),
            self.edge_journal,
            up_door,
            self.changes.append,
        )

    def new_store(self) -> StoreLink:
        def down_door() -> Recorder:
            self.down_servers.append(Recorder(b"220 store\r\n"))
            return self.down_servers[-1]

        async def make_list() -> Roster:
            return self.people

        async def judge(address: Address, octets: int) -> Reply:
            self.asked.append((address, octets))
            return self.judgement

        return StoreLink(
            LinkFolder(self.folders[1]),
            "home.example.org",
            self.clock,  # type: ignore[arg-type]
            InlineWorkers(),
            self.store_journal,
            self.dial,
            make_list,
            judge,
            down_door,
            lambda *what: self.spliced.append(what),
            chance=lambda: 0.5,
        )

    async def dial(self, host: str, port: int, own: OwnKey, purpose: bytes) -> LinkConnection:
        """As link.store.Dialler, over memory."""
        if not self.net.reachable:
            raise ConnectionRefusedError
        opened: Deferred[LinkConnection] = Deferred()
        inside = Factory.forProtocol(lambda: LinkConnection(self.clock, opened.callback))  # type: ignore[arg-type]
        outside = TLSMemoryBIOFactory(StoreTls(own, purpose), True, inside, self.clock)  # type: ignore[arg-type]
        address = IPv4Address("TCP", "203.0.113.9", 40_000)
        client: Any = outside.buildProtocol(address)
        server: Any = self.edge.factory().buildProtocol(address)
        Pipe(self.net, client, server)
        return await opened

    def run(self, work: Any) -> list[Any]:
        """Begin a coroutine; the list holds its result once there is one."""
        results: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        self.net.pump()
        return results

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Let the clock run while octets move."""
        passed = 0.0
        while passed < seconds:
            self.clock.advance(step)
            passed += step
            self.net.pump()

    def start(self) -> TwoHalves:
        """Both, without a pairing."""
        for half in (self.edge, self.store):
            self.run(half.start())
        return self

    def pair(self) -> TwoHalves:
        """Paired, and the link is up."""
        self.start()
        code = Code("mx.example.org", 4025, self.edge.code.make())
        results = self.run(self.store.pair(code))
        assert getattr(results[0], "role", "") == "store", results
        self.pass_time(3)
        return self

    def stop(self) -> None:
        """Everything ends; the clock must have nothing left."""
        self.run(self.store.stop())
        self.run(self.edge.stop())
        self.net.pump()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
