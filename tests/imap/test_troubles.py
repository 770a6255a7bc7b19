"""The record of client troubles: how it is read, whom it concerns, and what the shipped one holds."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.assembly.clients import ClientRecord
from mailbox_appliance.config.model import Config
from mailbox_appliance.imap.capabilities import NAMES
from mailbox_appliance.imap.troubles import BadRecord, Trouble, hidden_and_behaviours, joined, read_record, shipped
from mailbox_appliance.journal.events.imap import ImapRecordUnreadable
from tests.imap.stage import World

ENTRY = '[[client]]\nid = "{}"\nclient = "{}"\nreason = "because"\n'


class RecordTests(SynchronousTestCase):
    """Reading."""

    def test_the_shipped_record(self) -> None:
        """It can be read; every entry says why, and does something; ids are unique."""
        found = read_record(shipped(), NAMES)
        self.assertEqual(len({one.id for one in found}), len(found))
        for one in found:
            self.assertGreater(len(one.reason), 20, one.id)
            self.assertTrue(one.hides or one.behaves, one.id)

    def test_whom_it_concerns(self) -> None:
        """Patterns in any case, versions by their numbers; no version means every version."""
        trouble = Trouble("mail*er", since="1.10", before="2.0.1")
        for name, version, concerned in (
            ("Mailer", "1.10", True),
            ("MAIL from a Player", "1.9", False),
            ("mailer", "2.0", True),
            ("mailer", "2.0.1", False),
            ("mailer", "v2.0.0-beta", True),
            ("mailer", "", True),
            ("mailer", "unknown", True),
            ("mailers", "1.10", False),
            ("", "1.10", False),
            ("mailer", "9" * 5000, False),
        ):
            self.assertEqual(trouble.concerns(name, version), concerned, (name, version[:20]))

    def test_added_up(self) -> None:
        """All entries that concern a program count."""
        troubles = (
            Trouble("a*", frozenset({"MOVE"})),
            Trouble("ab*", frozenset({"QUOTA"}), frozenset({"idle-apart"})),
            Trouble("c", frozenset({"SORT"})),
        )
        self.assertEqual(
            hidden_and_behaviours(troubles, "abc", ""), (frozenset({"MOVE", "QUOTA"}), frozenset({"idle-apart"}))
        )

    def test_the_owners_entries_win(self) -> None:
        """By id; others are added."""
        ours = (Trouble("a", frozenset({"MOVE"}), id="x"), Trouble("b", id="y"))
        theirs = (Trouble("a", id="x"), Trouble("c", id="z"))
        self.assertEqual(
            [(one.id, set(one.hides)) for one in joined(ours, theirs)], [("x", set()), ("y", set()), ("z", set())]
        )

    def test_bad_records(self) -> None:
        """Each fault is named with its entry."""
        good = ENTRY.format("x", "y")
        for text, words in (
            ("[[client", "no TOML"),
            ("colour = 1", "[[client]]"),
            ("client = 3", "[[client]]"),
            ('[[client]]\nid = "x"\nclient = "y"\n', "reason is missing"),
            (good + 'hides = ["MOOVE"]\n', "MOOVE is no capability"),
            (good + 'hides = "MOVE"\n', "list of texts"),
            (good + "hides = [1]\n", "list of texts"),
            (good + 'before = "soon"\n', "no version"),
            (good + 'behaves = ["well"]\n', "no behaviour"),
            (good + 'hide = ["MOVE"]\n', "hide is not known"),
            (good + good + "client = 1\n", "no TOML"),
            (good + ENTRY.format("", "y"), "entry 2"),
            (good * 1001, "more than"),
        ):
            with self.assertRaises(BadRecord) as caught:
                read_record(text, NAMES)
            self.assertIn(words, str(caught.exception))
        (one,) = read_record(good + 'hides = ["move", "imap4REV2"]\n', NAMES)
        self.assertEqual(one.hides, {"MOVE", "IMAP4rev2"})


class PartTests(SynchronousTestCase):
    """Joined to the station."""

    def setUp(self) -> None:
        self.world = World()
        self.path = Path(self.mktemp())
        self.part = ClientRecord(str(self.path), self.world.house, self.world.workers, self.world.journal)  # type: ignore[arg-type]

    def start(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.part.start()))

    def ids(self) -> list[str]:
        return [one.id for one in self.world.house.settings.troubles]

    def test_both_records(self) -> None:
        """The owner's file is read at start and again at reload; a broken one is told, and ours counts."""
        self.start()
        ours = self.ids()
        self.assertIn("microsoft-uidonly", ours)
        self.path.write_text(ENTRY.format("mine", "y"))
        self.part.take_over(Config("mx.example.org"))
        self.assertEqual(self.ids(), [*ours, "mine"])
        for broken in (b"\xff", b"[[", b"#" * 1_000_001):
            self.path.write_bytes(broken)
            self.part.take_over(Config("mx.example.org"))
            self.assertEqual(self.ids(), ours)
        self.assertEqual(len(self.world.journal.of(ImapRecordUnreadable)), 3)
        os.unlink(self.path)
        self.start()
        self.assertEqual(self.ids(), ours)
