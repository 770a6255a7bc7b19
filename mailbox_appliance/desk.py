"""The desk without the service: the databases, opened by the command line itself while nobody else holds them.

Everything runs at once in this one thread, without a reactor; what needs sockets (relay test, cert renew) is refused.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, execute

from mailbox_appliance.admin.aliases import AliasDesk
from mailbox_appliance.admin.apppasswords import AppPasswordDesk
from mailbox_appliance.admin.clientsettings import ClientSettings
from mailbox_appliance.admin.dispatch import Desk
from mailbox_appliance.admin.domains import DomainDesk
from mailbox_appliance.admin.edge import AT_THE_STORE, edge_desks
from mailbox_appliance.admin.filing import FilingDesk
from mailbox_appliance.admin.firewall import FirewallDesk
from mailbox_appliance.admin.guarding import GuardingDesk
from mailbox_appliance.admin.junk import TrainDesk, WhyDesk
from mailbox_appliance.admin.lists import ListsDesk
from mailbox_appliance.admin.lock import StateLock
from mailbox_appliance.admin.mailqueue import MailQueueDesk
from mailbox_appliance.admin.passwords import LinkDesk, PasswordDesk, page_base
from mailbox_appliance.admin.people import AccountDesk
from mailbox_appliance.admin.refusals import RefusalDesk
from mailbox_appliance.admin.reputation import ReputationDesk
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.senders import SenderDesk
from mailbox_appliance.admin.sharing import ShareDesk
from mailbox_appliance.admin.status import Finding, StatusDesk, disk
from mailbox_appliance.admin.throwaways import ThrowawayDesk
from mailbox_appliance.admin.tracing import TraceDesk
from mailbox_appliance.admin.undeleting import RestingMail
from mailbox_appliance.admin.vacation import VacationDesk
from mailbox_appliance.admin.verb import Verb
from mailbox_appliance.admin.welcome import mark_due
from mailbox_appliance.checks.reputation import MIGRATIONS as REPUTATION
from mailbox_appliance.checks.reputation import Reputation
from mailbox_appliance.checks.senders import MIGRATIONS as SENDER_MIGRATIONS
from mailbox_appliance.checks.senders import Senders
from mailbox_appliance.checks.signing import DkimKeys
from mailbox_appliance.config.model import Config
from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.guard.file import GuardFile
from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.journal.trail import MIGRATIONS as TRAIL_MIGRATIONS
from mailbox_appliance.journal.trail import Trail
from mailbox_appliance.junk.filter import StatisticalFilter
from mailbox_appliance.junk.settings import JunkSettings
from mailbox_appliance.ports.rounds import Commit
from mailbox_appliance.queue.desk import Desk as QueueDesk
from mailbox_appliance.queue.dispatch import Dispatch
from mailbox_appliance.queue.spool import QueueSpool, SpoolSettings
from mailbox_appliance.rounds.rounds import CommitRounds, RoundSettings
from mailbox_appliance.shares.seen import MIGRATIONS as SEEN_MIGRATIONS
from mailbox_appliance.shares.seen import SeenMarks
from mailbox_appliance.shares.station import Shares
from mailbox_appliance.store.account import StoreSettings
from mailbox_appliance.store.papers import MailPapers
from mailbox_appliance.store.stores import MailStores
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.station import Users
from mailbox_appliance.users.strength.judge import JudgedHere

T = TypeVar("T")


class _AtOnce:
    """Workers without threads."""

    def run(self, door: str, job: Callable[..., T], *args: Any) -> Deferred[T]:
        return execute(job, *args)


class _NoTimer:
    """A timer that never comes: the command is over before."""

    def cancel(self) -> None:
        pass

    def active(self) -> bool:
        return False

    def reset(self, secondsFromNow: float) -> None:
        pass


async def _go_on() -> None:
    """Nobody else waits for a turn."""


class _StandingClock:
    """Tells the time and calls nobody, but for those who wait for their next turn (``turn``)."""

    def __init__(self) -> None:
        self._next: deque[Callable[[], object]] = deque()

    def seconds(self) -> float:
        return time.time()

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kwargs: Any) -> _NoTimer:
        if delay <= 0:
            self._next.append(lambda: callable(*args, **kwargs))
        return _NoTimer()

    def turn(self) -> bool:
        """Call who waits longest; False when nobody does."""
        if not self._next:
            return False
        self._next.popleft()()
        return True


class _NobodySends:
    """In the place of the queue's dispatch: what is due is found at the next start."""

    under_way: frozenset[int] = frozenset()

    def wake(self) -> None:
        pass

    def poke(self) -> None:
        pass

    def withdraw(self, traces: Sequence[str]) -> None:
        pass

    def withdraw_domain(self, domain: str) -> None:
        pass

    async def report_ended(self, traces: Sequence[str]) -> None:
        pass


class _NoRounds:
    """The desk commits rows only, never content."""

    async def commit(self, job: Commit) -> None:
        raise Refused("this needs the running service: start it first")


class OpenDesk:
    """A context: the state is locked and open inside. Raises StateInUse, Refused on entering."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def __enter__(self) -> OpenDesk:
        config = self._config
        self._umask = os.umask(0o077)
        try:
            self._open(config)
        except BaseException:
            os.umask(self._umask)
            raise
        return self

    def _open(self, config: Config) -> None:
        _reach_state(config)
        self._lock = _locked(config)
        clock, workers = _StandingClock(), _AtOnce()
        self._clock = clock
        self._journal = journal = Journal(clock, None, _trail(config, clock, workers))
        settings = UsersSettings(default_quota=config.limits.quota)
        self._users = users = Users.at(
            os.path.join(config.state, "users.db"), workers, clock, journal, settings, JudgedHere()
        )
        guard_file = GuardFile(os.path.join(config.state, "guard.db"), workers)
        self._guard = guard = RememberingGuard(clock, journal, guard_file)
        folder = os.path.join(config.state, "queue")
        os.makedirs(os.path.join(folder, "content"), 0o700, exist_ok=True)
        self._spool = QueueSpool(SpoolSettings(folder), workers, _NoRounds(), clock, journal)
        queue = QueueDesk(self._spool, cast(Dispatch, _NobodySends()), clock, journal)
        rounds = CommitRounds(workers, RoundSettings(flush=config.store.flush))
        mail = StoreSettings(
            mail=os.path.join(config.state, "mail"),
            host=config.hostname,
            prerender=False,
            undelete_age=config.store.undelete_days * 86_400.0,
            undelete_octets=config.store.undelete_size or 1 << 62,
        )
        self._stores = MailStores(mail, clock, workers, journal, rounds, users.directory.quota)
        senders = Database(os.path.join(config.state, "senders.db"), SENDER_MIGRATIONS, workers)
        self._senders = Senders(senders, clock)
        known = Database(os.path.join(config.state, "reputation.db"), REPUTATION, workers, synchronous="NORMAL")
        self._reputation = Reputation(known, clock)
        memories = JunkSettings(mail.mail, os.path.join(config.state, "junk"))
        self._filter = StatisticalFilter(memories, workers, journal, clock)
        keys = DkimKeys(os.path.join(config.state, "dkim"), workers, clock, journal)
        resting = RestingMail(self._stores, workers, clock)
        desks = [
            DomainDesk(users.domains, None if config.local else keys),
            AccountDesk(users.accounts, ClientSettings(config), mark_due(users.accounts), resting),
            AliasDesk(users.aliases),
            AppPasswordDesk(users.app_passwords),
            PasswordDesk(users.audits, journal),
            LinkDesk(users.links, lambda: page_base(config)),
            ThrowawayDesk(users.throwaways),
            VacationDesk(users.vacations, clock),
            ShareDesk(self._shares(users, clock, workers, journal)),
            ListsDesk(users.lists),
            FilingDesk(self._stores, users.directory.accounts, config.state),
            MailQueueDesk(queue, clock),
            GuardingDesk(guard, clock, lambda: config),
            FirewallDesk(lambda: config),
            SenderDesk(self._senders, users.directory),
            ReputationDesk(self._reputation),
            TrainDesk(self._filter, users.directory, lambda: config.hostname, _go_on),
            RefusalDesk(journal, clock),
            WhyDesk(journal, self._stores, self._filter, lambda: config.hostname),
            TraceDesk(journal),
            StatusDesk([_not_running, disk(config.state)]),
        ]
        edge = config.role == "edge"
        self._desk = Desk(edge_desks(desks) if edge else desks, journal, missing=AT_THE_STORE if edge else "")

    def _shares(self, users: Users, clock: _StandingClock, workers: _AtOnce, journal: Journal) -> Shares:
        state = self._config.state
        marks = SeenMarks(Database(os.path.join(state, "shares.db"), SEEN_MIGRATIONS, workers, synchronous="NORMAL"))
        papers = MailPapers(os.path.join(state, "mail"), workers)
        return Shares(self._stores, papers, marks, users.directory.accounts, clock, workers, journal, "")

    def run(self, verb: Verb, arguments: Mapping[str, Any]) -> Result:
        """Do it. Raises Refused."""
        try:
            _now(self._users.start())
            _now(self._guard.start())
            return _now(self._desk.run(verb.noun, verb.verb, arguments), self._clock)
        except DatabaseTrouble as error:
            raise Refused(str(error)) from None
        except (sqlite3.Error, OSError) as error:
            raise Refused(f"the databases in {self._config.state} cannot be used: {error}") from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._stores.stop()
            for part in (self._guard, self._users, self._journal):
                _now(part.stop())
            self._spool.database.close()
            _now(self._filter.stop())
            self._reputation.close()
            self._senders.close()
        finally:
            self._lock.give_back()
            os.umask(self._umask)


def _locked(config: Config) -> StateLock:
    """The lock of the state folder, taken. Raises StateInUse, Refused."""
    lock = StateLock(config.state)
    try:
        lock.take()
    except OSError as error:
        remedy = "mount it for writing" if error.errno == errno.EROFS else "run this as root or as its owner"
        raise Refused(f"{lock.path} cannot be opened: {error.strerror}; {remedy}") from None
    return lock


def _trail(config: Config, clock: _StandingClock, workers: _AtOnce) -> Trail:
    folder = os.path.join(config.state, "journal")
    os.makedirs(folder, 0o700, exist_ok=True)
    database = Database(os.path.join(folder, "trail.db"), TRAIL_MIGRATIONS, workers, synchronous="NORMAL")
    return Trail(database, clock)


async def _not_running() -> Finding:
    return Finding("service", "it does not run", "start it: systemctl start mailappliance, or twistd -n mailappliance")


def _now(awaited: Awaitable[T], clock: _StandingClock | None = None) -> T:
    """The result of what needs no reactor."""

    async def wait() -> T:
        return await awaited

    results: list[Any] = []
    Deferred.fromCoroutine(wait()).addBoth(results.append)
    while not results and clock is not None and clock.turn():
        pass
    if not results:
        raise Refused("this needs the running service: start it first")
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    done: T = results[0]
    return done


def _reach_state(config: Config) -> None:
    """Make the state folder where the config names one; as root go on as its owner, so that nothing becomes root's."""
    if not os.path.isdir(config.state):
        if config.local:
            raise Refused(
                f"no config was found, and no local mode has run here (no {config.state}): "
                "name the config with --config FILE, or start the service once"
            )
        try:
            os.makedirs(config.state, 0o700, exist_ok=True)
        except OSError as error:
            raise Refused(f"{config.state} cannot be made: {error.strerror}") from None
    owner = os.stat(config.state)
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
