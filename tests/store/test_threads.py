"""The store with real threads: many sessions at once, and everything is consistent afterwards."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Coroutine
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.mailbox import SEEN
from mailbox_appliance.ports.store import Column, FlagAction
from mailbox_appliance.store import uidlist
from mailbox_appliance.store.account import StoreSettings
from mailbox_appliance.store.depot import MailDepot
from mailbox_appliance.store.stores import MailStores
from mailbox_appliance.workers import ThreadedWorkers
from tests.kit.journal import RememberedJournal
from tests.kit.rounds import InlineRounds, octets_of
from tests.store.kit import ANN, Watching, collect, content, message

reactor: Any = the_reactor


class _Clock:
    """The reactor's timers with the time of day."""

    def seconds(self) -> float:
        return time.time()

    def callLater(self, delay: float, callable: Any, *args: Any, **kwargs: Any) -> Any:
        return reactor.callLater(delay, callable, *args, **kwargs)


class ManySessionsTests(TestCase):
    """Eight sessions and deliveries on two mailboxes."""

    timeout = 120

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.journal = RememberedJournal()
        self.workers = ThreadedWorkers(reactor)
        self.stores = MailStores(
            StoreSettings(mail=self.folder, host="test", prerender_delay=0.01),
            _Clock(),
            self.workers,
            self.journal,
            InlineRounds(),
            self._no_limit,
        )
        self.depot = MailDepot(self.stores)

    async def _no_limit(self, account: object) -> int:
        return 0

    def tearDown(self) -> None:
        self.stores.stop()
        self.workers.stop()
        for call in reactor.getDelayedCalls():
            call.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _session(self, seed: int) -> None:
        rng = random.Random(seed)
        store = await self.stores.of(ANN)
        watcher = Watching()
        box = await store.open(rng.choice(["INBOX", "Archive"]), watcher)
        for step in range(25):
            uids = list(box.uids)
            some = sorted(rng.sample(uids, min(len(uids), 4)))
            match rng.randrange(8):
                case 0:
                    said = await store.append(box.name, [message(f"Subject: s{seed}-{step}\n\nx\n", "\\Seen")])
                    assert said.uids[0] in box.uids or said.uids[0] < box.uidnext
                case 1:
                    octets = content(f"Subject: d{seed}-{step}\n\nx\n")
                    place = await self.depot.place(ANN, box.name, octets)
                    with open(place.final, "wb") as final:
                        final.write(octets_of(octets))
                    self.depot.arrived(place, octets)
                case 2:
                    await box.mark(some, rng.choice(list(FlagAction)), ["\\Flagged", "$Key"])
                case 3:
                    await box.mark(some[:1], FlagAction.ADD, ["\\Deleted"])
                    await box.expunge()
                case 4:
                    await box.copy(some, "Archive" if box.name == "INBOX" else "INBOX", move=rng.random() < 0.5)
                case 5:
                    rows = await collect(box.rows(some, [Column.ENVELOPE, Column.SIZE]))
                    assert len(rows) <= len(some)
                case 6:
                    for file in await collect(box.files(some)):
                        assert (await file.read(0, 9)) == b"Subject: "
                        file.close()
                case 7:
                    found = await box.search(keys.And((keys.HasFlag(SEEN), keys.InText("subject"))), uids, 1)
                    assert set(found) <= set(uids)
        assert not any(told[0] == "vanished" for told in watcher.told)

    async def _all(self) -> None:
        sessions: list[Coroutine[Any, Any, None]] = [self._session(seed) for seed in range(8)]
        await gatherResults([Deferred.fromCoroutine(session) for session in sessions], consumeErrors=True)
        store = await self.stores.of(ANN)
        for name in ("INBOX", "Archive"):
            box = await store.box(name)
            while box.has_waiting:
                pause: Deferred[None] = Deferred()
                reactor.callLater(0.01, pause.callback, None)
                await pause
            before = list(box.uids), list(box.flags), list(box.sizes)
            await box.refresh_locked(thorough=True)
            assert before == (list(box.uids), list(box.flags), list(box.sizes))
            files = os.listdir(os.path.join(box.folder.path, "cur")) + os.listdir(os.path.join(box.folder.path, "new"))
            assert len(files) == len(box.uids)
            listed = uidlist.read(box.folder.file(uidlist.NAME))
            assert {listed.uids[file.partition(":")[0]] for file in files} == set(box.uids)
            assert not listed.damaged

    def test_everything_at_once(self) -> Deferred[None]:
        """No error, no lost file, arrays and disk agree."""
        return Deferred.fromCoroutine(self._all()).addCallback(lambda _: self.assertEqual(self.journal.failures, []))
