"""Who tried what, without I/O: failures per account over all addresses, and per address over all accounts.

The bans look at one address at a time; these two tables see what many addresses do to one account (a campaign, of which
the owner hears once), and give `guard log` its lines. Both are bounded, least recently used first out, and die with the
process.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import field

from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.values import dataclass

MOST_ACCOUNTS = 1000
MOST_ADDRESSES = 2000
MOST_SOURCES = 256  # addresses remembered of one campaign
MOST_NAMES = 8  # account names remembered of one address
DAY = 86_400.0
HOUR = 3600.0
# A forgotten phone fails from one or two addresses; a list of stolen passwords is tried from many.
SOURCES = 8
FAILURES = 60


@dataclass(frozen=True, slots=True)
class Campaign:
    """Many guesses at one account within a day. ``account`` as typed, ``sources`` distinct addresses."""

    account: str
    failures: int
    sources: int
    services: tuple[str, ...]
    since: float  # epoch seconds


@dataclass(frozen=True, slots=True)
class Trail:
    """A line of `guard log`: what one address has tried. Times in epoch seconds."""

    address: IPAddress
    tries: int
    first: float
    last: float
    services: tuple[str, ...]
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Aim:
    """What was tried at one name within a day, from how many addresses (counted up to MOST_SOURCES)."""

    account: str
    failures: int
    sources: int
    since: float  # epoch seconds


@dataclass(slots=True)
class _Target:
    since: float
    failures: int = 0
    sources: OrderedDict[IPAddress, None] = field(default_factory=OrderedDict)
    services: dict[str, None] = field(default_factory=dict)
    is_told: bool = False


@dataclass(slots=True)
class _Source:
    first: float
    last: float
    tries: int = 0
    services: dict[str, None] = field(default_factory=dict)
    accounts: OrderedDict[str, None] = field(default_factory=OrderedDict)
    recipients: deque[float] = field(default_factory=lambda: deque(maxlen=400))


class Attempts:
    """``key`` is an address as the guard counts it (memory.household).

    ``account_of`` gives the one name of the account that was typed, "" when nobody has it; names that nobody has are in
    a table of their own, so that inventing them hides no campaign.
    """

    def __init__(self) -> None:
        self.account_of: Callable[[str], str] = lambda typed: ""
        self._targets: OrderedDict[str, _Target] = OrderedDict()
        self._others: OrderedDict[str, _Target] = OrderedDict()
        self._sources: OrderedDict[IPAddress, _Source] = OrderedDict()

    def password(self, key: IPAddress, service: str, account: str, now: float) -> Campaign | None:
        """A wrong password; the campaign when this makes it one, once a day and account."""
        source = self._source(key, now)
        source.tries += 1
        source.services[service] = None
        name = account.strip().lower()[:320]
        if not name:
            return None
        source.accounts[name] = None
        source.accounts.move_to_end(name)
        while len(source.accounts) > MOST_NAMES:
            source.accounts.popitem(last=False)
        ours = self.account_of(name)
        table = self._targets if ours else self._others
        name = ours or name
        target = table.get(name)
        if target is None or not 0 <= now - target.since < DAY:
            target = table[name] = _Target(now)
        table.move_to_end(name)
        while len(table) > MOST_ACCOUNTS:
            table.popitem(last=False)
        target.failures += 1
        target.services[service] = None
        if len(target.sources) < MOST_SOURCES:
            target.sources[key] = None
        if target.is_told or (len(target.sources) < SOURCES and target.failures < FAILURES):
            return None
        target.is_told = True
        return Campaign(name, target.failures, len(target.sources), tuple(sorted(target.services)), target.since)

    def recipient(self, key: IPAddress, now: float) -> None:
        """A recipient who does not exist."""
        source = self._source(key, now)
        source.recipients.append(now)

    def unknown_recipients(self, key: IPAddress, now: float) -> int:
        """How many within the last hour (counted up to 400)."""
        source = self._sources.get(key)
        if source is None:
            return 0
        while source.recipients and not 0 <= now - source.recipients[0] < HOUR:
            source.recipients.popleft()
        return len(source.recipients)

    def trails(self, now: float) -> tuple[Trail, ...]:
        """Addresses that tried passwords within the last day, the busiest first."""
        found = [
            Trail(key, one.tries, one.first, one.last, tuple(sorted(one.services)), tuple(one.accounts))
            for key, one in self._sources.items()
            if one.tries and 0 <= now - one.last < DAY
        ]
        return tuple(sorted(found, key=lambda trail: (-trail.tries, -trail.last)))

    def aims(self, now: float) -> tuple[Aim, ...]:
        """The names at which most was tried within the last day, the most first."""
        found = [
            Aim(name, one.failures, len(one.sources), one.since)
            for name, one in (*self._targets.items(), *self._others.items())
            if 0 <= now - one.since < DAY
        ]
        return tuple(sorted(found, key=lambda aim: (-aim.failures, aim.account)))

    def _source(self, key: IPAddress, now: float) -> _Source:
        source = self._sources.get(key)
        if source is None or not 0 <= now - source.last < DAY:
            source = self._sources[key] = _Source(now, now)
        self._sources.move_to_end(key)
        source.last = now
        while len(self._sources) > MOST_ADDRESSES:
            self._sources.popitem(last=False)
        return source
