"""The store's end of the link: it dials its edge, wherever it is itself, and keeps connections ready for the edge.

Behind CGNAT and with an address that changes nothing can be dialled from outside; so everything here goes outwards.
When the line is lost it is dialled again, soon at first, later every half minute.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from mailbox_appliance.journal.events import link as told
from mailbox_appliance.link import tls
from mailbox_appliance.link.connection import LinkConnection
from mailbox_appliance.link.control import Control
from mailbox_appliance.link.dial import Dial
from mailbox_appliance.link.keys import LinkFolder, OwnKey, fingerprint
from mailbox_appliance.link.pairing import Met, same, visit_pairing
from mailbox_appliance.link.resting import Resting
from mailbox_appliance.link.roster import Roster
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.link import Pairing
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.wire import link as words
from mailbox_appliance.wire.pairing import Code, PairingWrong

SILENCE = 45.0
PING_EVERY = 15.0
LIST_EVERY = 2.0  # seconds between looks at the people
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
MOST_CONNECTIONS = 200
MOST_ANSWERS = 50

MakeList = Callable[[], Awaitable[Roster]]
Judge = Callable[[Address, int], Awaitable[Reply]]


class StoreLink:
    """``make_list`` gives the people as they are now; ``judge`` answers the edge about one recipient.

    ``down_door`` makes the protocol for mail from the edge, ``spliced`` takes a connection for one of our own ports.
    """

    def __init__(
        self,
        folder: LinkFolder,
        hostname: str,
        clock: Clock,
        workers: Workers,
        journal: Any,
        dial: Dial,
        make_list: MakeList,
        judge: Judge,
        down_door: Callable[[], Any],
        spliced: Callable[[LinkConnection, bytes, bytes], None],
        on_change: Callable[[str], None] = lambda what: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._folder = folder
        self._hostname = hostname
        self._clock = clock
        self._workers = workers
        self._journal = journal
        self._dial = dial
        self._make_list = make_list
        self._judge = judge
        self.ready = Resting(self._open, self._spawn, self._has_room, down_door, spliced)
        self.on_change = on_change
        self._chance = chance
        self._own: OwnKey | None = None
        self.pairing: Pairing | None = None
        self._control: Control | None = None
        self._all: set[LinkConnection] = set()
        self._sent: Roster | None = None  # what the edge holds, as far as we know
        self._edge_has = ""
        self._heard = 0.0
        self._pinged = 0
        self._failures = 0
        self._answering = 0
        self._timers: dict[str, Timer] = {}
        self._running = False
        self.own_door: Callable[[], words.Door] = words.Door  # our port 587, if the edge can reach it
        self.on_count: Callable[[words.Count], None] = lambda count: None  # for our reports to others
        self._told_door: words.Door | None = None
        self.secret = ""  # with which the edge logs in there
        self.trouble = ""
        self.since = 0.0
        self.other_status: words.Status | None = None
        self.own_status: Callable[[], words.Status | None] = lambda: None

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Read key and pairing. Raises OSError."""
        now = self._clock.seconds()
        self._own = await self._workers.run("disk", self._folder.own, self._hostname, now)
        self.pairing = await self._workers.run("disk", self._folder.pairing)
        self.secret = await self._workers.run("disk", self._folder.secret)
        self.since = now
        self._running = True
        self._later("dial", 0.0, self._dial_control)

    async def stop(self) -> None:
        """Hang up and dial no more."""
        self._running = False
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        self._timers.clear()
        self._cut("the service stops")

    @property
    def peer_address(self) -> str:
        """The other side's address; "" when the link is down."""
        return self._control.address if self._control is not None else ""

    @property
    def is_up(self) -> bool:
        """Does the edge speak with us?"""
        return self._control is not None

    @property
    def list_size(self) -> int:
        """How many rows the edge holds."""
        return 0 if self._sent is None else len(self._sent)

    def _later(self, name: str, seconds: float, work: Callable[[], Any]) -> None:
        old = self._timers.get(name)
        if old is not None and old.active():
            old.cancel()
        if self._running:
            self._timers[name] = self._clock.callLater(seconds, work)

    def _spawn(self, work: Any) -> None:
        def failed(failure: Any) -> None:
            if failure.check(CancelledError) is None:
                self._journal.broken("link", failure.value)

        Deferred.fromCoroutine(work).addErrback(failed)

    # ------------------------------------------------------------ pairing

    async def pair(self, code: Code) -> Pairing:
        """Meet the edge that made this code. Raises PairingWrong."""
        assert self._own is not None
        try:
            connection = await self._dial(code.host, code.port, self._own, tls.PAIR)
        except PairingWrong:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the net says, in its own words
            raise PairingWrong(
                f"{code.host} port {code.port} cannot be reached: {error or type(error).__name__}; "
                "does the edge run, and does its firewall let that port in?"
            ) from None
        met: Met = await visit_pairing(connection, self._clock, code.secret, self._own.certificate, self._hostname)
        pairing = Pairing("store", met.name, fingerprint(met.certificate), self._clock.seconds(), code.host, code.port)
        await self._workers.run("disk", self._folder.keep, pairing)
        self.secret = await self._workers.run("disk", functools.partial(self._folder.secret, anew=True))
        self._cut("there is a new pairing")
        self.pairing = pairing
        self._journal.tell(told.Paired(host=met.name, fingerprint=pairing.fingerprint))
        self._failures = 0
        self._later("dial", 0.0, self._dial_control)
        return pairing

    # ------------------------------------------------------------ dialling

    def _dial_control(self) -> None:
        if self.pairing is not None and self._control is None and self._running:
            self._spawn(self._connect_control())

    async def _open(self, purpose: bytes) -> LinkConnection:
        """A connection to the edge we are paired with, and nobody else. Raises OSError."""
        assert self.pairing is not None and self._own is not None
        pairing = self.pairing
        try:
            connection = await self._dial(pairing.host, pairing.port, self._own, purpose)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - Twisted's many ways to say that it did not work
            raise OSError(0, str(error) or type(error).__name__) from None
        if not same(tls.peer_fingerprint(connection.transport), pairing.fingerprint):
            connection.abort()
            raise OSError(0, f"{pairing.host} shows another certificate than the paired edge's; pair again")
        self._all = {one for one in self._all if not one.lost}
        self._all.add(connection)
        return connection

    async def _connect_control(self) -> None:
        try:
            connection = await self._open(tls.CONTROL)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            self._failures += 1
            wait = min(FIRST_WAIT * 2 ** min(self._failures - 1, 10), LONGEST_WAIT)
            self._later("dial", wait * (0.75 + self._chance() / 2), self._dial_control)
            return
        if self._control is not None or not self._running:
            connection.abort()
            return
        self._begin_control(connection)

    def _begin_control(self, connection: LinkConnection) -> None:
        control = self._control = Control(connection, "edge", lambda: self._control is control, self._said, self._cut)
        self.ready.begin()
        self._heard = self.since = self._clock.seconds()
        self._sent, self._edge_has, self._told_door = None, "", None
        self._say(words.Hello(self._hostname))
        self._later("ping", PING_EVERY, self._ping)
        control.begin()

    def _cut(self, reason: str) -> None:
        """Everything of the link ends, and it is dialled again."""
        control, self._control = self._control, None
        self.ready.end()
        connections, self._all = self._all, set()
        for connection in connections:
            connection.abort()
        if control is not None:
            self.since = self._clock.seconds()
            self.trouble = reason
            self.other_status = None
            self._journal.tell(told.LinkDown(host=self.pairing.name if self.pairing else "", reason=reason))
            self.on_change("down")
            self._later("dial", FIRST_WAIT * (0.5 + self._chance()), self._dial_control)

    # ------------------------------------------------------------ the control channel

    def _say(self, *what: words.Said) -> None:
        if self._control is not None:
            self._control.say(*what)

    def _ping(self) -> None:
        if self._control is None:
            return
        if self._clock.seconds() - self._heard > SILENCE:
            self._cut(f"the edge has said nothing for {SILENCE:.0f} s")
            return
        self._pinged += 1
        self._say(words.Ping(self._pinged))
        status = self.own_status()
        if status is not None:
            self._say(status)
        self._tell_door()
        self.ready.fill()
        self._later("ping", PING_EVERY, self._ping)

    def _tell_door(self) -> None:
        door = self.own_door()
        if door != self._told_door:
            self._told_door = door
            self._say(door)

    def _said(self, said: words.Said) -> None:
        self._heard = self._clock.seconds()
        if isinstance(said, words.Hello):
            assert self._control is not None and self.pairing is not None
            self._failures = 0
            self.trouble = ""
            self._journal.tell(told.LinkUp(host=said.hostname, peer=self._control.address))
            self._tell_door()
            self.ready.fill()
            self.on_change("up")
        elif isinstance(said, words.Have):
            self._edge_has = said.digest
            if self._sent is None or said.digest != self._sent.digest:
                self._sent = None
                self._later("list", 0.0, self._look_at_list)
        elif isinstance(said, words.Ask):
            if self._answering < MOST_ANSWERS:
                self._answering += 1
                self._spawn(self._answer(said))
        elif isinstance(said, words.Status):
            self.other_status = said
        elif isinstance(said, words.Count):
            self.on_count(said)
        elif isinstance(said, words.Ping):
            self._say(words.Pong(said.number))
        elif not isinstance(said, words.Pong):
            raise words.LinkWrong(f"not an edge's word: {said.line()[:40]}")

    async def _answer(self, asked: words.Ask) -> None:
        try:
            local, _, domain = asked.address.rpartition("@")
            reply = await self._judge(Address.of(local, domain), asked.octets)
        except AddressError:
            reply = Reply(550, "5.1.3", "No such address")
        finally:
            self._answering -= 1
        text = words.plain_text(reply.text)
        self._say(words.Answer(asked.number, reply.code, reply.enhanced, text))

    def _look_at_list(self) -> None:
        if self._control is not None:
            self._spawn(self._send_list())

    async def _send_list(self) -> None:
        """Send what has changed, or everything where the edge holds something we do not know."""
        control = self._control
        try:
            roster = await self._make_list()
            if control is None or control is not self._control:
                return
            if self._sent is None:
                if self._edge_has != roster.digest:
                    self._say(*roster.whole())
                    self._edge_has = roster.digest
                self._sent = roster
            elif roster.digest != self._sent.digest:
                self._say(*roster.since(self._sent))
                self._sent = roster
        finally:
            if control is self._control and control is not None:
                self._later("list", LIST_EVERY, self._look_at_list)

    def _has_room(self) -> bool:
        return len(self._all) < MOST_CONNECTIONS

    async def connect_up(self, factory: Any) -> Any:
        """A connection on which the edge is the SMTP server. Raises OSError."""
        if self._control is None:
            raise OSError(0, "the edge is away")
        connection = await self._open(tls.UP)
        protocol = factory.buildProtocol(None)
        connection.carry(protocol)
        return protocol
