"""The word index never changes an answer: it is compared with reading everything."""

from __future__ import annotations

import sqlite3
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.mailbox import DELETED
from mailbox_appliance.mail.text import casemap
from mailbox_appliance.ports.store import FlagAction
from mailbox_appliance.store import sift, texts, words
from mailbox_appliance.store.index_file import Index
from mailbox_appliance.store.mailbox import OpenMailbox
from mailbox_appliance.store.message_rows import MessageRow
from mailbox_appliance.store.sift import Texts
from tests.kit.workers import InlineWorkers
from tests.store.kit import ANN, Shop, StoreCase, message

SOME = [
    "abc",
    "ABCd",
    "xabcx",
    "1abc2",
    "Straße",
    "STRASSE",
    "café",
    "cafe\u0301",
    "漢字",
    "ﬁsh",
    "a-b",
    "abc.def",
    "zz",
]
some_words = st.sampled_from(SOME)
bodies = st.lists(some_words, max_size=6).map(" ".join)
needles = st.one_of(
    some_words,
    st.tuples(some_words, some_words).map(" ".join),
    some_words.flatmap(lambda word: st.integers(0, len(word) - 1).map(lambda at: word[at:])),
    st.sampled_from(["bc", "abc\r\ndef", "subject: abc", "Def", "q"]),
)


def read_all(shop: Shop, box: OpenMailbox, needle: str, whole: bool) -> list[int]:
    """The answer without any index."""
    found = []
    for file in shop.collect(box.files(list(box.uids))):
        octets = shop.do(file.read(0, file.size)).replace(b"\r\n", b"\n")
        if sift.holds(octets, casemap(needle), whole=whole):
            found.append(file.uid)
    return found


class SameAnswersTests(SynchronousTestCase):
    """Random mailboxes and needles."""

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(bodies, bodies), max_size=6), st.lists(st.tuples(bodies, bodies), max_size=3),
           st.lists(needles, min_size=1, max_size=4), st.sets(st.integers(1, 9), max_size=3))  # fmt: skip
    def test_same(
        self, first: list[tuple[str, str]], later: list[tuple[str, str]], wanted: list[str], gone: set[int]
    ) -> None:
        """Before it is built, half built, after messages went, in a copy, and in another life."""
        with tempfile.TemporaryDirectory() as folder:
            shop = Shop(folder)
            try:
                self._play(shop, first, later, wanted, gone)
            finally:
                shop.stores.stop()

    def _play(
        self,
        shop: Shop,
        first: list[tuple[str, str]],
        later: list[tuple[str, str]],
        wanted: list[str],
        gone: set[int],
    ) -> None:
        box = shop.open()
        for round_of in (first, later):
            for subject, body in round_of:
                text = f"Subject: {subject}\nContent-Type: text/plain; charset=utf-8\n\n{body}\n"
                shop.do(shop.store.append("INBOX", [message(text)]))
            self._compare(shop, box, wanted)
        shop.clock.advance(1)
        while shop.do(texts.feed_some(box, 2)):
            pass
        self._compare(shop, box, wanted)
        shop.do(box.copy(list(box.uids), "Archive"))
        shop.do(box.mark(sorted(gone), FlagAction.ADD, ["\\Deleted"]))
        shop.do(box.expunge())
        self.assertFalse(any(flags & DELETED for flags in box.flags))
        self._compare(shop, box, wanted)
        self._compare(shop, shop.open("Archive"), wanted)

    def _compare(self, shop: Shop, box: OpenMailbox, wanted: list[str]) -> None:
        for needle in wanted:
            for key, whole in ((keys.InBody(needle), False), (keys.InText(needle), True)):
                found = list(shop.do(box.search(key, box.uids, 1)))
                self.assertEqual(found, read_all(shop, box, needle, whole), (needle, whole))


class WordsTests(StoreCase):
    """The table itself."""

    def test_no_other_character_becomes_a_letter(self) -> None:
        """What the tokenizer folds never makes ASCII of what was none after casemapping."""
        others = [
            mapped
            for mapped in map(casemap, map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x20000)]))
            if not any(letter.isascii() and letter.isalnum() for letter in mapped)
        ]
        self.assertGreater(len(others), 100_000)
        store = Index(":memory:", InlineWorkers())

        def work(connection: sqlite3.Connection) -> list[str]:
            from mailbox_appliance.store import message_rows

            rows = [MessageRow(uid, f"f{uid}", False, 0, 1, 9, 9, 0, 0, 0) for uid in range(1, len(others) // 1000 + 2)]
            message_rows.insert_messages(connection, 1, rows)
            words.add(
                connection,
                1,
                [Texts(row.uid, "", " ".join(others[row.uid * 1000 - 1000 : row.uid * 1000])) for row in rows],
            )
            (text,) = connection.execute("SELECT group_concat(term, char(10)) FROM vocabulary").fetchone()
            return str(text).split("\n")

        terms = store.now(work)
        store.close()
        self.assertGreater(len(terms), 50_000)
        self.assertEqual([term for term in terms if any(c.isascii() and c.isalnum() for c in term)], [])

    def test_not_read_again(self) -> None:
        """Once built, a needle that is one word is answered without a file."""
        self.shop.append("Subject: a\n\nquick brown fox\n")
        box = self.shop.open()
        self.assertEqual(list(self.shop.do(box.search(keys.InBody("rown"), box.uids, 1))), [1])
        self.patch(texts, "read_files", None)
        self.assertEqual(list(self.shop.do(box.search(keys.InBody("rown"), box.uids, 1))), [1])
        self.assertEqual(list(self.shop.do(box.search(keys.InText("SUBJECT"), box.uids, 1))), [1])
        self.assertEqual(list(self.shop.do(box.search(keys.InBody("subject"), box.uids, 1))), [])

    def test_vocabulary(self) -> None:
        """In pieces or whole, read anew or with a few late messages, kept or too large to be kept: the same answers."""
        for late, piece, most in (
            (0, 1, 1 << 20),
            (2, 1, 1 << 20),
            (2, 1 << 20, 1 << 20),
            (64, 1 << 20, 1 << 20),
            (2, 1, 1),
        ):
            self.patch(words, "MOST_LATE", late)
            self.patch(words, "PIECE", piece)
            self.patch(words, "MOST_VOCABULARY", most)
            self.reopen()
            self.shop.store.ground.vocabularies.forget(str(ANN))
            box = self.shop.open()
            for number in range(4):
                self.shop.append(f"Subject: a\n\nword{number} fox{late}\n")
                for needle in ("word", f"ord{number}", f"fox{late}", "word9", "fox"):
                    found = list(self.shop.do(box.search(keys.InBody(needle), box.uids, 1)))
                    self.assertEqual(found, read_all(self.shop, box, needle, False), (late, piece, most, needle))

    def test_what_does_not_fit_is_read(self) -> None:
        """Endless words and texts are never added, and found all the same."""
        self.shop.append("Subject: a\n\n" + "x" * sift.SEAM + "needle\n")
        self.shop.append("Subject: b\n\n" + "needle in hay\n")
        box = self.shop.open()
        for _ in range(2):
            self.assertEqual(list(self.shop.do(box.search(keys.InBody("needle"), box.uids, 1))), [1, 2])

    def test_off(self) -> None:
        """Off by a setting, nothing is kept."""
        self.reopen(word_index=False)
        self.shop.append("Subject: a\n\nquick brown fox\n")
        box = self.shop.open()
        self.assertEqual(list(self.shop.do(box.search(keys.InBody("rown"), box.uids, 1))), [1])
        (held,) = self.shop.store.ground.index.now(lambda c: c.execute("SELECT count(*) FROM document").fetchone())
        self.assertEqual(held, 0)

    def test_tidied(self) -> None:
        """Where most documents are of messages gone, it is begun anew."""
        self.shop.append("Subject: a\n\nquick brown fox\n")
        box = self.shop.open()
        self.shop.do(box.search(keys.InBody("rown"), box.uids, 1))
        index = self.shop.store.ground.index
        self.assertFalse(index.now(words.tidy))
        index.now(lambda connection: connection.execute("UPDATE documents SET made=made+5000"))
        self.assertTrue(index.now(words.tidy))
        self.shop.store.ground.vocabularies.forget(str(ANN))
        self.assertEqual(list(self.shop.do(box.search(keys.InBody("rown"), box.uids, 1))), [1])
        self.assertEqual(list(self.shop.do(box.search(keys.InBody("rown"), box.uids, 1))), [1])
