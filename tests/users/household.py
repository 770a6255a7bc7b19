"""A user database in memory for the tests of users/, with hashes that cost next to nothing."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.hashing import HashSettings
from mailbox_appliance.users.station import Users
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

T = TypeVar("T")
CHEAP = HashSettings(memory_kib=8, passes=1)


def now(work: Awaitable[T]) -> T:
    """The result of ``work``, which must not wait; its exception is raised."""
    results: list[Any] = []

    async def run() -> T:
        return await work

    Deferred.fromCoroutine(run()).addBoth(results.append)
    assert results, "it still waits"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    result: T = results[0]
    return result


class Household:
    """Users with a clock and a journal to look at."""

    def __init__(
        self, path: str = ":memory:", settings: UsersSettings | None = None, workers: Workers | None = None
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.journal = RememberedJournal()
        self.inline = InlineWorkers()
        self.users = Users.at(
            path,
            workers or self.inline,
            self.clock,
            self.journal,
            settings or UsersSettings(hashing=CHEAP),
        )
        now(self.users.start())

    def fill(
        self,
        domains: list[str],
        accounts: list[str] = [],  # noqa: B006
        aliases: dict[str, list[str]] | None = None,
        catch_all: dict[str, str] | None = None,
    ) -> Household:
        """Add all these; accounts get the password "open sesame"."""
        for domain in domains:
            now(self.users.domains.add(domain))
        for account in accounts:
            now(self.users.accounts.add(account, "open sesame"))
        for alias, targets in (aliases or {}).items():
            now(self.users.aliases.add(alias, targets))
        for domain, target in (catch_all or {}).items():
            now(self.users.domains.set_catch_all(domain, target))
        return self
