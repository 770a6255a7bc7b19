"""The edge's end of the link: whom it listens to, the control channel, the connections that the store keeps ready.

The store dials; one pinned certificate is let in. Its control connection is the link: while it lives the link is up,
when it is silent for too long everything of the link is cut, and what was under way is tried again over the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from mailbox_appliance.journal.events import link as told
from mailbox_appliance.link import tls
from mailbox_appliance.link.connection import LinkConnection
from mailbox_appliance.link.control import Control
from mailbox_appliance.link.keys import LinkFolder, OwnKey, fingerprint
from mailbox_appliance.link.pairing import Met, OpenCode, host_pairing, same
from mailbox_appliance.link.pool import LineAway, Pool
from mailbox_appliance.link.roster import Incoming, Roster
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.link import Pairing
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.wire import link as words

SILENCE = 45.0  # seconds without a word after which the line counts as cut
LOOK_EVERY = 15.0
ASK_SECONDS = 5.0
MOST_ASKED = 100  # at a time
MOST_CONNECTIONS = 400


@implementer(IOpenSSLServerConnectionCreator)
class _LateTls:
    """The port is open before our key has been read; nobody is admitted until then."""

    current: tls.EdgeTls | None = None

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Any:
        """Twisted asks."""
        assert self.current is not None
        return self.current.serverConnectionForTLS(tlsProtocol)


class EdgeLink:
    """``up_door`` makes the protocol for mail that the store sends out; ``on_change`` hears "up", "list" or "down"."""

    def __init__(
        self,
        folder: LinkFolder,
        hostname: str,
        clock: Clock,
        workers: Workers,
        journal: Journal,
        up_door: Callable[[], Any],
        on_change: Callable[[str], None] = lambda what: None,
    ) -> None:
        self._folder = folder
        self._hostname = hostname
        self._clock = clock
        self._workers = workers
        self._journal = journal
        self._up_door = up_door
        self.on_change = on_change
        self._tls = _LateTls()
        self._own: OwnKey | None = None
        self.pairing: Pairing | None = None
        self.code = OpenCode(clock)
        self._incoming = Incoming(Roster())
        self.list_since = 0.0
        self.down = Pool(clock)
        self.splices = Pool(clock)
        self._control: Control | None = None
        self._all: set[LinkConnection] = set()
        self._heard = 0.0
        self._timer: Timer | None = None
        self.door: words.Door | None = None  # the store's port 587, when we can reach it
        self._asked: dict[int, Deferred[Reply | None]] = {}
        self._number = 0
        self.since = 0.0  # the link is up since, or down since
        self.other_status: words.Status | None = None
        self.own_status: Callable[[], words.Status | None] = lambda: None
        self._writing = False

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Read key, pairing and list. Raises OSError."""
        now = self._clock.seconds()
        self._own = await self._workers.run("disk", self._folder.own, self._hostname, now)
        self._tls.current = tls.EdgeTls(self._own)
        self.pairing = await self._workers.run("disk", self._folder.pairing)
        self.door = _door_of(await self._workers.run("disk", self._folder.read_door))
        octets = await self._workers.run("disk", self._folder.read_list)
        self._incoming = Incoming(Roster.from_octets(octets) or Roster())
        self.since = self.list_since = now
        self._timer = self._clock.callLater(LOOK_EVERY, self._look)

    async def stop(self) -> None:
        """Hang up."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._cut("the service stops")

    def factory(self) -> TLSMemoryBIOFactory:
        """What listens on the link's port."""
        inside: Any = Factory.forProtocol(lambda: LinkConnection(self._clock, self._opened))
        inside.noisy = False
        return TLSMemoryBIOFactory(self._tls, False, inside, self._clock)  # type: ignore[arg-type]

    @property
    def roster(self) -> Roster:
        """The list in use."""
        return self._incoming.roster

    @property
    def peer_address(self) -> str:
        """The other side's address; "" when the link is down."""
        return self._control.address if self._control is not None else ""

    @property
    def is_up(self) -> bool:
        """Does the store speak with us?"""
        return self._control is not None

    # ------------------------------------------------------------ who comes

    def _opened(self, connection: LinkConnection) -> None:
        purpose = connection.purpose
        if len(self._all) >= MOST_CONNECTIONS:
            connection.abort()
            return
        if purpose == tls.PAIR:
            assert self._own is not None
            host_pairing(
                connection,
                self._clock,
                self.code,
                self._own.certificate,
                self._hostname,
                self._pair,
                lambda reason: self._journal.tell(told.PairingRefused(peer=connection.address, reason=reason)),
            )
            return
        if self.pairing is None or not same(tls.peer_fingerprint(connection.transport), self.pairing.fingerprint):
            reason = "nobody is paired yet" if self.pairing is None else "another certificate than the paired one's"
            self._journal.tell(told.LinkStranger(peer=connection.address, reason=reason))
            connection.abort()
            return
        if purpose == tls.CONTROL:
            self._begin_control(connection)
        elif self._control is None:
            connection.abort()  # the control channel comes first
        elif purpose == tls.DOWN:
            self._keep(connection)
            self.down.add(connection)
        elif purpose == tls.SPLICE:
            self._keep(connection)
            self.splices.add(connection)
        elif purpose == tls.UP:
            self._keep(connection)
            connection.carry(self._up_door())
        else:
            connection.abort()

    def _keep(self, connection: LinkConnection) -> None:
        self._all = {one for one in self._all if not one.lost}
        self._all.add(connection)

    def _pair(self, met: Met) -> Deferred[None]:
        return Deferred.fromCoroutine(self._keep_pairing(met))

    async def _keep_pairing(self, met: Met) -> None:
        pairing = Pairing("edge", met.name, fingerprint(met.certificate), self._clock.seconds())
        await self._workers.run("disk", self._folder.keep, pairing)
        self._cut("there is a new pairing")
        await self._keep_door(words.Door())
        self.pairing = pairing
        self._journal.tell(told.Paired(host=met.name, fingerprint=pairing.fingerprint))

    # ------------------------------------------------------------ the control channel

    def _begin_control(self, connection: LinkConnection) -> None:
        self._cut("the store has dialled anew")
        control = self._control = Control(connection, "store", lambda: self._control is control, self._said, self._cut)
        self._keep(connection)
        self._heard = self.since = self._clock.seconds()
        roster = self.roster
        self._say(words.Hello(self._hostname), words.Have(roster.digest if len(roster) else "", len(roster)))
        control.begin()

    def _say(self, *what: words.Said) -> None:
        if self._control is not None:
            self._control.say(*what)

    def tell_counts(self, counts: Sequence[words.Count]) -> bool:
        """For the store's reports to others; False when it is away."""
        if self._control is None:
            return False
        self._say(*counts)
        return True

    def _said(self, said: words.Said) -> None:
        self._heard = self._clock.seconds()
        if isinstance(said, words.Hello):
            assert self._control is not None
            self._journal.tell(told.LinkUp(host=said.hostname, peer=self._control.address))
            self._tell_status()
            self.on_change("up")
        elif isinstance(said, words.Ping):
            self._say(words.Pong(said.number))
        elif isinstance(said, words.ListBegins | words.Added | words.Removed | words.ListEnds):
            done = self._incoming.receive(said)
            if done:
                self._taken_list()
            elif done is False:
                self._say(words.Have("", 0))
        elif isinstance(said, words.Answer):
            asked = self._asked.pop(said.number, None)
            if asked is not None and not asked.called:
                asked.callback(Reply(said.code, said.enhanced, said.text))
        elif isinstance(said, words.Status):
            self.other_status = said
        elif isinstance(said, words.Door):
            if said != (self.door or words.Door()):
                Deferred.fromCoroutine(self._keep_door(said)).addErrback(self._door_not_kept)
        else:
            raise words.LinkWrong(f"not a store's word: {said.line()[:40]}")

    async def _keep_door(self, door: words.Door) -> None:
        """Written first: the relay reads the secret from the file."""
        if door != (self.door or words.Door()):
            await self._workers.run("disk", self._folder.write_door, door.secret, door.line())
            self.door = door if door.host else None
            self.on_change("door")

    def _door_not_kept(self, failure: Any) -> None:
        self._journal.tell(told.ListNotKept(reason=f"the store's port 587: {failure.value}"[:250]))

    def _taken_list(self) -> None:
        self.list_since = self._clock.seconds()
        roster = self.roster
        self._say(words.Have(roster.digest, len(roster)))
        self._journal.tell(told.ListTaken(entries=len(roster), digest=roster.digest[:8]))
        self._write_list()
        self.on_change("list")

    def _write_list(self) -> None:
        """One write at a time; what has changed meanwhile is written after it."""
        if self._writing:
            return
        self._writing = True
        written = self.roster

        def done(result: Any) -> None:
            self._writing = False
            if result is not None:
                self._journal.tell(told.ListNotKept(reason=str(result.value)[:250]))
            elif self.roster is not written:
                self._write_list()

        async def write() -> None:
            await self._workers.run("disk", self._folder.write_list, written.to_octets())

        Deferred.fromCoroutine(write()).addBoth(done)

    def _look(self) -> None:
        self._timer = self._clock.callLater(LOOK_EVERY, self._look)
        if self._control is None:
            return
        if self._clock.seconds() - self._heard > SILENCE:
            self._cut(f"the store has said nothing for {SILENCE:.0f} s")
            return
        self.down.ask_all()
        self.splices.ask_all()
        self._tell_status()

    def _tell_status(self) -> None:
        status = self.own_status()
        if status is not None:
            self._say(status)

    def _cut(self, reason: str) -> None:
        """Everything of the link ends."""
        control, self._control = self._control, None
        self.down.clear(reason)
        self.splices.clear(reason)
        asked, self._asked = self._asked, {}
        for one in asked.values():
            if not one.called:
                one.callback(None)
        connections, self._all = self._all, set()
        for connection in connections:
            connection.abort()
        if control is not None:
            self.since = self._clock.seconds()
            self.other_status = None
            self._journal.tell(told.LinkDown(host=self.pairing.name if self.pairing else "", reason=reason))
            self.on_change("down")

    # ------------------------------------------------------------ what others ask

    def ask(self, address: Address, octets: int) -> Deferred[Reply | None]:
        """ports.link.Asker."""
        asked: Deferred[Reply | None] = Deferred()
        if self._control is None or len(self._asked) >= MOST_ASKED:
            asked.callback(None)
            return asked
        self._number += 1
        number = self._number
        self._asked[number] = asked

        def too_late() -> None:
            waiting = self._asked.pop(number, None)
            if waiting is not None and not waiting.called:
                waiting.callback(None)

        timer = self._clock.callLater(ASK_SECONDS, too_late)

        def over(result: Reply | None) -> Reply | None:
            if timer.active():
                timer.cancel()
            return result

        asked.addCallback(over)
        self._say(words.Ask(number, octets, f"{address.local}@{address.domain}"))
        return asked

    async def connect_down(self, factory: Any, seconds: float) -> Any:
        """A connection on which we are the SMTP client and the store is the server. Raises LineAway."""
        if self._control is None:
            raise LineAway("the store is away")
        connection = await self.down.take(seconds)
        connection.say(b"turn\n")
        protocol = factory.buildProtocol(None)
        connection.carry(protocol)
        return protocol


def _door_of(line: bytes) -> words.Door | None:
    """As it was written down; None for none, or a damaged one."""
    try:
        said = words.read_line(line)
    except words.LinkWrong:
        return None
    return said if isinstance(said, words.Door) and said.host else None
