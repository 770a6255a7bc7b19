"""What an edge has counted reaches its store, once, and becomes the store's reports."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.assembly.counts import HandedOver, TakenOver
from mailbox_appliance.assembly.reports import wanted
from mailbox_appliance.config.model import Checks, Config
from mailbox_appliance.database import Database
from mailbox_appliance.ports.reports import DmarcSeen
from mailbox_appliance.relay.memory import MIGRATIONS as RELAY
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.tlsreport import Row, add_results, results_of
from mailbox_appliance.reports.memory import MIGRATIONS as REPORTS
from mailbox_appliance.reports.tally import DAY, Tally
from mailbox_appliance.wire.link import Count, LinkWrong, read_line
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import now
from tests.kit.workers import InlineWorkers

SEEN = DmarcSeen(
    "far.example",
    "192.0.2.7",
    "far.example",
    "",
    "none",
    True,
    False,
    "far.example/s1/pass",
    "x.example",
    "mfrom",
    "fail",
)
ROW = Row("far.example", '{"policy-type": "sts"}', "", "mx.far.example", "192.0.2.8", "", 3)


class CountTests(SynchronousTestCase):
    """Two halves with files of their own; ``line`` is the link, None while it is away."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.journal = RememberedJournal()
        self.tallies, self.memories = [], []
        for _ in range(2):
            folder = self.mktemp()
            os.mkdir(folder)
            reports = Database(os.path.join(folder, "reports.db"), REPORTS, InlineWorkers())
            self.addCleanup(reports.close)
            tally = Tally(reports, self.clock, self.journal)
            tally.wanted = True
            self.tallies.append(tally)
            memory = RelayMemory(Database(os.path.join(folder, "relay.db"), RELAY, InlineWorkers()), self.journal)
            self.memories.append(memory)
            self.addCleanup(lambda memory=memory: now(memory.close()))
        self.there = True
        self.lines: list[bytes] = []
        self.tls = True
        self.taken = TakenOver(self.tallies[1], self.memories[1], self.clock, self.journal, lambda: self.tls)  # type: ignore[arg-type]
        self.handed = HandedOver(self.tallies[0], self.memories[0], self.clock, self.tell)

    def tell(self, counts: Any) -> bool:
        if self.there:
            self.lines += [one.line().encode() for one in counts]
            for one in counts:
                said = read_line(one.line().encode())
                assert isinstance(said, Count)
                self.taken.take(said)
        return self.there

    @property
    def day(self) -> int:
        return int(self.clock.seconds()) // DAY

    def results(self, half: int, day: int) -> list[Row]:
        return now(self.memories[half].run(lambda connection: results_of(connection, day), []))

    def test_once(self) -> None:
        """The days before today, when the store is there; each once, beside what the store itself has seen."""
        began = self.day
        for seen in (SEEN, SEEN, replace(SEEN, source="192.0.2.9", author="b\u00fccher.example")):
            self.tallies[0].count(seen)
        self.tallies[1].count(SEEN)
        now(self.memories[0].run(lambda connection: add_results(connection, began, [ROW]), None))
        now(self.memories[1].run(lambda connection: add_results(connection, began, [ROW]), None))
        now(self.handed.hand_over())
        self.assertEqual(self.lines, [], "today is not over")
        self.clock.advance(DAY)
        self.there = False
        now(self.handed.hand_over())
        self.there = True
        now(self.handed.hand_over())
        now(self.handed.hand_over())
        self.assertEqual(len(self.lines), 3)
        ((key, rows),) = now(self.tallies[1].before(self.day)).items()
        self.assertEqual(key, (began, "far.example"))
        self.assertEqual({one.seen.source: one.messages for one in rows}, {"192.0.2.7": 3, "192.0.2.9": 1})
        self.assertEqual((self.results(0, began), self.results(1, began)), ([], [replace(ROW, sessions=6)]))
        self.assertEqual(self.journal.failures, [])

    def test_not_wanted(self) -> None:
        """A store that reports nothing keeps nothing; nor what is long past."""
        self.tls = self.tallies[1].wanted = False
        self.taken.take(Count("tls", self.day, 3, '["far.example", "{}", "", "", "", ""]'))
        self.tallies[1].add(self.day, SEEN, 1)
        self.tls = self.tallies[1].wanted = True
        self.tallies[1].add(self.day - 9, SEEN, 1)
        self.taken.take(Count("tls", self.day - 9, 3, '["far.example", "{}", "", "", "", ""]'))
        self.assertEqual((now(self.tallies[1].before(self.day + 9)), self.results(1, self.day)), ({}, []))

    def test_nonsense(self) -> None:
        """Whatever is no row is no word of the link's."""
        for kind, data in (
            ("dmarc", "[]"),
            ("dmarc", "[1,2"),
            ("dmarc", '["a", "b", "c", "d", "e", "f", true, "", "", "", "", ""]'),
            ("tls", "[]"),
            ("tls", '["a", "x", "c", "d", "e", "f"]'),
            ("tls", '["a", "[]", "c", "d", "e", "f"]'),
            ("tls", '["a", "{}", "c", "d", "e", 1]'),
            ("tls", "[" * 5000 + "]" * 5000),
        ):
            self.assertRaises(LinkWrong, self.taken.take, Count(kind, self.day, 1, data))
        self.assertRaises(LinkWrong, read_line, b"count dmarc 1 1 {}")
        self.assertRaises(LinkWrong, read_line, b"count other 1 1 []")

    def test_who_counts(self) -> None:
        """Edges that check, stores in any case, nobody without the key."""
        on, off = Checks(enabled=True, dmarc_reports=True), Checks(enabled=False, dmarc_reports=True)
        for role, checks, expected in (
            ("all", on, True),
            ("all", off, False),
            ("edge", on, True),
            ("edge", off, False),
            ("store", off, True),
            ("store", replace(on, dmarc_reports=False), False),
        ):
            self.assertEqual(wanted(Config("mx.example.org", role=role, checks=checks)), expected, (role, checks))
