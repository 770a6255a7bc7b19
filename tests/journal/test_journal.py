"""One event: one line, one count, one step."""

from __future__ import annotations

import io
import os
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.journal.bridge import LogBridge
from mailbox_appliance.journal.counters import MOST_LABELINGS, Counters
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.journal.lines import LineWriter
from mailbox_appliance.journal.trail import MIGRATIONS, Trail
from mailbox_appliance.mail.address import AddressError
from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass
from tests.kit.workers import InlineWorkers


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Event):
    """A message was taken."""

    name: ClassVar[str] = "test.accepted"
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    service: str
    peer: str = ""
    sender: str = ""
    recipient: tuple[str, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Whispered(Event):
    """Only for those who look closely."""

    name: ClassVar[str] = "test.whispered"
    level: ClassVar[Level] = Level.DEBUG


class JournalTests(SynchronousTestCase):
    """The journal with all it fills."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.out = io.StringIO()
        database = Database(self.mktemp(), MIGRATIONS, InlineWorkers())
        self.addCleanup(database.close)
        self.trail = Trail(database, self.clock)
        self.journal = Journal(self.clock, LineWriter(self.out, self.clock), self.trail)

    def lines(self) -> list[str]:
        self.journal.flush()
        lines = self.out.getvalue().splitlines()
        self.out.seek(0)
        self.out.truncate()
        return lines

    def found(self, text: str) -> list[tuple[str, str]]:
        steps = self.successResultOf(Deferred.fromCoroutine(self.journal.search(text)))
        return [(step.name, step.facts) for step in steps]

    def test_one_event(self) -> None:
        """Line, count and step say the same; empty fields are left out, a zero is not."""
        event = Accepted(trace="0k3aaaaaaaaaaa", service="smtp", sender="ann@example.org", recipient=("b@c.example",))
        self.journal.tell(event)
        facts = "service=smtp sender=ann@example.org recipient=b@c.example size=0"
        self.assertEqual(self.lines(), [f"1970-01-01T00:00:00.000Z info test.accepted trace=0k3aaaaaaaaaaa {facts}"])
        self.assertEqual(self.journal.counters.of("test.accepted", ("smtp",)), 1)
        self.assertEqual(self.found("b@c.example"), [("test.accepted", facts)])

    def test_traceless(self) -> None:
        """Without a trace id, what has a peer is found by it; what has no searched field is no step."""
        self.journal.tell(Accepted(service="smtp", peer="192.0.2.1"))
        self.journal.tell(Accepted(service="smtp"))
        self.assertEqual(len(self.found("192.0.2.1")), 1)
        self.assertEqual(len(self.lines()), 2)

    def test_quiet(self) -> None:
        """An event below the level is counted only."""
        self.journal.tell(Whispered(trace="0k3aaaaaaaaaaa"))
        self.assertEqual(self.lines(), [])
        self.assertEqual(self.journal.counters.of("test.whispered"), 1)
        self.assertEqual(self.found("0k3aaaaaaaaaaa"), [])

    def test_injection(self) -> None:
        """A peer's words cannot forge a line or a field."""
        self.journal.tell(Accepted(service="smtp", sender='x" level=error\r\n2026 forged trace=1'))
        (line,) = self.lines()
        self.assertEqual(line.count("\r") + line.count("\n"), 0)
        self.assertIn('sender="x\\" level=error\\x0d\\x0a2026 forged trace=1"', line)

    def test_broken(self) -> None:
        """Types and frames are told; words that may hold content are not."""
        try:
            int("my password is swordfish")
        except ValueError as error:
            self.journal.broken("smtp", error, trace="0k3aaaaaaaaaaa")
        (line,) = self.lines()
        self.assertIn("error journal.broken trace=0k3aaaaaaaaaaa where=smtp error=ValueError at=", line)
        self.assertIn("test_journal.py:", line)
        self.assertNotIn("swordfish", line)

    def test_broken_with_words_of_ours(self) -> None:
        """Our own exceptions and the system's are told whole, and what is behind them by type."""
        try:
            try:
                os.stat("/nowhere/x")
            except OSError as error:
                raise AddressError("no @ in it") from error
        except AddressError as error:
            self.journal.broken("smtp", error)
        (line,) = self.lines()
        self.assertIn('text="no @ in it"', line)
        self.assertIn('because="FileNotFoundError ', line)
        try:
            os.stat("/nowhere/x")
        except OSError as error:
            self.journal.broken("store", error)
        self.assertIn('text="No such file or directory: /nowhere/x"', self.lines()[0])

    def test_storm(self) -> None:
        """Of a thousand like exceptions five are told a minute; the next line tells how many were not."""

        def storm(number: int) -> None:
            for _ in range(number):
                try:
                    raise KeyError("secret")
                except KeyError as error:
                    self.journal.broken("imap", error)

        storm(1000)
        self.assertEqual(len(self.lines()), 5)
        self.assertEqual(self.journal.counters.of("journal.broken", ("imap",)), 1000)
        self.clock.advance(61)
        storm(1)
        self.assertIn("unsaid=995", self.lines()[0])

    def test_twisted(self) -> None:
        """Twisted's own log comes in: unhandled errors as broken, warnings as remarks, the rest not at all."""
        log = Logger("twisted.test", observer=LogPublisher(LogBridge(self.journal)))
        log.info("Starting factory {name}", name="x")
        log.warn("something {what}\nodd", what="is")
        log.failure("Unhandled Error", failure=Failure(ValueError("swordfish")))
        log.emit(LogLevel.critical, "the end")
        lines = self.lines()
        self.assertEqual(len(lines), 3)
        self.assertIn('warning journal.remarked by=twisted.test text="something is\\x0aodd"', lines[0])
        self.assertIn("journal.broken where=twisted.test error=ValueError", lines[1])
        self.assertNotIn("swordfish", "".join(lines))

    def test_trail_trouble_is_a_line(self) -> None:
        """Lost steps are said in the log, and not to the trail that lost them."""
        self.journal.trail_lost(7, "disk is full")
        self.assertEqual(
            self.lines(), ['1970-01-01T00:00:00.000Z warning journal.trail_lost steps=7 reason="disk is full"']
        )

    def test_stop(self) -> None:
        """Stopping writes everything out; a late event is still a line."""
        self.journal.start()
        self.journal.tell(Accepted(trace="0k3aaaaaaaaaaa", service="smtp"))
        self.successResultOf(Deferred.fromCoroutine(self.journal.stop()))
        self.journal.tell(Accepted(service="imap"))
        self.assertEqual(len(self.lines()), 2)
        self.assertEqual(len(self.successResultOf(Deferred.fromCoroutine(self.trail.search("0k3aaaaaaaaaaa")))), 1)


class CountersTests(SynchronousTestCase):
    """Counts are bounded."""

    def test_bounded(self) -> None:
        """Labels beyond the bound are counted together."""
        counters = Counters()
        for number in range(1000):
            counters.add("a.b", (str(number), "x"))
        self.assertEqual(counters.of("a.b"), 1000)
        self.assertEqual(counters.of("a.b", ("other", "other")), 1000 - MOST_LABELINGS)
        self.assertEqual(len(counters.snapshot()["a.b"]), MOST_LABELINGS + 1)
        self.assertEqual(counters.of("c.d"), 0)


class CatalogueTests(SynchronousTestCase):
    """Every kind of event in journal/events."""

    def test_each_has_a_name_and_a_sentence(self) -> None:
        """Names are station.what and unique; the sentence can be read to the owner; labels are fields."""
        import importlib
        import pkgutil
        import re
        from dataclasses import fields

        from mailbox_appliance.journal import events

        seen: dict[str, str] = {}
        for module in pkgutil.iter_modules(events.__path__):
            for value in vars(importlib.import_module(f"{events.__name__}.{module.name}")).values():
                if not (isinstance(value, type) and issubclass(value, Event)) or value is Event:
                    continue
                where = f"{value.__module__}.{value.__name__}"
                if value.__module__ != f"{events.__name__}.{module.name}" or value.name == Event.name:
                    continue
                self.assertTrue(re.fullmatch(r"[a-z]+\.[a-z][a-z0-9_]*|ready", value.name), where)
                self.assertNotIn(value.name, seen, f"{where} and {seen.get(value.name)}")
                seen[value.name] = where
                self.assertRegex((value.__doc__ or "").split("\n\n")[0].strip(), r"(?s)^[A-Z\"`].*\.$", where)
                self.assertFalse(set(value.counted_by) - {field.name for field in fields(value)}, where)
        self.assertGreater(len(seen), 5)
