"""Messages as tokens: what is read, what is left out, and that nothing takes long or much."""

from __future__ import annotations

import base64
from array import array

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.junk import runs
from mailbox_appliance.junk.features import READ_AT_MOST, SLOTS, VIEWS, Features, features_of
from mailbox_appliance.junk.memory import pack, unpack
from mailbox_appliance.junk.prior import PriorBroken, prior_score, read_prior, shipped
from mailbox_appliance.junk.road import road_of
from mailbox_appliance.junk.urls import registered, url_tokens
from mailbox_appliance.junk.weighing import FAR, MARGIN, UNIT, Steps, is_far, steps_of
from mailbox_appliance.junk.words import LONGEST_WORD, telling_words, without_list_footer, words_of
from mailbox_appliance.mail.mime_scan import find_parts
from tests.junk.letters import advertisement, letter, note


def tokens(features: Features, kind: str) -> set[bytes]:
    return {token for group in features.groups if group.kind == kind for token in group.tokens}


class HeaderTests(SynchronousTestCase):
    """Facts of the header block."""

    def test_facts(self) -> None:
        """Each row: extra fields or a change, and a fact that must (+) or must not (-) be told."""
        plain = letter("hello", "text")
        for change, fact, told in (
            ((b"", b""), b"from example.net", True),
            ((b"", b""), b"message-id of sender", True),
            ((b"Subject: hello", b"Subject: Re: hello"), b"re: answers nothing", True),
            ((b"Subject: hello", b"In-Reply-To: <x@y>\nSubject: Re: hello"), b"re: answers", True),
            ((b"Subject: hello", b"Subject: BUY THIS NOW"), b"subject capitals 4", True),
            ((b"Subject: hello", b"Subject: [list] hello"), b"subject capitals 4", False),
            ((b"From: Eve Example <eve@example.net>", b"From: eve99@example.net"), b"from digits 2", True),
            ((b"From: Eve Example <eve@example.net>", b"X: y"), b"no from", True),
            ((b"Subject: hello", b"Subject: a\nSubject: b"), b"two subject", True),
            ((b"Subject: hello", b"Reply-To: <a@elsewhere.example>\nSubject: x"), b"reply elsewhere", True),
            ((b"Date: Mon, 02 Mar 2020 10:00:00 +0100", b"Date: 02 Mar 2020 10:00 CET"), b"date without weekday", True),
            ((b"Message-ID: <a1.b2@mail.example.net>", b"Message-ID: rubbish"), b"message-id odd", True),
        ):
            found = tokens(features_of(plain.replace(*change)), "head")
            self.assertEqual(fact in found, told, (change, fact, found))

    def test_left_out(self) -> None:
        """Fields that tell of the road, the day or the list change nothing."""
        plain = letter("hello", "text")
        marked = plain.replace(
            b"Subject:",
            b"Delivered-To: zzz@collector.example\nX-Spam-Status: Yes, hits=20\nList-Id: <x.example>\nPrecedence: bulk\n"
            b"X-Mailer: Nice Program 3.1\nSender: list-admin@x.example\nX-BeenThere: list@x.example\nSubject:",
        )
        self.assertEqual(set(features_of(plain).hashes), set(features_of(marked).hashes))
        later = plain.replace(b"02 Mar 2020 10:00:00", b"17 Nov 2031 23:59:59")
        self.assertEqual(set(features_of(plain).hashes), set(features_of(later).hashes))
        other_list = plain.replace(b"Subject: ", b"Subject: [some-list] ")
        self.assertEqual(tokens(features_of(plain), "subject"), tokens(features_of(other_list), "subject"))


def road(block: bytes) -> bytes:
    return road_of(find_parts(block).fields or {})


class RoadTests(SynchronousTestCase):
    """What is kept of the stops on the way."""

    STOPS = (
        b"Received: from far.example.com (far.example.com [192.0.2.9])\n\tby us.example.org with ESMTPS; Mon, 1 Jan 2001\n"
        b"Received: from office (dsl-12.example.co [198.51.100.7])\n\tby far.example.com (8.11.6/8.11.6) "
        b"with SMTP id gAB12c3 for <ann@example.org>; Mon, 1 Jan 2001 10:00:00 +0100\n"
        b"Received: from pc ([192.168.1.7]) by office with SMTP; Mon, 1 Jan 2001\n"
    )

    def test_road(self) -> None:
        """Of the stops before our own the shape is kept; hosts, addresses, people, identifiers and dates are not."""
        found = road(self.STOPS + b"Subject: x\n\n")
        self.assertEqual(found, b"from office (h.co [IP]) by h.com (8.11.6/8.11.6) with SMTP id aA9a9 for <>")

    def test_no_road(self) -> None:
        """Mail of mailing lists has no road, nor has mail that came straight to us."""
        for field in (b"List-Id: <x.example>", b"X-BeenThere: x@y.example", b"Precedence: bulk"):
            self.assertEqual(road(self.STOPS + field + b"\n\n"), b"", field)
        self.assertEqual(road(self.STOPS.partition(b"\nRec")[0] + b"\n\n"), b"")

    def test_other_hosts_and_days(self) -> None:
        """Other hosts, addresses and days make the same road."""
        other = self.STOPS.replace(b"dsl-12.example", b"x.y").replace(b"198.51.100.7", b"203.0.113.200")
        other = other.replace(b"1 Jan 2001", b"24 Dec 2030").replace(b"far.example.com", b"near.example.com")
        self.assertEqual(road(self.STOPS), road(other))


class RunsTests(SynchronousTestCase):
    """Views made of runs of octets."""

    def test_each_place(self) -> None:
        """A run is found wherever it begins, and once; what is too short has none."""
        text = b"The quick brown fox"
        self.assertEqual(set(runs.couples(text)), {text[at] | text[at + 1] << 8 for at in range(len(text) - 1)})
        for view in (runs.fours, runs.rhythm, runs.letters):
            self.assertLess(set(view(text[5:])), set(view(text)), view)
            self.assertEqual(len(view(b"")), 0, view)
        self.assertEqual(len(runs.letters(b"abcd")), 2)
        self.assertEqual(len(runs.fours(b"abcde")), 2)

    def test_blotted(self) -> None:
        """Other digits are the same run of four; other letters are the same rhythm, not the same run."""
        self.assertEqual(runs.fours(b"on 12.3.1999"), runs.fours(b"on 45.6.2031"))
        self.assertEqual(set(runs.rhythm(b"Hello you, 12!")), set(runs.rhythm(b"Mamma and, 99!")))
        self.assertNotEqual(set(runs.fours(b"Hello you")), set(runs.fours(b"Mamma and")))
        self.assertNotEqual(set(runs.rhythm(b"Hello you, 12!")), set(runs.rhythm(b"HELLO you, 12!")))

    def test_ends(self) -> None:
        """The beginning and the end are seen, whatever the line ends; what lies between is not."""
        body = b"first\n" + b"line\n" * 400 + b"%s" + b"line\n" * 400 + b"last\n"
        ends = runs.ends_of(body % b"")
        self.assertEqual(ends, runs.ends_of(body % b"unseen\n"))
        self.assertEqual(ends, runs.ends_of((body % b"").replace(b"\n", b"\r\n")))
        self.assertTrue(ends.startswith(b"first") and ends.endswith(b"last\n"))
        self.assertEqual(set(runs.fours(runs.ends_of(b"brief"))), set(runs.fours(b"brief\nbrief")))

    def test_no_neighbours(self) -> None:
        """Runs of small letters that differ have slots that differ, but for very few."""
        small = range(97, 123)
        text = b" ".join([bytes((one, two, three)) for one in small for two in small for three in small])
        slots = set().union(*[runs.letters(text[at : at + 1000]) for at in range(0, len(text), 900)])
        self.assertGreater(len(slots), 26**3)

    def test_end_of_a_long_part(self) -> None:
        """The end of a long text is read, in every encoding, and the middle is not."""
        text = b"begun well\n" + b"nothing new\n" * 1500 + b"middleword\n" + b"nothing new\n" * 1500 + b"endword\n"
        for encoding, coded in (("7bit", text), ("quoted-printable", text), ("base64", base64.encodebytes(text))):
            octets = letter("x", "", fields=f"MIME-Version: 1.0\nContent-Transfer-Encoding: {encoding}\n") + coded
            found = tokens(features_of(octets), "word")
            self.assertLessEqual({b"begun", b"endword"}, found, encoding)
            self.assertNotIn(b"middleword", found, encoding)


class BodyTests(SynchronousTestCase):
    """Words, links, markup, parts."""

    def test_words(self) -> None:
        """Words in order; dates, numbers and addresses are left out; long runs are cut."""
        self.assertEqual(
            words_of(b"free! the 2002 monday a 100% ann@example.org $99"), [b"free!", b"the", b"100%", b"$99"]
        )
        self.assertEqual(words_of(b"a.b+c@example.org, d@e.example (at @ home) f"), [b"at", b"home"])
        self.assertEqual(set(telling_words([b"may", b"be", b"be", b"2002", b"3rd"])), {b"be", b"3rd"})
        self.assertEqual(words_of(b"x" * 95), [b"long-9"])
        cut = words_of("漢字漢字漢字漢字漢字漢字漢字漢字漢字".encode())
        self.assertTrue(cut)
        self.assertTrue(all(len(word) <= LONGEST_WORD for word in cut))

    def test_footer(self) -> None:
        """What a list puts below is cut off; a rule in the middle of a letter is not."""
        body = b"text\nmore\n_______________\nX mailing list\nhttp://x.example/listinfo/x\n"
        self.assertEqual(without_list_footer(body), b"text\nmore")
        for footer in (
            b"-- \nThe Users' Group: users@x.example\nhttp://x.example/listinfo/users for more\nMaintainer: y\n",
            b"-- \nbob\n\nhttp://x.example/mailman/listinfo/talk\n",
            b"http://x.example/mailman/listinfo/talk\n",
            b"-------\nThis list is sponsored by: A Shop\nhttp://shop.example\n______\nX mailing list\nx@x.example\n",
            b"----- Groups Sponsor ----~-->\nBuy\n-----~->\n\nTo unsubscribe from this group, send an email to:\nx\n",
        ):
            self.assertEqual(without_list_footer(b"text\nmore\n" + footer), b"text\nmore", footer)
        far = b"a\n------\n" + b"b\n" * 300 + b"______\nX mailing list\n"
        self.assertTrue(without_list_footer(far).endswith(b"b\nb"))
        for text in (b"a\n------\nb\n", b"a\n-- \nbob\n", b"our mailing list is\n------\nb\n"):
            self.assertEqual(without_list_footer(text), text)

    def test_links(self) -> None:
        """Hosts, registered names, oddities."""
        facts, paths = url_tokens(
            b"see http://a.b.example.co.uk/remove/me?x=1 and http://10.1.2.3:8080/ http://u@h.example/"
        )
        for fact in (b"host example.co.uk", b"query", b"address host", b"port", b"user in url", b"tld example"):
            self.assertIn(fact, facts)
        self.assertIn(b"remove", paths)
        self.assertEqual(registered(b"www.example.org"), b"example.org")

    def test_encodings_agree(self) -> None:
        """The same text in base64 and plain has the same words."""
        text = "Dear friend, order your pills now"
        coded = letter("x", base64.b64encode(text.encode()).decode(), fields="Content-Transfer-Encoding: base64\n")
        coded = coded.replace(
            b"\nContent-T", b"\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-T", 1
        )
        self.assertEqual(tokens(features_of(coded), "word"), tokens(features_of(letter("x", text)), "word"))

    def test_torn_words(self) -> None:
        """Markup inside words does not hide them."""
        html = letter("x", "<html><b>v</b>ia<i>gra</i> <img src='http://pic.example/1.gif'></html>")
        found = features_of(html.replace(b"\nMessage-ID", b"\nMIME-Version: 1.0\nContent-Type: text/html\nMessage-ID"))
        self.assertIn(b"viagra", tokens(found, "word"))
        self.assertIn(b"host pic.example", tokens(found, "url"))
        self.assertIn(b"only text/html", tokens(found, "part"))

    def test_attachments(self) -> None:
        """Names of attachments are known by their endings."""
        octets = (
            b'From: a@b.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="q"\n\n--q\n\nhi\n--q\n'
            b'Content-Type: application/octet-stream; name="invoice.pdf.exe"\n\nMZ\n--q--\n'
        )
        found = tokens(features_of(octets), "part")
        self.assertTrue({b"risky file", b"file exe", b"file two endings"} <= found, found)


class BoundsTests(SynchronousTestCase):
    """Whatever comes, little is made of it."""

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=3000))
    def test_anything(self, octets: bytes) -> None:
        """No octets make it raise; slots are slots."""
        features = features_of(octets)
        self.assertEqual(len(features.views), len(VIEWS))
        for view in features.views:
            self.assertTrue(all(slot < SLOTS for slot in view))
        self.assertEqual(len(features.hashes), len(set(features.hashes)))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.sampled_from([b"From: x\n", b"=?big5?B?", b"<a href=", b"http://", b"\n\n", b"--q\n", b"&#x", b"Content-Type: ", b"multipart/mixed; boundary=q\n", b"\xff\x00", b"text/html\n", b"(", b'"', b"Received: from ", b"a" * 50]), max_size=60))  # fmt: skip
    def test_pieces(self, pieces: list[bytes]) -> None:
        """Nor do pieces of real mail in any order."""
        features_of(b"".join(pieces))

    def test_huge(self) -> None:
        """Large and pathological messages give bounded numbers of tokens."""
        parts = b'Content-Type: multipart/mixed; boundary="q"\nMIME-Version: 1.0\n\n' + b"--q\n\nhello there\n" * 10_000
        for octets in (
            parts,
            letter("x", "word " * 5_000_000),
            letter("x", "".join(f"w{n} " for n in range(300_000))),
            letter("y" * 300_000, "x"),
            b"To: " + b"a@b.example, " * 20_000 + b"\n\n",
            b"Received: from a (b [c])\n" * 5_000 + b"\n",
            letter("x", "http://a.example/" * 10_000),
            letter("x", "<a " * 100_000).replace(b"\nDate", b"\nContent-Type: text/html\nDate"),
            letter("x", "<" * 300_000).replace(b"\nDate", b"\nContent-Type: text/html\nDate"),
            b"\n" * 1_000_000,
        ):
            features = features_of(octets)
            self.assertLess(sum(len(group.tokens) for group in features.groups), 12_000)
            self.assertLess(len(features.reading), 8_000)
            for view in features.views[1:]:
                self.assertLess(len(view), 3_100)
            longest = max((len(token) for group in features.groups for token in group.tokens), default=0)
            self.assertLess(longest, 300)

    def test_only_the_beginning(self) -> None:
        """What lies beyond the limit is not looked at."""
        long = letter("x", "word " * (READ_AT_MOST // 5))
        self.assertEqual(set(features_of(long).hashes), set(features_of(long + b"viagra" * 1000).hashes))

    @settings(max_examples=100, deadline=None)
    @given(st.sets(st.integers(0, SLOTS - 1), max_size=300))
    def test_packing(self, slots: set[int]) -> None:
        """Packed slots come back, sorted."""
        self.assertEqual(list(unpack(pack(array("I", slots)))), sorted(slots))

    def test_unpacking_rubbish(self) -> None:
        """What is no packed list is a ValueError."""
        for rubbish in (b"", b"rubbish", pack(unpack(pack(features_of(note()).reading)))[:-4]):
            self.assertRaises(ValueError, unpack, rubbish)


class WeighingTests(SynchronousTestCase):
    """Steps."""

    def test_steps(self) -> None:
        """A step makes the lesson right by the margin, from either side; a message without a token takes none."""
        views = (array("I", range(100)), array("I"), array("I", range(7)))
        for score in (-30.0, 0.0, MARGIN, 40.0):
            for junk in (True, False):
                of = steps_of(score, views, junk).of
                gained = sum([step * len(slots) ** 0.5 / UNIT for step, slots in zip(of, views, strict=True)])
                self.assertAlmostEqual(score + gained, MARGIN if junk else -MARGIN, places=1)
                self.assertEqual(of[1], 0)
        self.assertFalse(any(steps_of(0.0, (array("I"),), True).of))

    def test_clear(self) -> None:
        """A message that was right by far teaches nothing."""
        self.assertTrue(is_far(FAR + 1, True))
        self.assertTrue(is_far(-FAR - 1, False))
        self.assertFalse(is_far(FAR + 1, False))
        self.assertFalse(is_far(0.0, True))

    @given(st.lists(st.integers(-(1 << 18), 1 << 18), min_size=len(VIEWS), max_size=len(VIEWS)))
    def test_halves(self, steps: list[int]) -> None:
        """Two halves make the whole."""
        one, other = Steps(tuple(steps)).halves()
        self.assertEqual(one + other, Steps(tuple(steps)))

    @given(
        st.lists(st.integers(-(1 << 19), 1 << 19), min_size=len(VIEWS), max_size=len(VIEWS)),
        st.lists(st.integers(0, 1 << 18), min_size=len(VIEWS), max_size=len(VIEWS)),
        st.booleans(),
    )
    def test_never_for_the_other_kind(self, more: list[int], held: list[int], junk: bool) -> None:
        """A lesson of junk never comes to speak for wanted mail, nor the other way round, and stays within bounds."""
        now = Steps(tuple(held)) if junk else -Steps(tuple(held))
        after = now + Steps(tuple(more)).on_top_of(now, junk)
        self.assertTrue(all((step >= 0) if junk else (step <= 0) for step in after.of), after)
        self.assertTrue(all(abs(step) <= 1 << 18 for step in after.of), after)


class PriorTests(SynchronousTestCase):
    """The table that comes with the program."""

    def test_speaks(self) -> None:
        """An advertisement scores above a letter."""
        table = shipped()
        self.assertGreater(prior_score(table, features_of(advertisement())), 4.0)
        self.assertLess(prior_score(table, features_of(note())), 0.0)

    def test_broken_tables(self) -> None:
        """A line that cannot be read is named."""
        for text in ("word: a", "nothing +1: a", "word x: a", "word +1 a"):
            with self.assertRaises(PriorBroken) as caught:
                read_prior("# fine\n" + text)
            self.assertIn("line 2", str(caught.exception))
