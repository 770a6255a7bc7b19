"""The Guard port: every listener asks it before it talks and before it looks at a password.

What happens to an address, read aloud: up to ten wrong passwords within a minute are answered, the later ones more
slowly; then the address is refused for a minute by every service, the next time for two, and so on up to an hour. A
device that has logged in from there before is let through to its own account, unless it fails ten times itself.
Sixty failures within ten minutes from one IPv4 /24 or IPv6 /48 shut out the whole network in the same way. Fifty
different wrong passwords for one account within an hour, from however many strangers, and no stranger's main password
is looked at for a quarter of an hour, then for half of one, up to an hour; app passwords are.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.guard.attempts import Aim, Attempts, Campaign, Trail
from mailbox_appliance.guard.file import UNREADABLE, GuardFile, put_back, take_changes
from mailbox_appliance.guard.memory import (
    WEIGHTS,
    Failures,
    GuardSettings,
    IPNetwork,
    Memory,
    household,
    neighbourhood,
    shown,
)
from mailbox_appliance.guard.sieges import Siege, Sieges
from mailbox_appliance.journal.events.guard import Banned, Besieged, MemoryLost, Unbanned
from mailbox_appliance.mail.client import IPAddress, peer_address
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.workers import Busy

_SWEEP_EVERY = 3600.0
MOST_WATCHED = 200  # lines of `guard list` about addresses that are not banned
_ATTEMPT_TAKES = 30.0  # seconds after which an attempt that nobody told the end of is forgotten


class GuardError(Exception):
    """A wish of the desk is refused; str() says why."""


@dataclass(frozen=True, slots=True)
class Knocker:
    """A line of ``guard list``. ``banned_until`` is 0 for an address that is only being watched."""

    address: str
    failures: float  # weight within the last minute
    banned_until: float
    bans: int
    last: float
    service: str
    account: str
    known: bool  # a device logged in from here lately


class RememberingGuard:
    """Fits ports.guard.Guard. ``file`` None keeps nothing over a restart. ``settings`` may be replaced at any time."""

    def __init__(
        self, clock: Clock, journal: FullJournal, file: GuardFile | None = None, settings: GuardSettings | None = None
    ) -> None:
        self.settings = settings or GuardSettings()
        self._clock = clock
        self._journal = journal
        self._file = file
        self._memory = Memory()
        self._timer: Timer | None = None
        self._writing: Deferred[None] | None = None
        self._trouble_told = False
        self._swept = clock.seconds()
        # When attempts began whose end we have not been told: fifty connections at once must not mean fifty guesses.
        self._under_way: OrderedDict[IPAddress, deque[float]] = OrderedDict()
        self._attempts = Attempts()
        self._sieges = Sieges()
        self.on_campaign: Callable[[Campaign], None] | None = None  # told of many guesses at one account

    # ------------------------------------------------------------ the port

    def refuses(self, peer: IPAddress, service: str, account: str | None = None) -> bool:
        key = household(peer)
        record = self._memory.strangers.get(key)
        now = self._clock.seconds()
        since = now - self.settings.device_for
        if self._memory.networks and self._network_refused(key, now, since):
            return True
        if record is None and not account:
            return False
        if record is None or not record.banned(now, self.settings.longest_ban):
            if not account or self._memory.knows(key, since) or self._exempt(peer):
                return False
            return not self._may_try(key, record.weight(now, self.settings.window) if record else 0.0, now)
        if self._exempt(peer):
            return False
        if account == "":
            return not self._memory.knows(key, since)
        device = self._memory.device(key, account, since) if account else None
        return device is None or device.failures.banned(now, self.settings.longest_ban)

    def devices_only(self, peer: IPAddress, service: str, account: str) -> bool:
        key, now, settings = household(peer), self._clock.seconds(), self.settings
        if not account or self._exempt(peer):
            return False
        since = now - settings.device_for
        device = self._memory.device(key, account, since)
        if device is not None:
            return device.failures.banned(now, settings.longest_ban)
        if self._network_refused(key, now, since):
            return False
        record = self._memory.strangers.get(key)
        if record is not None and record.banned(now, settings.longest_ban):
            return False
        return any(
            self._sieges.under(account, now, settings, near=near) and near == self._memory.near(key, account, since)
            for near in (False, True)
        )

    def failed(self, peer: IPAddress, service: str, account: str, what: str = "password", token: bytes = b"") -> None:
        if self._exempt(peer):
            return
        settings, now, key = self.settings, self._clock.seconds(), household(peer)
        if what == "password":
            self._ended(key)
            self._note_attempt(key, service, account, now)
        elif what == "recipient":
            self._attempts.recipient(key, now)
        record = self._memory.failures(key, settings.most_addresses)
        record.service, record.account = service[:32], account[:320]
        self._write_later()
        if token and settings.same_password_once and record.repeats(token, now, settings):
            return
        weight = WEIGHTS.get(what, 1.0)
        device = self._memory.device(key, account, now - settings.device_for)
        if device is None and account and what == "password":
            self._count_stranger(key, service, account, token, now)
        if device is not None and not device.failures.banned(now, settings.longest_ban):
            device.failures.add(now, weight, settings)
        if record.banned(now, settings.longest_ban):
            return  # said while the ban began; it is not made longer by that
        seconds = record.add(now, weight, settings)
        if seconds:
            self._tell_banned(key, record, record.service, record.account, seconds)
        if key.is_global and not self._memory.knows(key, now - settings.device_for):
            self._count_network(key, record, weight, now)

    def _count_stranger(self, key: IPAddress, service: str, account: str, token: bytes, now: float) -> None:
        near = self._memory.near(key, account, now - self.settings.device_for)
        seconds = self._sieges.failed(account, service[:32], token, now, self.settings, near=near)
        if seconds and (name := self._sieges.account_of(account)):
            self._journal.tell(Besieged(account=name, service=service[:32], seconds=round(seconds)))

    def _count_network(self, key: IPAddress, record: Failures, weight: float, now: float) -> None:
        settings = self.settings
        network = self._memory.network(key, settings.most_networks)
        if network.banned(now, settings.longest_ban):
            return
        wider = replace(settings, limit=settings.network_limit, window=settings.network_window)
        seconds = network.add(now, weight, wider)
        if seconds:
            self._tell_banned(neighbourhood(key), network, record.service, record.account, seconds)

    def _tell_banned(
        self, key: IPAddress | IPNetwork, record: Failures, service: str, account: str, seconds: float
    ) -> None:
        self._journal.tell(
            Banned(peer=shown(key), service=service, account=account, seconds=round(seconds), times=record.bans)
        )

    def _network_refused(self, key: IPAddress, now: float, since: float) -> bool:
        network = self._memory.networks.get(neighbourhood(key))
        if network is None or not network.banned(now, self.settings.longest_ban):
            return False
        return not self._memory.knows(key, since) and not self._exempt(key)

    def _note_attempt(self, key: IPAddress, service: str, account: str, now: float) -> None:
        campaign = self._attempts.password(key, service[:32], account, now)
        if campaign is not None and self.on_campaign is not None:
            self.on_campaign(campaign)

    def succeeded(self, peer: IPAddress, service: str, account: str) -> None:
        # The count is left as it is: whoever has one account here must not buy guesses at others with it.
        key = household(peer)
        self._ended(key)
        self._memory.welcome(key, account, self._clock.seconds(), self.settings.most_devices)
        self._write_later()

    def knows(self, peer: IPAddress) -> bool:
        return self._memory.knows(household(peer), self._clock.seconds() - self.settings.device_for)

    def tarpit(self, peer: IPAddress) -> float:
        if self._exempt(peer):
            return 0.0
        settings = self.settings
        over = self._attempts.unknown_recipients(household(peer), self._clock.seconds()) - settings.patient_recipients
        return min(max(over, 0) * 0.05, settings.longest_tarpit)

    def delay(self, peer: IPAddress, service: str) -> float:
        key, now = household(peer), self._clock.seconds()
        record = self._memory.strangers.get(key)
        if record is None or self._exempt(peer) or self._memory.knows(key, now - self.settings.device_for):
            return 0.0
        if record.banned(now, self.settings.longest_ban):
            return self.settings.longest_delay
        count = record.weight(now, self.settings.window)
        return 0.0 if count < 3 else min(0.25 * 2.0 ** (count - 3), self.settings.longest_delay)

    def _may_try(self, key: IPAddress, failures: float, now: float) -> bool:
        """Begin an attempt, unless those under way could use up what is left of the limit."""
        begun = self._under_way.setdefault(key, deque())
        self._under_way.move_to_end(key)
        while begun and not now - _ATTEMPT_TAKES < begun[0] <= now:
            begun.popleft()
        if failures + len(begun) >= self.settings.limit - 1e-6:
            return False
        begun.append(now)
        while len(self._under_way) > self.settings.most_addresses:
            self._under_way.popitem(last=False)
        return True

    def _ended(self, key: IPAddress) -> None:
        begun = self._under_way.get(key)
        if begun:
            begun.popleft()
        if not begun:
            self._under_way.pop(key, None)

    def _exempt(self, peer: IPAddress) -> bool:
        return any(peer in network for network in self.settings.exempt)

    # ------------------------------------------------------------ the desk

    def listing(self) -> tuple[Knocker, ...]:
        """Every address that is banned, and the latest that failed within a minute; banned ones first."""
        now, settings = self._clock.seconds(), self.settings
        rows = []
        watched = 0
        for key, record in reversed(self._memory.strangers.items()):
            until = record.banned_until if record.banned(now, settings.longest_ban) else 0.0
            weight = round(record.weight(now, settings.window), 1) if until or watched < MOST_WATCHED else 0.0
            if weight or until:
                watched += not until
                known = self._memory.knows(key, now - settings.device_for)
                rows.append(
                    Knocker(shown(key), weight, until, record.bans, record.last, record.service, record.account, known)
                )
        for network, record in self._memory.networks.items():
            if record.banned(now, settings.longest_ban):
                rows.append(Knocker(shown(network), 0.0, record.banned_until, record.bans, record.last, "", "", False))
        return tuple(sorted(rows, key=lambda row: (row.banned_until == 0, -row.last)))

    def sieges(self) -> tuple[Siege, ...]:
        """Accounts at which so many strangers guess that only app passwords are taken from them."""
        return self._sieges.listing(self._clock.seconds(), self.settings)

    def kept(self) -> tuple[str, ...]:
        """Addresses and networks that come in although their network is shut out."""
        since = self._clock.seconds() - self.settings.device_for
        known = (shown(key) for key in self._memory.devices if self._memory.knows(key, since))
        return (*known, *map(str, self.settings.exempt))

    def account_of(self, typed: str) -> str:
        """The account that was meant, "" when nobody has that name."""
        return self._sieges.account_of(typed)

    def name_accounts(self, account_of: Callable[[str], str]) -> None:
        """``account_of``: the one name of the account that was typed, "" when nobody has it."""
        self._sieges.account_of = self._attempts.account_of = account_of

    def trails(self) -> tuple[Trail, ...]:
        """What each address has tried since the service began, at most a day back."""
        return self._attempts.trails(self._clock.seconds())

    def aims(self) -> tuple[Aim, ...]:
        """What was tried at each name since the service began, at most a day back."""
        return self._attempts.aims(self._clock.seconds())

    def unban(self, text: str) -> bool:
        """Forgive an address or network of ``listing``, or end a siege; False for nothing. Raises GuardError."""
        if "@" in text:
            if not self._sieges.lift(text):
                return False
            self._journal.tell(Unbanned(peer=text.strip()))
            return True
        for network in self._memory.networks:
            if str(network) == text.strip():
                del self._memory.networks[network]
                self._journal.tell(Unbanned(peer=text.strip()))
                return True
        try:
            key = household(peer_address(text.strip().removesuffix("/64")))
        except ValueError:
            raise GuardError(
                f"{text!r} is not an IP address: `mailappliance guard list` shows who is refused"
            ) from None
        record = self._memory.strangers.pop(key, None)
        if record is None:
            return False
        self._memory.changed_strangers.add(key)
        for device in self._memory.devices.get(key, {}).values():
            device.failures = Failures()
        self._journal.tell(Unbanned(peer=shown(key)))
        self._write_later()
        return True

    # ------------------------------------------------------------ over restarts

    async def start(self) -> None:
        """Read what was known. A file that cannot be read is put aside; the guard works in any case."""
        if self._file is None:
            return
        try:
            strangers, devices = await self._file.read()
        except (*UNREADABLE, Busy) as error:
            self._tell_trouble(error)
            try:
                await self._file.put_aside()
            except (OSError, Busy):
                return  # the writes will tell
            return
        settings = self.settings
        for key, record in strangers[-settings.most_addresses :]:
            self._memory.strangers.setdefault(key, record)
        for key, account, device in devices:
            self._memory.devices.setdefault(key, {}).setdefault(account, device)
        self._memory.sweep(self._clock.seconds(), settings)

    async def stop(self) -> None:
        """Write what is new and close the file."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file is None:
            return
        if self._writing is not None:
            done: Deferred[None] = Deferred()
            self._writing.addBoth(lambda _: done.callback(None))
            await done
        await self._write()
        self._file.close()

    def _write_later(self) -> None:
        if self._timer is None and self._file is not None:
            self._timer = self._clock.callLater(self.settings.write_every, self._write_now)

    def _write_now(self) -> None:
        self._timer = None
        if self._writing is not None:
            self._write_later()
            return
        self._writing = writing = Deferred.fromCoroutine(self._write())
        writing.addBoth(self._written)

    def _written(self, result: object) -> None:
        self._writing = None
        if isinstance(result, Failure) and result.value is not None:
            self._journal.broken("guard", result.value)

    async def _write(self) -> None:
        assert self._file is not None
        now = self._clock.seconds()
        if now - self._swept > _SWEEP_EVERY or now < self._swept:
            self._swept = now
            self._memory.sweep(now, self.settings)
            self._sieges.sweep(now, self.settings)
        changes = take_changes(self._memory)
        try:
            await self._file.write(changes)
            self._trouble_told = False
        except (DatabaseTrouble, sqlite3.Error, OSError, Busy) as error:
            put_back(self._memory, changes)
            self._tell_trouble(error)

    def _tell_trouble(self, error: Exception) -> None:
        if not self._trouble_told:
            self._trouble_told = True
            assert self._file is not None
            self._journal.tell(MemoryLost(path=self._file.path, reason=str(error)))
