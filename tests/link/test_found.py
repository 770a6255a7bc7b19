"""Delivered just before a kill? The mailbox itself is looked at, and the table beside the queue."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.link.found import LONGEST_HEADER, MARGIN, is_in_maildir
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.rounds import Commit
from mailbox_appliance.queue.schedule import DAY
from mailbox_appliance.queue.taken import KEPT_DAYS, CameOver
from tests.kit.post_office import NOW, PostOffice, now

ID = "b0kz7qhx2a"
ANN, BOB = Address("ann", "example.org"), Address("bob", "example.org")
RECEIVED = b"Received: from far.example\n\tby mx.example.org with ESMTPS\n\tid %s for <ann@example.org>; now\n"


class FoundTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.maildir = Path(self.mktemp())

    def put(self, folder: str, name: str, header: bytes) -> None:
        place = self.maildir / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(header + b"From: x@far.example\n\nbody\n")

    def look(self, since: float = NOW, id: str = ID) -> bool:
        return is_in_maildir(str(self.maildir), id, since)

    def test_where_it_is(self) -> None:
        """In any folder, new or seen, whatever a rule or a person has done with it since."""
        for folder in ("new", "cur", ".Junk/cur", ".Lists.family/new"):
            self.put(folder, f"{int(NOW)}.M1P2.host,S=9", RECEIVED % ID.encode())
            self.assertTrue(self.look(), folder)
            os.unlink(self.maildir / folder / f"{int(NOW)}.M1P2.host,S=9")
        self.assertFalse(self.look())

    def test_another_one(self) -> None:
        """A longer id, an id in the body or in a Subject, an older file, and tmp/ are not it."""
        self.put("new", f"{int(NOW)}.M1P2.host", RECEIVED % (ID + "x").encode())
        self.put("new", f"{int(NOW)}.M2P2.host", b"Subject: id " + ID.encode() + b"\n")
        self.put("cur", f"{int(NOW - MARGIN - 5)}.M3P2.host", RECEIVED % ID.encode())
        self.put("tmp", f"{int(NOW)}.M4P2.host", RECEIVED % ID.encode())
        self.put("new", "no-time.host", RECEIVED % ID.encode())
        self.put("new", f"{int(NOW)}.M5P2.host", b"X: y\n" * LONGEST_HEADER + RECEIVED % ID.encode())
        self.assertFalse(self.look())

    def test_clocks_differ(self) -> None:
        """The edge's clock may be ahead of the store's."""
        self.put("new", f"{int(NOW - MARGIN + 60)}.M1P2.host", RECEIVED % ID.encode())
        self.assertTrue(self.look())

    def test_nothing_there(self) -> None:
        """No mailbox yet, and an id that is no pattern."""
        self.assertFalse(is_in_maildir(str(self.maildir / "none"), ID, NOW))
        self.put("new", f"{int(NOW)}.M1P2.host", RECEIVED % ID.encode())
        self.assertFalse(self.look(id=".*"))


class TakenTests(SynchronousTestCase):
    """ports.link.TakenOver, filled by the queue's database."""

    def setUp(self) -> None:
        self.office = PostOffice(self.mktemp(), start=False)
        self.taken = CameOver(self.office.spool, self.office.clock)
        self.addCleanup(self.shut)

    def shut(self) -> None:
        self.office.close()

    def take(self, id: str, *paths: Address) -> None:
        now(self.office.rounds.commit(Commit(rows=(self.taken.rows(id, paths),))))

    def test_remembered(self) -> None:
        """By id and recipient, whatever the case, in the round's own transaction, over a restart, and twice no harm."""
        self.assertEqual(now(self.taken.known("a", [ANN, BOB])), frozenset())
        self.take("a", ANN)
        self.take("a", ANN)
        self.assertEqual(
            now(self.taken.known("a", [Address("ANN", "example.org"), BOB])), {Address("ANN", "example.org")}
        )
        self.assertEqual(now(self.taken.known("b", [ANN])), frozenset())
        self.office.close()
        self.office = PostOffice(self.office.root, start=False)
        self.taken = CameOver(self.office.spool, self.office.clock)
        self.assertEqual(now(self.taken.known("a", [ANN, BOB])), {ANN})

    def test_forgotten(self) -> None:
        """Not before the edge has given up its mail, which is after fourteen days."""
        self.assertGreater(KEPT_DAYS, 14)
        self.take("a", ANN)
        self.office.clock.advance(14 * DAY + 3600)
        self.take("b", ANN)
        self.assertEqual(now(self.taken.forget_old()), 0)
        self.office.clock.advance(DAY)
        self.assertEqual(now(self.taken.forget_old()), 1)
        self.assertEqual(now(self.taken.known("a", [ANN])), frozenset())
        self.assertEqual(now(self.taken.known("b", [ANN])), {ANN})

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([ANN, BOB])), max_size=8))
    def test_as_a_set(self, pairs: list[tuple[str, Address]]) -> None:
        """It is a set of pairs and nothing more."""
        prefix = os.urandom(4).hex()
        for id, path in pairs:
            self.take(prefix + id, path)
        for id in "abc":
            expected = {path for one, path in pairs if one == id}
            self.assertEqual(now(self.taken.known(prefix + id, [ANN, BOB])), expected)
