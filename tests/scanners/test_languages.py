"""The languages of spamd, rspamd and milters, octet by octet."""

from __future__ import annotations

import json
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.scanners.milter import added_fields
from mailbox_appliance.scanners.rspamd import read_answer
from mailbox_appliance.scanners.settings import ScannerSettings
from mailbox_appliance.scanners.spamd import figure
from mailbox_appliance.scanners.talk import Trouble
from mailbox_appliance.wire import milter, spamd
from mailbox_appliance.wire.milter import Change

RSPAMD = ScannerSettings("rspamd", "rspamd", path="/x")


class SpamdTests(SynchronousTestCase):
    """spamd/PROTOCOL."""

    def test_answers(self) -> None:
        """Scores, rules, and what is none."""
        good = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 21\r\nSpam: True ; 15.2 / 5.0\r\n\r\nGTUBE,NO_RELAYS,x y\r\n"
        self.assertEqual(spamd.read_answer(good), spamd.Opinion(15.2, 5.0, ("GTUBE", "NO_RELAYS")))
        ham = b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; -0.1 / 5.0\r\n\r\n"
        self.assertEqual(spamd.read_answer(ham), spamd.Opinion(-0.1, 5.0))
        for wrong in (
            b"", b"HTTP/1.0 200 OK\r\n\r\n", b"SPAMD/1.1 0 EX_OK\r\n", b"SPAMD/1.1 0 EX_OK\r\n\r\n",
            b"SPAMD/1.1 75 EX_TEMPFAIL\r\n\r\n", b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1.2.3 / 5\r\n\r\n",
        ):  # fmt: skip
            self.assertRaises(spamd.NoAnswer, spamd.read_answer, wrong)

    @given(st.binary(max_size=300))
    def test_anything(self, octets: bytes) -> None:
        """An answer or NoAnswer, never anything else."""
        for answer in (octets, b"SPAMD/1.1 0 EX_OK\r\nSpam: " + octets + b"\r\n\r\n"):
            try:
                spamd.read_answer(answer)
            except spamd.NoAnswer:
                pass

    def test_request(self) -> None:
        """Nobody's name writes a line of its own."""
        self.assertEqual(spamd.request(3), b"SYMBOLS SPAMC/1.5\r\nContent-length: 3\r\n\r\n")
        self.assertNotIn(b"User", spamd.request(3, "a\r\nb"))

    def test_figures(self) -> None:
        """The threshold is the weight; twice the most; little below nothing."""
        for score, wanted in ((5.0, 4.0), (2.5, 2.0), (50.0, 8.0), (-50.0, -1.6), (0.0, 0.0)):
            self.assertEqual(figure(score, 5.0, 4.0), wanted)


class RspamdTests(SynchronousTestCase):
    """Its HTTP answers."""

    def answer(self, status: str = "200 OK", **found: object) -> tuple[str, float, str]:
        (one,) = read_answer(f"HTTP/1.1 {status}\r\n\r\n{json.dumps(found)}".encode(), RSPAMD)
        return one.result, one.weight, one.reason

    def test_answers(self) -> None:
        """By the threshold of its header action, or the one it says is required; reject is twice that."""
        symbols = {"B": {"score": 1.0}, "A": {"score": 7.5}, "C": {"score": -1}, "D": {}}
        thresholds = {"reject": 15.0, "add header": 6.0}
        found = self.answer(score=7.5, required_score=15.0, action="add header", thresholds=thresholds, symbols=symbols)
        self.assertEqual(found, ("spam", 6.25, "rspamd: 7.5 of 6 (A, B)"))
        self.assertEqual(
            self.answer(score=3.0, required_score=15.0, action="no action"), ("ham", 1.0, "rspamd: 3 of 15")
        )
        self.assertEqual(self.answer(score=6, action="reject", thresholds=thresholds)[:2], ("spam", 10.0))
        self.assertEqual(self.answer(score=6, action="soft reject")[0], "defer")

    def test_names_of_rules(self) -> None:
        """Any length, any letters: cut to one short line."""
        symbols = {"R" * 90: {"score": 2.0}, "A\r\nB: c": {"score": 1.0}}
        found = self.answer(score=7.5, required_score=5.0, symbols=symbols)
        self.assertEqual(found[2], f"rspamd: 7.5 of 5 ({'R' * 60}, A??B: c)")

    def test_wrong(self) -> None:
        """Trouble, never anything else."""
        huge = 10**400
        for found in (
            {"score": huge},
            {"score": 1, "required_score": huge},
            {"score": 1, "symbols": {"A": {"score": huge}}},
        ):
            with self.assertRaises(Trouble, msg="huge"):
                self.answer(**found)
        for found in ({}, {"score": "x"}, {"score": float("nan"), "required_score": 3}, {"score": 1, "symbols": [1]}):
            with self.assertRaises(Trouble, msg=str(found)):
                self.answer(**found)
        with self.assertRaises(Trouble):
            self.answer("500 Oops", score=1)
        for octets in (b"", b"HTTP/1.1", b"HTTP/1.1 200 OK\r\n\r\n[[[", b"HTTP/1.1 200 OK\r\n\r\n[]"):
            self.assertRaises(Trouble, read_answer, octets, RSPAMD)


class MilterTests(SynchronousTestCase):
    """Packets."""

    def test_packets(self) -> None:
        """Whole, in pieces, several at once; a length that is none is refused."""
        stream = milter.packet(b"c") + milter.packet(b"h", b"X-A\0one\0") + milter.packet(b"y", b"550 no\0")
        for size in (1, 3, 7, len(stream)):
            packets = milter.Packets()
            found = [one for at in range(0, len(stream), size) for one in packets.take(stream[at : at + size])]
            self.assertEqual([one.letter for one in found], [b"c", b"h", b"y"])
        self.assertEqual(milter.change_of(found[1]), Change("X-A", "one"))
        self.assertEqual(milter.reply_text(found[2]), "550 no")
        for length in (0, 1 << 30):
            self.assertRaises(milter.MilterWrong, milter.Packets().take, struct.pack("!I", length))

    def test_negotiation(self) -> None:
        """What was not offered is refused, and steps may be waived."""
        answer = milter.Packet(b"O", struct.pack("!III", 6, milter.ADD_FIELDS, 0x1 | 0x2000))
        agreed = milter.agreed(answer)
        self.assertEqual((agreed.sends(milter.CONNECT), agreed.sends(milter.HELO)), (False, True))
        self.assertEqual((agreed.answers(milter.HELO), agreed.answers(milter.END)), (False, True))
        for wrong in (
            milter.Packet(b"c"), milter.Packet(b"O", b"abc"), milter.Packet(b"O", struct.pack("!III", 9, 0, 0)),
            milter.Packet(b"O", struct.pack("!III", 6, 0x02, 0)),
        ):  # fmt: skip
            self.assertRaises(milter.MilterWrong, milter.agreed, wrong)

    def test_strings(self) -> None:
        """No value ends its string early."""
        self.assertEqual(milter.helo("a\0b"), milter.packet(b"H", b"a b\0"))
        agreed = milter.Agreed(6, 0, 0)
        self.assertEqual(milter.field(b"Subject", b" hi\0", agreed), milter.packet(b"L", b"Subject\0hi \0"))
        self.assertEqual(milter.connect("[::1]", "::1", 25), milter.packet(b"C", b"[::1]\0" + b"6\x00\x19::1\0"))

    @given(st.binary(max_size=200))
    def test_anything(self, octets: bytes) -> None:
        """Packets or MilterWrong."""
        try:
            for one in milter.Packets().take(octets):
                milter.change_of(one)
        except milter.MilterWrong:
            pass

    def test_fields(self) -> None:
        """Fields become whole lines; what only we may say is left out; nothing ends the header early."""
        for name, value, wanted in (
            ("X-Scan", "clean", b"X-Scan: clean\n"),
            ("X-Scan", "a\r\n b\n\nc", b"X-Scan: a\n\tb\n\tc\n"),
            ("X-Scan", "a\n\nInjected: x", b"X-Scan: a\n\tInjected: x\n"),
            ("X Scan", "x", b""),
            ("From", "x@y", b""),
            ("X-Mailappliance-Link", "x", b""),
            ("Authentication-Results", "mx.home.test; spf=pass", b""),
            ("Authentication-Results", "other.test; dkim=pass", b"Authentication-Results: other.test; dkim=pass\n"),
        ):
            self.assertEqual(added_fields([Change(name, value)], "mx.home.test"), wanted, (name, value))
        self.assertEqual(added_fields([Change("X", "y")] * 1000, "h").count(b"\n"), 40)
