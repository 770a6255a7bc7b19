"""MTA-STS as a language: records, policies and the names they cover (RFC 8461 §3.1, §3.2, §4.1)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mailauth.mtasts_policy import Policy, PolicyError, read_policy, read_record

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 123456\r\n"
POLICIES: list[tuple[bytes, Policy | str]] = [
    (GOOD, Policy("enforce", 123456, ("mail.example.com", "*.example.net"))),
    (GOOD.replace(b"\r\n", b"\n"), Policy("enforce", 123456, ("mail.example.com", "*.example.net"))),
    (GOOD.rstrip(), Policy("enforce", 123456, ("mail.example.com", "*.example.net"))),
    (b"max_age:9\nmx:A.Example\nmode:testing\nversion:STSv1", Policy("testing", 9, ("a.example",))),
    (b"version: STSv1\nmode: none\nmax_age: 60\n", Policy("none", 60)),
    (b"version: STSv1\nmode: none\nmax_age: 9999999999\n", Policy("none", 31_557_600)),
    (b"version: STSv1\nmode: none\nmode: enforce\nmax_age: 60\nmax_age: 1\n", Policy("none", 60)),
    (b"version: STSv1\nmode: none\nmax_age: 60\nx-new: thing: more\n\n", Policy("none", 60)),
    (b"", "version"),
    (b"version: STSv2\nmode: none\nmax_age: 60\n", "version"),
    (b"version: STSv1\nmode: ENFORCE\nmax_age: 60\n", "mode"),
    (b"version: STSv1\nmode: enforce\nmax_age: 60\n", "names no mail host"),
    (b"version: STSv1\nmode: none\n", "max_age"),
    (b"version: STSv1\nmode: none\nmax_age: -1\n", "max_age"),
    (b"version: STSv1\nmode: none\nmax_age: 12345678901\n", "max_age"),
    ("version: STSv1\nmode: none\nmax_age: ٣\n".encode(), "max_age"),
    (b"version: STSv1\nmode: enforce\nmx: a b\nmax_age: 60\n", "no host name"),
    (b"version: STSv1\nmode: enforce\nmx: a.*.example\nmax_age: 60\n", "no host name"),
    (b"<html>not found</html>", "no colon"),
    (b"\xff\xfe", "not text"),
    (b"version: STSv1\nmode: none\nmax_age: 60\n" + b"x:" + b"y" * 70_000, "too long"),
    (b"version: STSv1\nmode: enforce\nmax_age: 60\n" + b"mx: a.example\n" * 300, "more than"),
]


class PolicyTests(SynchronousTestCase):
    def test_table(self) -> None:
        for octets, expected in POLICIES:
            if isinstance(expected, Policy):
                self.assertEqual(read_policy(octets), expected, octets[:60])
            else:
                error = self.assertRaises(PolicyError, read_policy, octets)
                self.assertIn(expected, str(error), octets[:60])

    def test_covers(self) -> None:
        """A star is one label, never none and never two."""
        policy = Policy("enforce", 1, ("mail.example.com", "*.example.net"))
        for host, covered in (
            ("mail.example.com", True),
            ("a.example.net", True),
            ("example.net", False),
            ("a.b.example.net", False),
            ("other.example.com", False),
            ("mail.example.com.evil.test", False),
            ("", False),
        ):
            self.assertIs(policy.covers(host), covered, host)

    def test_lines_read_back(self) -> None:
        """What a report repeats is a policy again."""
        policy = read_policy(GOOD)
        self.assertEqual(read_policy("\n".join(policy.lines()).encode()), policy)

    @given(st.binary(max_size=300) | st.text(alphabet="version:STSmodeaxg\r\n *.1 ", max_size=200).map(str.encode))
    @settings(max_examples=300, deadline=None)
    def test_fuzz(self, octets: bytes) -> None:
        """Any octets are a policy or a PolicyError."""
        try:
            policy = read_policy(octets)
        except PolicyError:
            return
        self.assertIn(policy.mode, ("enforce", "testing", "none"))


class RecordTests(SynchronousTestCase):
    def test_table(self) -> None:
        for records, identity in (
            ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
            ([b"v=STSv1;id=1"], "1"),
            ([b"v=spf1 -all", b"v=STSv1; x=y; id=abc"], "abc"),
            ([b"v=STSv1; id=1", b"v=STSv1; id=2"], ""),
            ([b"v=STSv1; id=" + b"1" * 33], ""),
            ([b"v=STSv1; id=a-b"], ""),
            ([b"v=STSv1"], ""),
            ([b"V=STSV1; id=1"], ""),
            ([], ""),
        ):
            self.assertEqual(read_record(records), identity, records)

    @given(st.lists(st.binary(max_size=80).map(lambda octets: b"v=STSv1;" + octets), max_size=2))
    @settings(max_examples=200, deadline=None)
    def test_fuzz(self, records: list[bytes]) -> None:
        self.assertLessEqual(len(read_record(records)), 32)
