"""The tracker against a model: a client which believes what it is told always knows the right messages."""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.imap.tracker import Tracker

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.integers(1, 3)),
        st.tuples(st.just("expunge"), st.sets(st.integers(1, 30), min_size=1, max_size=4)),
        st.tuples(st.just("grow"), st.none()),
        st.tuples(st.just("tell"), st.none()),
    ),
    max_size=40,
)


class TrackerTests(SynchronousTestCase):
    """Sequence numbers of one session."""

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, 10), STEPS)
    def test_a_client_that_believes_knows_all(self, start: int, steps: list[tuple[str, object]]) -> None:
        """After any mixture of changes and tellings the client's own list is the tracker's view."""
        mailbox = array("I", range(1, start + 1))
        uidnext = start + 1
        tracker = Tracker(mailbox)
        client = list(mailbox)
        for what, argument in steps:
            if what == "arrive":
                assert isinstance(argument, int)
                mailbox.extend(range(uidnext, uidnext + argument))
                uidnext += argument
            elif what == "expunge":
                assert isinstance(argument, set)
                gone = [uid for uid in mailbox if uid in argument]
                if gone:
                    mailbox = array("I", [uid for uid in mailbox if uid not in argument])
                    tracker.expunged(gone)
            elif what == "tell":
                numbers, uids = tracker.tell_expunges(mailbox)
                self.assertEqual(len(numbers), len(uids))
                told = {client[number - 1] for number in numbers if number <= len(client)}
                for number in numbers:
                    client.pop(number - 1)
                self.assertEqual(told, set(uids))
                self.assertFalse(tracker.owes_expunges)
                if tracker.grow(mailbox):
                    client = client + list(mailbox[len(client) : tracker.count])
                self.assertEqual(client, list(mailbox))
                self.assertFalse(tracker.differs(mailbox))
            elif tracker.grow(mailbox):
                self.assertEqual(list(mailbox[: len(client)]), client)
                client = list(mailbox[: tracker.count])
            self.assertEqual(list(tracker.uids[: tracker.count]), client)
            for place, uid in enumerate(client):
                self.assertEqual(tracker.place(uid), place)
                self.assertEqual(tracker.is_gone(uid), uid not in mailbox)

    def test_numbers_are_said_from_the_end(self) -> None:
        """Each EXPUNGE is right after those before it, because the highest goes first."""
        tracker = Tracker(array("I", [10, 20, 30, 40]))
        tracker.expunged([20, 40])
        self.assertEqual(tracker.tell_expunges(array("I", [10, 30])), ([4, 2], [20, 40]))

    def test_forgotten_notes(self) -> None:
        """When the store forgot to say what went, the arrays are believed."""
        tracker = Tracker(array("I", [1, 2, 3]))
        tracker.expunged([1])
        self.assertEqual(tracker.tell_expunges(array("I", [3])), ([2, 1], [1, 2]))
        self.assertEqual(list(tracker.uids[: tracker.count]), [3])

    def test_never_told_of(self) -> None:
        """A message that came and went before it was told is no EXPUNGE and no gap."""
        uids = array("I", [1, 2])
        tracker = Tracker(uids)
        uids.append(3)
        tracker.expunged([3])
        new = array("I", [1, 2, 4])
        self.assertFalse(tracker.owes_expunges)
        self.assertTrue(tracker.grow(new))
        self.assertEqual(list(tracker.uids[: tracker.count]), [1, 2, 4])

    def test_recent(self) -> None:
        """\\Recent is a matter of ranges: what another session claimed in between is not ours."""
        uids = array("I", [1, 2, 3])
        tracker = Tracker(uids)
        tracker.claim(3)
        self.assertEqual([tracker.is_recent(uid) for uid in (2, 3)], [False, True])
        uids.extend([4, 5])
        tracker.grow(uids)
        tracker.claim(5)
        self.assertEqual(tracker.recent_ranges, ((3, 3), (5, 5)))
        self.assertEqual(tracker.recent_count, 2)
        tracker.claim(6)
        self.assertEqual(tracker.recent_count, 2)
        self.assertEqual(tracker.recent_from, 3)
