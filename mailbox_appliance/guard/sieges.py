"""Many places guess at one account, each but once: no ban of an address ends that, so the account has a count.

Strangers together have so many different wrong passwords an hour at one account; then main passwords from places where
nobody logged in to it before are not looked at for a while. Nobody of the house is kept out: an address with a good
log-in is never asked, what lies near one (memory.region) has a count of its own, and app passwords are taken from
everywhere, since nobody guesses them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import field, replace

from mailbox_appliance.guard.memory import Failures, GuardSettings
from mailbox_appliance.mail.values import dataclass

MOST_NAMES = 1000  # names that nobody has; those of accounts are as many as there are accounts


@dataclass(frozen=True, slots=True)
class Siege:
    """An account at which strangers may not try main passwords before ``until`` (epoch seconds)."""

    account: str
    until: float
    bans: int
    last: float
    service: str


@dataclass(slots=True)
class _Lanes:
    far: Failures = field(default_factory=Failures)
    near: Failures = field(default_factory=Failures)


class Sieges:
    """``account_of`` gives the one name of the account that was typed, "" when nobody has it.

    A name that nobody has is treated alike, lest the difference tell who lives here; but such names have a table of
    their own, so that inventing them pushes no account's count out.
    """

    def __init__(self) -> None:
        self.account_of: Callable[[str], str] = lambda typed: ""
        self._ours: dict[str, _Lanes] = {}
        self._others: OrderedDict[str, _Lanes] = OrderedDict()

    def failed(
        self, typed: str, service: str, token: bytes, now: float, settings: GuardSettings, *, near: bool
    ) -> float:
        """Count a stranger's wrong password; the seconds of the siege that begins with it, or 0."""
        account = self.account_of(typed)
        lanes = self._ours.setdefault(account, _Lanes()) if account else self._other(typed)
        lane = lanes.near if near else lanes.far
        lane.service = service
        if lane.banned(now, settings.longest_ban) or (token and lane.repeats(token, now, settings)):
            return 0.0
        wider = replace(
            settings, limit=settings.account_limit, window=settings.account_window, first_ban=settings.account_ban
        )
        return lane.add(now, 1.0, wider)

    def under(self, typed: str, now: float, settings: GuardSettings, *, near: bool) -> bool:
        """May strangers not try at this account just now?"""
        account = self.account_of(typed)
        lanes = self._ours.get(account) if account else self._others.get(_name(typed))
        return lanes is not None and (lanes.near if near else lanes.far).banned(now, settings.longest_ban)

    def listing(self, now: float, settings: GuardSettings) -> tuple[Siege, ...]:
        """The accounts at which strangers may not try, by name."""
        found = []
        for account, lanes in sorted(self._ours.items()):
            lane = max(lanes.far, lanes.near, key=lambda one: one.banned_until)
            if lane.banned(now, settings.longest_ban):
                found.append(Siege(account, lane.banned_until, lane.bans, lane.last, lane.service))
        return tuple(found)

    def lift(self, typed: str) -> bool:
        """Forget what was counted; False when there was nothing."""
        account = self.account_of(typed)
        return (self._ours.pop(account, None) if account else self._others.pop(_name(typed), None)) is not None

    def sweep(self, now: float, settings: GuardSettings) -> None:
        """Forget names of ours that are quiet, or no longer anybody's."""
        oldest = now - settings.forget_after
        for account in [one for one, lanes in self._ours.items() if max(lanes.far.last, lanes.near.last) <= oldest]:
            del self._ours[account]

    def _other(self, typed: str) -> _Lanes:
        lanes = self._others.setdefault(_name(typed), _Lanes())
        self._others.move_to_end(_name(typed))
        while len(self._others) > MOST_NAMES:
            self._others.popitem(last=False)
        return lanes


def _name(typed: str) -> str:
    return typed.strip().lower()[:320]
