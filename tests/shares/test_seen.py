"""Read marks of one's own: kept over everything, told at once, and exact for clients that resynchronize."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.mailbox import SEEN
from mailbox_appliance.ports.store import Mailbox
from mailbox_appliance.shares.mailbox import SharedMailbox
from tests.imap.stage import ImapStage
from tests.shares.stage import ANN, BEN, EVE, Family

HOLIDAY = "Other Users.ann.Holiday"
_FETCHED = re.compile(r"\* \d+ FETCH \(UID (\d+)(?: MODSEQ \((\d+)\))? FLAGS \(([^)]*)\)(?: MODSEQ \((\d+)\))?\)")


class SeenTests(SynchronousTestCase):
    """Ann shares Holiday with Ben and Eve."""

    def setUp(self) -> None:
        self.world = world = Family()
        world.share("Holiday", "lrswite", BEN)
        world.share("Holiday", "lrs", EVE)
        world.deliver(ANN, "Holiday", "plain", "short", "reply")
        self.addCleanup(lambda: self.assertEqual(world.journal.failures, []))

    def unseen(self, *people: object) -> list[str]:
        found = []
        for who in (ANN, BEN, EVE):
            name = "Holiday" if who == ANN else HOLIDAY
            found.append(re.findall(r"UNSEEN (\d+)", self.world.asks(who, f'STATUS "{name}" (UNSEEN)'))[0])
        return found

    def test_everybody_for_himself(self) -> None:
        """What one has read is new for the others."""
        self.world.does(BEN, f'SELECT "{HOLIDAY}"')
        self.world.does(BEN, "STORE 1:2 +FLAGS (\\Seen)")
        self.world.does(EVE, f'SELECT "{HOLIDAY}"')
        self.world.does(EVE, "FETCH 3 BODY[TEXT]")
        self.assertEqual(self.unseen(), ["3", "1", "2"])
        self.world.does(BEN, "STORE 2 -FLAGS (\\Seen)")
        self.assertEqual(self.unseen(), ["3", "2", "2"])
        self.assertEqual([m.flags & SEEN for m in self.world.box_of(ANN, "Holiday").messages], [0, 0, 0])

    def test_replacing_flags_spares_the_owners_mark(self) -> None:
        """FLAGS (\\Flagged) by Ben takes his own mark and the other flags, never Ann's mark."""
        self.world.box_of(ANN, "Holiday").change(1, ["\\Seen", "\\Answered", "$Fun"])
        self.world.does(BEN, f'SELECT "{HOLIDAY}"')
        self.world.does(BEN, "STORE 1 FLAGS (\\Seen)")
        said = self.world.does(BEN, "STORE 1 FLAGS (\\Flagged)")
        self.assertIn("FLAGS (\\Flagged)", said)
        message = self.world.box_of(ANN, "Holiday").messages[0]
        self.assertEqual(self.world.box_of(ANN, "Holiday")._names(message.flags), ["\\Flagged", "\\Seen"])

    def test_marks_outlive_the_process_and_a_new_name(self) -> None:
        """They belong to the mailbox's id."""
        self.world.does(BEN, f'SELECT "{HOLIDAY}"')
        self.world.does(BEN, "STORE 1:2 +FLAGS (\\Seen)")
        self.world.start()
        self.assertEqual(self.unseen(), ["3", "1", "3"])
        self.world.does(ANN, "RENAME Holiday Trips")
        self.assertIn("UNSEEN 1", self.world.does(BEN, 'STATUS "Other Users.ann.Trips" (UNSEEN)'))
        self.assertIn("NONEXISTENT", self.world.asks(BEN, f'STATUS "{HOLIDAY}" (UNSEEN)'))

    def test_a_mailbox_renamed_while_it_is_open(self) -> None:
        """Ben's session goes on, under the new name."""
        self.world.does(BEN, f'SELECT "{HOLIDAY}"')
        self.world.does(ANN, "RENAME Holiday Trips")
        self.world.does(BEN, "STORE 1 +FLAGS (\\Seen \\Flagged)")
        self.assertIn("UNSEEN 2", self.world.does(BEN, 'STATUS "Other Users.ann.Trips" (UNSEEN)'))

    def idling(self, who: object) -> ImapStage:
        stage = self.world.log_in(who, HOLIDAY)  # type: ignore[arg-type]
        assert b"+" in stage.ask("i1 IDLE")
        return stage

    def test_idle(self) -> None:
        """Ben's other device hears of his marks; Eve hears of his flags and nothing of his marks, nor of Ann's."""
        ben, eve = self.idling(BEN), self.idling(EVE)
        self.world.does(BEN, f'SELECT "{HOLIDAY}"')
        self.world.does(BEN, "STORE 2 +FLAGS.SILENT (\\Seen)")
        self.assertEqual(ben.taken(), b"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n")
        self.assertEqual(eve.taken(), b"")
        self.world.does(BEN, "STORE 2 +FLAGS.SILENT (\\Flagged)")
        self.assertEqual(ben.taken(), b"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Seen))\r\n")
        self.assertEqual(eve.taken(), b"* 2 FETCH (UID 2 FLAGS (\\Flagged))\r\n")
        self.world.does(ANN, "SELECT Holiday")
        self.world.does(ANN, "STORE 1 +FLAGS (\\Seen)")
        self.assertEqual(ben.taken() + eve.taken(), b"")
        self.world.deliver(ANN, "Holiday", "short")
        self.assertEqual(ben.taken(), b"* 4 EXISTS\r\n* 0 RECENT\r\n")
        self.world.box_of(ANN, "Holiday").lose(1)
        self.world.clock.advance(0)
        self.assertEqual(eve.taken(), b"* 4 EXISTS\r\n* 0 RECENT\r\n* 1 EXPUNGE\r\n")

    def test_rights_taken_away(self) -> None:
        """Who may not read any longer is shown out at once; the file's own change is seen within half a minute."""
        ben, eve = self.idling(BEN), self.idling(EVE)
        self.world.does(ANN, "DELETEACL Holiday ben@example.org")
        self.assertIn(b"* BYE", ben.taken())
        self.assertEqual(eve.taken(), b"")
        box = self.world.box_of(ANN, "Holiday")
        self.world.papers._papers[box]["dovecot-acl"] = b"user=eve@example.org l\n"
        self.world.clock.advance(31)
        self.assertIn(b"* BYE", eve.taken())
        self.assertIn("NOPERM", self.world.asks(EVE, f'SELECT "{HOLIDAY}"'))

    def test_notify(self) -> None:
        """NOTIFY speaks of shared mailboxes when asked to by name, and of none as one's own."""
        self.world.does(BEN, f'NOTIFY SET (mailboxes "{HOLIDAY}" (MessageNew MessageExpunge FlagChange))')
        self.world.deliver(ANN, "Holiday", "short")
        self.assertIn(f'* STATUS "{HOLIDAY}" (MESSAGES 4', self.world.asks(BEN, "NOOP"))
        self.world.does(EVE, "NOTIFY SET (personal (MessageNew MessageExpunge))")
        self.world.deliver(ANN, "Holiday", "short")
        self.assertNotIn("STATUS", self.world.asks(EVE, "NOOP"))

    def test_appended(self) -> None:
        """A message that Ben puts in is read for Ben if he says so, and new for the others."""
        self.world.does(BEN, f'APPEND "{HOLIDAY}" (\\Seen \\Flagged $Fun) {{5+}}\r\na: b\n')
        self.assertEqual(self.unseen(), ["4", "3", "4"])
        box = self.world.box_of(ANN, "Holiday")
        self.assertEqual(box._names(box.messages[-1].flags), ["\\Flagged", "$Fun"])

    def test_sorted_and_searched(self) -> None:
        """SEARCH means the reader's own marks, SORT and THREAD work as in any mailbox."""
        self.world.does(BEN, f'SELECT "{HOLIDAY}"')
        self.world.does(BEN, "STORE 2 +FLAGS (\\Seen)")
        for key, found in (
            ("UNSEEN", "1 3"),
            ("SEEN", "2"),
            ("OR SEEN FROM foobar", "1 2"),
            ("NOT (UNSEEN SUBJECT meeting)", "2"),
            ("UNSEEN BODY yes", "3"),
            ("RECENT", ""),
            ("UNSEEN NEW", ""),
        ):
            self.assertIn(f"* SEARCH {found}".rstrip() + "\r\n", self.world.does(BEN, f"SEARCH {key}"), key)
        self.assertIn("* SORT 3 1\r\n", self.world.does(BEN, "SORT (REVERSE DATE) UTF-8 UNSEEN"))
        self.assertIn("* THREAD (1 3)", self.world.does(BEN, "THREAD REFERENCES UTF-8 UNSEEN"))


OPS = st.one_of(
    st.tuples(
        st.just("ben"), st.sampled_from(["+FLAGS (\\Seen)", "-FLAGS (\\Seen)", "FLAGS (\\Flagged)"]), st.integers(1, 4)
    ),
    st.tuples(
        st.just("ann"),
        st.sampled_from(["+FLAGS (\\Seen)", "-FLAGS (\\Seen)", "+FLAGS ($A)", "-FLAGS ($A)"]),
        st.integers(1, 4),
    ),
    st.tuples(st.sampled_from(["deliver", "sync", "restart"]), st.just(""), st.just(0)),
    st.tuples(st.just("lose"), st.just(""), st.integers(1, 4)),
)


class ResyncTests(SynchronousTestCase):
    """A client of Ben's that is away, and comes back with the highest modification sequence it was told."""

    @settings(max_examples=150, deadline=None)
    @given(st.lists(OPS, max_size=25))
    def test_nothing_is_missed(self, ops: list[tuple[str, str, int]]) -> None:
        """CHANGEDSINCE and VANISHED bring its copy up to what a new client would fetch."""
        world = Family()
        world.share("Holiday", "lrswite", BEN)
        world.deliver(ANN, "Holiday", "short", "short")
        copy: dict[int, str] = {}
        since = 0
        for who, what, number in [*ops, ("sync", "", 0)]:
            match who:
                case "deliver":
                    world.deliver(ANN, "Holiday", "short")
                case "lose":
                    if any(m.uid == number for m in world.box_of(ANN, "Holiday").messages):
                        world.box_of(ANN, "Holiday").lose(number)
                case "restart":
                    world.start()
                case "sync":
                    since = self.sync(world, copy, since)
                    fresh: dict[int, str] = {}
                    self.sync(world, fresh, 0)
                    self.assertEqual(copy, fresh)
                case _:
                    person = BEN if who == "ben" else ANN
                    world.does(person, f'SELECT "{HOLIDAY if who == "ben" else "Holiday"}"')
                    world.does(person, f"UID STORE {number} {what}")
        self.assertEqual(world.journal.failures, [])

    def sync(self, world: Family, copy: dict[int, str], since: int) -> int:
        stage = world.log_in(BEN)
        stage.ask("s1 ENABLE QRESYNC")
        said = stage.ask(f's2 SELECT "{HOLIDAY}"').decode()
        highest = int(re.findall(r"HIGHESTMODSEQ (\d+)", said)[0])
        self.assertGreaterEqual(highest, since)
        said = stage.ask(f"s3 UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)").decode()
        for ranges in re.findall(r"VANISHED \(EARLIER\) ([\d:,]+)", said):
            for part in ranges.split(","):
                low, _, high = part.partition(":")
                for uid in range(int(low), int(high or low) + 1):
                    copy.pop(uid, None)
        for uid, first, flags, second in _FETCHED.findall(said):
            self.assertLessEqual(int(first or second), highest)
            copy[int(uid)] = flags
        stage.ask("s4 LOGOUT")
        return highest


class WholeTests(SynchronousTestCase):
    """The wrapper is a whole Mailbox."""

    def test_every_member(self) -> None:
        """Whatever the port asks of a mailbox, a shared one has: a type checker cannot see it here."""
        wanted = {name for name in (*vars(Mailbox), *Mailbox.__annotations__) if not name.startswith("_")}
        made = {"flags", "modseqs"}
        self.assertEqual({name for name in wanted if not hasattr(SharedMailbox, name)}, made)
