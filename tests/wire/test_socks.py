"""SOCKS5, the client's side (RFC 1928, RFC 1929): whole, octet by octet, and refused at each step."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.socks import SocksCore, SocksError, Stage

ANSWER = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def talk(core: SocksCore, *answers: bytes, step: int = 0) -> list[bytes]:
    """What the client says, first of all and after each answer."""
    said = [core.take()]
    for answer in answers:
        size = step or len(answer)
        for start in range(0, len(answer), size):
            core.receive(answer[start : start + size])
        said.append(core.take())
    return said


class SocksTests(SynchronousTestCase):
    def test_without_log_in(self) -> None:
        for step in (0, 1):
            core = SocksCore("192.0.2.1", 25)
            said = talk(core, b"\x05\x00", ANSWER + b"220 early", step=step)
            self.assertEqual(said, [b"\x05\x01\x00", b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", b""])
            self.assertIs(core.stage, Stage.OPEN)
            if not step:
                self.assertEqual(core.rest, b"220 early")

    def test_with_log_in(self) -> None:
        core = SocksCore("2001:db8::1", 465, "ann", "pä")
        said = talk(core, b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x03\x04host\x00\x00")
        self.assertEqual(said[0], b"\x05\x02\x00\x02")
        self.assertEqual(said[1], b"\x01\x03ann\x03p\xc3\xa4")
        self.assertEqual(said[2][:4] + said[2][-2:], b"\x05\x01\x00\x04\x01\xd1")
        self.assertIs(core.stage, Stage.OPEN)

    def test_refused(self) -> None:
        """Each refusal in words; only some of them are the far host's."""
        for answers, words, by_host in (
            ((b"HTTP/1.1 400",), "does not speak", False),
            ((b"\x05\xff",), "another log-in", False),
            ((b"\x05\x07",), "not offered", False),
            ((b"\x05\x02", b"\x01\x01"), "refuses our user name", False),
            ((b"\x05\x00", b"\x04\x00"), "does not speak", False),
            ((b"\x05\x00", b"\x05\x02"), "rules", False),
            ((b"\x05\x00", b"\x05\x05\x00\x01"), "refused the connection", True),
            ((b"\x05\x00", b"\x05\x04\x00\x01"), "no way to that host", True),
            ((b"\x05\x00", b"\x05\x63\x00\x01"), "reply 99", False),
            ((b"\x05\x00", b"\x05\x00\x00\x09\x00"), "strange address", False),
        ):
            error = self.assertRaises(SocksError, talk, SocksCore("192.0.2.1", 25, "ann", "x"), *answers)
            self.assertIn(words, str(error))
            self.assertIs(error.by_host, by_host, words)
        self.assertRaises(SocksError, SocksCore, "192.0.2.1", 25, "a" * 256, "")

    @given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    @settings(max_examples=300, deadline=None)
    def test_fuzz(self, answers: list[bytes]) -> None:
        """Whatever a proxy says: a way, a wait, or a SocksError; and nothing grows."""
        core = SocksCore("192.0.2.1", 25, "ann", "secret")
        for answer in [b"\x05\x02\x01\x00", *answers]:
            try:
                if core.receive(answer):
                    return
            except SocksError:
                return
            self.assertLessEqual(len(core.take()), 600)
