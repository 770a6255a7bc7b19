"""The password in hand at a log-in, judged once and after the answer: in a child, never while anybody waits for it."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred

from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.records import AccountRecord
from mailbox_appliance.users.strength.audits import Audits
from mailbox_appliance.users.strength.facts import own_words
from mailbox_appliance.users.strength.spawned import Judge, NotJudged

MOST_WAITING = 32
MOST_FAILURES = 3  # of one password; then it is left to the nightly pass until the next start


class LogInWatch:
    """One after the other; a password waits in memory for its turn, and nowhere else."""

    def __init__(self, directory: SnapshotDirectory, audits: Audits, judge: Judge, journal: HasFailed) -> None:
        self._directory = directory
        self._audits = audits
        self._judge = judge
        self._journal = journal
        self._waiting: deque[tuple[AccountRecord, str]] = deque()
        self._under_way: set[tuple[int, int]] = set()
        self._failed: dict[tuple[int, int], int] = {}
        self._works = False

    def passed(self, account: AccountRecord, password: str) -> None:
        """``password`` has just been right for ``account``."""
        who = (account.number, account.hash_version)
        known = self._directory.snapshot.audit(account)
        if known.judged is not None or known.weak or who in self._under_way:
            return
        if len(self._waiting) >= MOST_WAITING or self._failed.get(who, 0) >= MOST_FAILURES:
            return
        self._under_way.add(who)
        self._waiting.append((account, password))
        if not self._works:
            self._works = True
            Deferred.fromCoroutine(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                account, password = self._waiting.popleft()
                who = (account.number, account.hash_version)
                try:
                    await self._look_at(account, password)
                except (NotJudged, UsersError):
                    self._failed[who] = self._failed.get(who, 0) + 1  # the next log-in tries again
                except Exception as error:  # noqa: BLE001 - nobody waits for this; the others have their turn
                    self._failed[who] = MOST_FAILURES
                    self._journal.broken("users", error)
                finally:
                    self._under_way.discard(who)
        finally:
            self._works = False

    async def _look_at(self, account: AccountRecord, password: str) -> None:
        words = own_words(self._directory.snapshot, account)
        if await self._judge.judge(password, words):
            await self._audits.is_weak(account.number, account.hash_version, "judged")
        else:
            await self._audits.was_judged(account.number, account.hash_version)
