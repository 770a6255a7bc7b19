"""Processes beside the service read messages: the same answers, and the service's own eyes whenever one fails."""

from __future__ import annotations

import os
import sys
import tempfile
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.text import casemap, field_texts
from mailbox_appliance.store import sift, sifter, sifters, texts
from mailbox_appliance.store.mailbox import OpenMailbox
from mailbox_appliance.store.sifters import Sifters
from tests.store.kit import Shop, StoreCase, message
from tests.store.test_words import bodies, needles, read_all


class SameAnswersTests(SynchronousTestCase):
    """Random mailboxes and needles, with a process that reads."""

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.tuples(bodies, bodies), min_size=1, max_size=6), st.lists(needles, min_size=1, max_size=3),
           st.booleans(), st.integers(1, 3))  # fmt: skip
    def test_same(self, mails: list[tuple[str, str]], wanted: list[str], word_index: bool, at_once: int) -> None:
        """At every moment of a half built index."""
        self.patch(texts, "FEW", 0)
        self.patch(texts, "SIFTED_AT_ONCE", at_once)
        with tempfile.TemporaryDirectory() as folder:
            shop = Shop(folder, sifters=1, word_index=word_index)
            try:
                for subject, body in mails:
                    text = f"Subject: {subject}\nContent-Type: text/plain; charset=utf-8\n\n{body}\n"
                    shop.do(shop.store.append("INBOX", [message(text)]))
                box = shop.open()
                for step in range(3):
                    for needle in wanted:
                        for key, whole in ((keys.InBody(needle), False), (keys.InText(needle), True)):
                            found = list(shop.do(box.search(key, box.uids, 1)))
                            self.assertEqual(found, read_all(shop, box, needle, whole), (step, needle, whole))
                    if word_index:
                        shop.do(texts.feed_some(box, 1))
            finally:
                shop.stores.stop()


class HeaderTests(SynchronousTestCase):
    """A header that lacks the needle for certain is not taken apart."""

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.sampled_from(["a", "b ", ":", ": ", "\n ", "\n\t", "\n", " ", "=?utf-8?q?a?=", "\r\n", "\u00e9", "x"]),
           max_size=12).map("".join), st.text("abx: \n\t\u00c9", min_size=1, max_size=4))  # fmt: skip
    def test_same(self, header: str, needle: str) -> None:
        octets = f"n: {header}\n\n".encode()
        needle = casemap(needle)
        expected = any(needle in casemap(text) for text in field_texts(octets[: header_end(octets)]))
        self.assertEqual(sift.holds(octets[: header_end(octets)], needle, whole=True), expected)


class SifterTests(StoreCase):
    """What may go wrong, and how it ends."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(texts, "FEW", 0)
        self.reopen(sifters=1)
        for number in range(3):
            self.shop.append(f"Subject: a\n\nquick brown fox{number}\n")
        self.box: OpenMailbox = self.shop.open()
        self.sifters: Sifters = self.shop.store.ground.sifters

    def search(self, needle: str = "brown fox") -> list[int]:
        return list(self.shop.do(self.box.search(keys.InBody(needle), self.box.uids, 1)))

    def test_the_reactor_reads_nothing(self) -> None:
        """Nothing is decoded here."""
        with mock.patch.object(texts, "holds", None), mock.patch.object(texts, "texts_of", None):
            self.assertEqual(self.search(), [1, 2, 3])
        self.assertEqual(len(self.sifters._free), 1)

    def test_fed(self) -> None:
        """What it reads for a search goes into the word index."""
        self.search()
        self.patch(texts, "batches", None)
        self.assertEqual(self.search("row"), [1, 2, 3])

    def test_fed_on(self) -> None:
        """After a search the rest is fed while others are at work."""
        self.patch(texts, "FED_ON_AT_ONCE", 1)
        texts.feed_on(self.box)
        self.assertTrue(self.box.feeds_on)
        for _ in range(20):
            self.shop.stores.pulse.touch()
            self.shop.clock.advance(texts.LEAST_PAUSE)
        self.assertFalse(self.box.feeds_on)
        self.assertFalse(self.box.wants_feeding)

    def test_many(self) -> None:
        """Where many lack, searches only read, and feeding goes on beside them until they are answered at once."""
        self.patch(texts, "FED_ALONG", 2)
        for _ in range(2):
            self.assertEqual(self.search("rown"), [1, 2, 3])
            self.assertTrue(self.box.feeds_on)
        self.assertTrue(self.box.wants_feeding)
        for _ in range(20):
            self.shop.stores.pulse.touch()
            self.shop.clock.advance(texts.LEAST_PAUSE)
        self.assertFalse(self.box.feeds_on)
        self.assertEqual(self.box.feeds_along, 0)
        self.patch(texts, "batches", None)
        self.assertEqual(self.search("rown"), [1, 2, 3])

    def test_killed(self) -> None:
        """A process that was killed costs nothing but time; after a rest there is another."""
        self.search()
        self.sifters._free[0]._popen.kill()
        self.shop.append("Subject: a\n\nbrown fox too\n")
        self.assertEqual(self.search(), [1, 2, 3, 4])
        self.assertFalse(self.sifters.are_there)
        self.assertEqual(self.search(), [1, 2, 3, 4])
        self.shop.clock.advance(sifters.REST)
        self.assertTrue(self.sifters.are_there)
        self.assertEqual(self.search(), [1, 2, 3, 4])
        self.assertEqual(len(self.sifters._free), 1)

    def test_no_python(self) -> None:
        """It cannot be started: the service reads."""
        self.patch(sys, "executable", os.path.join(self.shop.folder, "nothing"))
        self.assertEqual(self.search(), [1, 2, 3])
        self.assertFalse(self.sifters.are_there)

    def test_renamed_meanwhile(self) -> None:
        """A file that another program has given flags is found by the service itself; one that is gone is left out."""
        names = sorted(self.shop.files())
        os.rename(os.path.join(self.shop.root, names[0]), os.path.join(self.shop.root, names[0] + "F"))
        os.unlink(os.path.join(self.shop.root, names[1]))
        self.assertEqual(self.search(), [1, 3])

    def test_sleep(self) -> None:
        """Nobody searches any more: it ends."""
        self.search()
        process = self.sifters._free[0]._popen
        self.shop.clock.advance(sifters.IDLE)
        self.assertEqual(self.sifters._free, [])
        self.assertIsNotNone(process.returncode)

    def test_stop(self) -> None:
        """It ends with the service."""
        self.search()
        process = self.sifters._free[0]._popen
        self.shop.stores.stop()
        self.assertIsNotNone(process.returncode)
        self.assertFalse(self.sifters.are_there)

    def test_large(self) -> None:
        """What is too large for the word index is fed as such once, and read."""
        self.shop.append("Subject: a\n\n" + "x" * sift.SEAM + "brown fox\n")
        while self.box.wants_feeding:
            self.shop.do(texts.feed_some(self.box, 2))
        self.assertEqual(self.search("rown"), [1, 2, 3, 4])

    def test_answers(self) -> None:
        """The process's own part: texts where they are wanted, UNREAD for what is not there."""
        path = os.path.join(self.shop.folder, "one")
        with open(path, "wb") as file:
            file.write(b"Subject: hay\n\n" + b"needle\n" * 40_000)
        asked: sifter.Question = ("NEEDLE", False, True, [path, path + "x"])
        found, made = sifter.answer(asked)
        self.assertEqual(found, bytes([sifter.YES, sifter.UNREAD]))
        self.assertEqual(made, [("SUBJECT: HAY", made[0][1] if made[0] else ""), None])
        self.assertEqual(sifter.answer(("HAY", True, False, [path])), (bytes([sifter.YES]), []))
        self.assertEqual(sifter.answer(("HAY", False, False, [path])), (bytes([sifter.NO]), []))
        self.assertEqual(sifter.answer(("", False, False, [path])), (bytes([sifter.NO]), []))
