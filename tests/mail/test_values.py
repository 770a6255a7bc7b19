"""Replies and trace ids: small values, much used."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.trace import Event, new_trace_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told(Event):
    name = "test.told"
    peer: str = ""
    count: int = 0
    names: tuple[str, ...] = ()


class ReplyTests(SynchronousTestCase):
    def test_octets(self) -> None:
        """One line, several lines, with and without an enhanced code (RFC 5321 §4.2.1, RFC 2034 §3)."""
        self.assertEqual(Reply(250, "2.0.0", "OK").octets(), b"250 2.0.0 OK\r\n")
        self.assertEqual(Reply(220, "", "mx ESMTP").octets(), b"220 mx ESMTP\r\n")
        self.assertEqual(Reply(550, "5.1.1", "a\nb").octets(), b"550-5.1.1 a\r\n550 5.1.1 b\r\n")

    def test_kinds(self) -> None:
        """2xx and 3xx, 4xx, 5xx."""
        for code, positive, transient, permanent in ((250, 1, 0, 0), (354, 1, 0, 0), (451, 0, 1, 0), (550, 0, 0, 1)):
            reply = Reply(code, "", "")
            kinds = (reply.is_positive, reply.is_transient, reply.is_permanent)
            self.assertEqual(kinds, (positive, transient, permanent))

    @given(st.text(max_size=2000))
    def test_no_client_octets_raw(self, text: str) -> None:
        """Whatever the text, the reply is lines of printable ASCII, each at most 512 octets."""
        *lines, rest = Reply(550, "5.7.1", text).octets().split(b"\r\n")
        self.assertEqual(rest, b"")
        for number, line in enumerate(lines):
            self.assertLessEqual(len(line) + 2, 512)
            self.assertTrue(all(0x20 <= octet < 0x7F for octet in line))
            self.assertEqual(line[3:4], b" " if number == len(lines) - 1 else b"-")


class TraceTests(SynchronousTestCase):
    def test_ids(self) -> None:
        """14 characters, different ones, sorted by time."""
        ids = [new_trace_id(1_700_000_000 + second) for second in range(100)]
        self.assertEqual(ids, sorted(ids))
        self.assertEqual({len(trace) for trace in ids}, {14})
        self.assertEqual(len({new_trace_id(1.0) for _ in range(100)}), 100)

    def test_facts(self) -> None:
        """Empty fields are not told; zero is."""
        self.assertEqual(_Told(trace="x", count=0).facts(), {"trace": "x", "count": 0})
