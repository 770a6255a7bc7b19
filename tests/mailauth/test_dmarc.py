"""DMARC's records, its tree walk and alignment (RFC 9989)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mailauth import dmarc
from mailbox_appliance.ports.dns import Answer, Status
from tests.mailauth.proof import Book

OK = Answer(Status.OK, ("192.0.2.1",))


class RecordTests(SynchronousTestCase):
    """What is written is read; what is broken is told."""

    def test_read(self) -> None:
        """All tags."""
        record = dmarc.read_record(
            b"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=S; psd=n; t=y; rua=mailto:a@b.test, mailto:c@d.test"
        )
        self.assertEqual(
            record,
            dmarc.Record("reject", "quarantine", "none", True, True, "n", True, ("mailto:a@b.test", "mailto:c@d.test")),
        )

    def test_no_records(self) -> None:
        """What does not begin with the version is none."""
        for text in (
            b"",
            b"v=DMARC",
            b"v=DMARC2; p=none",
            b"p=reject; v=DMARC1",
            b"v=dmarc1; p=reject",
            b"v=DMARC10",
            b"v=spf1",
        ):
            self.assertIsNone(dmarc.read_record(text), text)
        self.assertIsNotNone(dmarc.read_record(b"v = DMARC1 ; p=none"))

    def test_faults(self) -> None:
        """A fault counts as absent and is told."""
        for text, fault in (
            (b"v=DMARC1; p=drop", "p=drop"),
            (b"v=DMARC1; p", "'p' is no tag"),
            (b"v=DMARC1; p=none; p=reject", "twice"),
            (b"v=DMARC1; p=none; adkim=x", "adkim=x"),
        ):
            record = dmarc.read_record(text)
            assert record is not None
            self.assertEqual((record.p, fault in record.faults[0]), ("none", True), text)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=100))
    def test_any(self, octets: bytes) -> None:
        """Any octets."""
        record = dmarc.read_record(b"v=DMARC1;" + octets)
        assert record is not None
        self.assertIn(record.p, dmarc.POLICIES)


class WalkTests(SynchronousTestCase):
    """The organizational domain."""

    def org(self, domain: str, records: dict[str, str]) -> str:
        return Book(records).settle(lambda answers: dmarc.organizational_domain(domain, answers))

    def test_names(self) -> None:
        """At most eight, however long the name."""
        self.assertEqual(dmarc.tree("a.b.c"), ["a.b.c", "b.c", "c"])
        deep = dmarc.tree("a.b.c.d.e.f.g.h.i.j.example.com")
        self.assertEqual(
            (len(deep), deep[0], deep[1]),
            (8, "a.b.c.d.e.f.g.h.i.j.example.com", "g.h.i.j.example.com".join(["f.", ""])),
        )

    def test_fewest_labels(self) -> None:
        """The shortest name with a record; without any, the name itself."""
        records = {"_dmarc.a.example.com": "v=DMARC1; p=none", "_dmarc.example.com": "v=DMARC1; p=none"}
        self.assertEqual(self.org("b.a.example.com", records), "example.com")
        self.assertEqual(self.org("b.a.example.com", {}), "b.a.example.com")

    def test_public_suffix(self) -> None:
        """psd=y: one label below it; psd=n: here and no further."""
        suffix = {"_dmarc.co.test": "v=DMARC1; p=reject; psd=y", "_dmarc.example.co.test": "v=DMARC1; p=none"}
        self.assertEqual(self.org("a.b.example.co.test", suffix), "example.co.test")
        self.assertEqual(self.org("co.test", suffix), "co.test")
        split = {"_dmarc.west.example.com": "v=DMARC1; p=none; psd=n", "_dmarc.example.com": "v=DMARC1; p=none"}
        self.assertEqual(self.org("a.west.example.com", split), "west.example.com")

    def test_two_records(self) -> None:
        """Two records are none; other TXT records do not matter."""
        doubled = {"_dmarc.example.com": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}
        self.assertEqual(self.org("a.example.com", doubled), "a.example.com")  # type: ignore[arg-type]
        mixed = {"_dmarc.example.com": ["hello", "v=DMARC1; p=none"]}
        self.assertEqual(self.org("a.example.com", mixed), "example.com")  # type: ignore[arg-type]


class EvaluationTests(SynchronousTestCase):
    """Pass, fail, none and temperror."""

    BASE = {"_dmarc.example.com": "v=DMARC1; p=reject; sp=quarantine; np=reject"}

    def run_it(
        self,
        author: str,
        spf: str = "",
        dkim: tuple[str, ...] = (),
        records: dict[str, object] | None = None,
        others: object = None,
    ) -> dmarc.DmarcResult:
        book = Book(self.BASE if records is None else records, others or {("there.example.com", "A"): OK})  # type: ignore[arg-type]
        return book.settle(lambda answers: dmarc.evaluate(author, spf, dkim, answers))

    def test_alignment(self) -> None:
        """Same, below, above; but not beside."""
        for author, spf, keys, result in (
            ("example.com", "example.com", (), "pass"),
            ("example.com", "bounce.example.com", (), "pass"),
            ("there.example.com", "", ("example.com",), "pass"),
            ("there.example.com", "", ("other.example.com",), "pass"),
            ("example.com", "", ("example.org", "notexample.com"), "fail"),
            ("example.com", "com", (), "fail"),
            ("example.com", "", (), "fail"),
        ):
            self.assertEqual(self.run_it(author, spf, keys).result, result, (author, spf, keys))

    def test_strict(self) -> None:
        """Strict alignment wants the very name, each for its own."""
        records: dict[str, object] = {"_dmarc.example.com": "v=DMARC1; p=reject; adkim=s"}
        self.assertEqual(self.run_it("example.com", "", ("a.example.com",), records).result, "fail")
        self.assertEqual(self.run_it("example.com", "a.example.com", (), records).result, "pass")

    def test_neighbours_under_a_suffix(self) -> None:
        """Two customers of one public suffix are strangers."""
        records: dict[str, object] = {
            "_dmarc.co.test": "v=DMARC1; p=none; psd=y",
            "_dmarc.good.co.test": "v=DMARC1; p=reject",
        }
        self.assertEqual(
            self.run_it("good.co.test", "evil.co.test", ("evil.co.test", "co.test"), records).result, "fail"
        )

    def test_policies(self) -> None:
        """Own record, sp for what is there, np for what is not; the suffix's for who has none."""
        self.assertEqual(self.run_it("example.com").policy, "reject")
        self.assertEqual(self.run_it("there.example.com").policy, "quarantine")
        self.assertEqual(self.run_it("nowhere.example.com").policy, "reject")
        suffix: dict[str, object] = {"_dmarc.bank": "v=DMARC1; p=none; sp=reject; psd=y"}
        result = self.run_it("a.example.bank", records=suffix)
        self.assertEqual((result.policy, result.policy_domain), ("reject", "bank"))

    def test_testing(self) -> None:
        """t=y asks for one step less."""
        for policy, wanted in (("reject", "quarantine"), ("quarantine", "none"), ("none", "none")):
            records: dict[str, object] = {"_dmarc.example.com": f"v=DMARC1; p={policy}; t=y"}
            self.assertEqual(self.run_it("example.com", records=records).policy, wanted)

    def test_none(self) -> None:
        """No record: none, and the kinship of names is told."""
        result = self.run_it("plain.test", "bounce.plain.test", ("mailer.test",), {})
        self.assertEqual((result.result, result.kin), ("none", ("spf bounce.plain.test",)))

    def test_temperror(self) -> None:
        """A policy that cannot be asked for is temperror, unless the very domain is proven."""
        others = {("_dmarc.example.com", "TXT"): Answer(Status.TEMPERROR, reason="SERVFAIL")}
        self.assertEqual(self.run_it("example.com", "a.example.com", (), {}, others).result, "temperror")
        self.assertEqual(self.run_it("a.example.com", "", (), {}, others).result, "temperror")
        self.assertEqual(self.run_it("example.com", "example.com", (), {}, others).result, "pass")

    def test_nobody(self) -> None:
        """Literals and single labels have no policy."""
        for author in ("[192.0.2.1]", "localhost"):
            self.assertEqual(self.run_it(author).result, "none")
