"""What people do with their mail becomes lessons: the real store tells, a filter that remembers is taught."""

from __future__ import annotations

from collections.abc import Sequence

from mailbox_appliance.journal.events.junk import LessonsLost, NotLearnt
from mailbox_appliance.junk import learning
from mailbox_appliance.junk.learning import Learner, lesson_of
from mailbox_appliance.mail.authfields import seen_words
from mailbox_appliance.mail.mailbox import INBOX
from mailbox_appliance.ports.habits import Filed, Opened
from mailbox_appliance.ports.store import FlagAction
from tests.junk.letters import advertisement, note
from tests.kit.fake_junk import FakeJunkFilter
from tests.store.kit import ANN, StoreCase, Watching, content, message

OURS = b"Authentication-Results: mx.test;\n\tspf=pass (fine) smtp.mailfrom=a.test;\n\tdkim=none; dmarc=fail header.from=b\n"


class LearningTests(StoreCase):
    """A person moves and marks; lessons follow a moment later."""

    def setUp(self) -> None:
        super().setUp()
        self.filter = FakeJunkFilter()
        self.learner = Learner(self.filter, self.shop.stores, self.shop.clock, self.shop.journal, "mx.test")
        self.shop.stores.habits.everybody.append(self.learner)

    def put(self, octets: bytes, mailbox: str = INBOX, *flags: str) -> int:
        (uid,) = self.shop.do(self.shop.store.append(mailbox, [message(octets.decode(), *flags)])).uids
        return uid

    def move(self, uids: Sequence[int], source: str, target: str, *, move: bool = True) -> Sequence[int]:
        box = self.shop.do(self.shop.store.open(source, Watching()))
        done = self.shop.do(box.copy(uids, target, move=move)).target_uids
        self.learn()
        return done

    def mark(self, uids: Sequence[int], mailbox: str, *flags: str, action: FlagAction = FlagAction.ADD) -> None:
        box = self.shop.do(self.shop.store.open(mailbox, Watching()))
        self.shop.do(box.mark(uids, action, flags))
        self.learn()

    def learn(self) -> None:
        for _ in range(50):
            self.shop.clock.advance(learning.PAUSE)

    def taught(self) -> dict[bytes, bool]:
        return {octets: junk for (account, octets), junk in self.filter.taught.items() if account == ANN}

    def test_moved_to_junk_and_back(self) -> None:
        """MOVE to Junk teaches junk, MOVE back teaches the contrary, MOVE from Junk to Trash teaches nothing."""
        uids = self.move([self.put(advertisement())], INBOX, "Junk")
        self.assertEqual(self.taught(), {advertisement(): True})
        uids = self.move(uids, "Junk", INBOX)
        self.assertEqual(self.taught(), {advertisement(): False})
        self.filter.taught.clear()
        self.move(self.move(uids, INBOX, "Junk"), "Junk", "Trash")
        self.assertEqual(self.taught(), {advertisement(): True})

    def test_copied_to_junk(self) -> None:
        """Programs without MOVE copy, then delete: the copy is the lesson."""
        self.move([self.put(advertisement())], INBOX, "Junk", move=False)
        self.assertEqual(self.taught(), {advertisement(): True})

    def test_filed_away(self) -> None:
        """Who files a letter from INBOX into a folder of his own wants it; Trash says nothing."""
        self.move([self.put(note(1))], INBOX, "Archive")
        self.move([self.put(note(2))], INBOX, "Trash")
        self.assertEqual(self.taught(), {note(1): False})

    def test_keywords(self) -> None:
        """$Junk, Junk, $NotJunk as programs spell them; other keywords and system flags say nothing."""
        for keyword, junk in (
            ("$Junk", True),
            ("$NotJunk", False),
            ("JUNK", True),
            ("$Label1", None),
            ("\\Seen", None),
        ):
            self.filter.taught.clear()
            self.mark([self.put(advertisement())], INBOX, keyword)
            self.assertEqual(self.taught(), {} if junk is None else {advertisement(): junk}, keyword)

    def test_taken_away_or_both(self) -> None:
        """A keyword taken away, or both at once, says nothing."""
        uid = self.put(advertisement(), INBOX, "$Junk")
        self.mark([uid], INBOX, "$Junk", action=FlagAction.REMOVE)
        self.mark([uid], INBOX, "$Junk", "$NotJunk")
        self.assertEqual(self.taught(), {})

    def test_nonjunk_of_a_program(self) -> None:
        """NonJunk, which programs set on all that passes, counts in Junk and where the contrary was learnt."""
        uid = self.put(note())
        self.mark([uid], INBOX, "NonJunk")
        self.assertEqual(self.taught(), {})
        self.filter.taught[ANN, note()] = True
        self.mark([uid], INBOX, "NonJunk", action=FlagAction.REPLACE)
        self.assertEqual(self.taught(), {note(): True}, "nothing was changed, so nothing is told")
        self.mark([uid], INBOX, "NonJunk", action=FlagAction.REMOVE)
        self.mark([uid], INBOX, "NonJunk")
        self.assertEqual(self.taught(), {})
        self.mark([self.put(note(3), "Junk")], "Junk", "NonJunk")
        self.assertEqual(self.taught(), {note(3): False})

    def test_kept_letters(self) -> None:
        """Who shows junk only is taken to want what stayed in INBOX: answered, flagged, read and kept; each once."""
        old = self.shop.clock.seconds() - learning.KEPT_FOR - 60
        kept = {note(1): ("\\Answered",), note(2): ("\\Flagged",), note(3): ("\\Seen",)}
        for octets, flags in kept.items():
            self.shop.append(octets.decode(), *flags, date=old)
        for number, flags in enumerate((("\\Seen", "$Junk"), ("\\Answered", "\\Deleted"), ()), 4):
            self.shop.append(note(number).decode(), *flags, date=old)
        self.put(note(7), INBOX, "\\Seen")
        self.move([self.put(advertisement())], INBOX, "Junk")
        self.assertEqual(self.taught(), {advertisement(): True, note(2): False})
        for number in range(1, 4):
            self.move([self.put(advertisement(number))], INBOX, "Junk")
        wanted = {octets for octets, junk in self.taught().items() if not junk}
        self.assertEqual(wanted, {note(1), note(2), note(3)})

    def test_marked_by_delivery(self) -> None:
        """What delivery marks itself, and what a program appends, is no lesson."""
        place = self.shop.do(self.shop.depot.place(ANN, "Junk", content(advertisement()), frozenset({"$Junk"})))
        with open(place.final, "wb") as file:
            file.write(advertisement())
        self.shop.depot.arrived(place, content(advertisement()))
        self.put(note(), "Junk", "$Junk")
        self.shop.clock.advance(5)
        self.learn()
        self.assertEqual(self.taught(), {})

    def test_gone_meanwhile(self) -> None:
        """A mailbox that is deleted before the lesson: said in the journal, the next lesson is learnt."""
        self.shop.do(self.shop.store.create("Other"))
        self.learner.filed(Filed(ANN, "Junk", "Nowhere", (1,), moved=True))
        self.move([self.put(advertisement())], INBOX, "Junk")
        self.assertEqual(len(self.shop.journal.of(NotLearnt)), 1)
        self.assertEqual(self.taught(), {advertisement(): True})

    def test_bounded(self) -> None:
        """More than the line holds is let go, and said once."""
        many = tuple(range(1, learning.MOST_WAITING + 2))
        self.learner.filed(Filed(ANN, INBOX, "Junk", many, moved=True))
        self.learner.filed(Filed(ANN, INBOX, "Junk", many, moved=True))
        self.assertEqual(len(self.shop.journal.of(LessonsLost)), 1)
        self.assertTrue(self.learner.is_idle)

    def test_stopped(self) -> None:
        """After stop nothing is learnt any more, and no timer is left."""
        before = len(self.shop.clock.getDelayedCalls())
        self.learner.filed(Filed(ANN, INBOX, "Junk", (1,), moved=True))
        self.shop.do(self.learner.stop())
        self.assertEqual(len(self.shop.clock.getDelayedCalls()), before)
        self.learner.filed(Filed(ANN, INBOX, "Junk", (1,), moved=True))
        self.assertTrue(self.learner.is_idle)

    def test_select_is_told(self) -> None:
        """SELECT is told to whoever wants to know; EXAMINE is not."""
        told: list[Opened] = []
        self.learner.opened = told.append  # type: ignore[method-assign]
        self.shop.do(self.shop.store.open("Junk", Watching(), read_only=True))
        self.shop.do(self.shop.store.open("Junk", Watching()))
        self.assertEqual(told, [Opened(ANN, "Junk")])


class TableTests(StoreCase):
    """The table of moves, and what our own results on top of a message say."""

    def test_rows(self) -> None:
        """Each row of the table."""
        rows = {
            (INBOX, "Junk"): True,
            ("own", "Junk"): True,
            ("Trash", "Junk"): True,
            ("Rejects", "Junk"): True,
            ("Junk", "Junk"): None,
            ("Junk", INBOX): False,
            ("Junk", "own"): False,
            ("Junk", "Trash"): None,
            ("Rejects", INBOX): False,
            ("Rejects", "Trash"): None,
            (INBOX, "own"): False,
            (INBOX, "Sent"): None,
            (INBOX, "Drafts"): None,
            ("own", INBOX): None,
            ("Trash", INBOX): None,
        }
        for (source, target), junk in rows.items():
            self.assertIs(lesson_of(source, target), junk, f"{source} to {target}")

    def test_seen(self) -> None:
        """Only our own field counts, by whatever line ends; a message without one has none."""
        octets = (
            OURS
            + b"Authentication-Results: other.test; spf=fail\nFrom: x\n\nAuthentication-Results: mx.test; arc=pass\n"
        )
        wanted = ("dkim none", "dmarc fail", "spf pass")
        self.assertEqual(seen_words(octets, "mx.test"), wanted)
        self.assertEqual(seen_words(octets.replace(b"\n", b"\r\n"), "MX.test"), wanted)
        self.assertEqual(seen_words(octets, "test"), ())
        self.assertEqual(seen_words(b"", "mx.test"), ())
