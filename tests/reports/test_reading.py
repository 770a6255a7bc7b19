"""A message becomes the reports in it, whatever it is packed in; bombs do not go off."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.reports.aggregate import read_aggregate
from mailbox_appliance.reports.failure import MOST_INCIDENTS, read_failure
from mailbox_appliance.reports.reading import looks_like_report, read_letter
from mailbox_appliance.reports.tlsrpt import read_tls
from mailbox_appliance.reports.unpack import MOST_MAIL, MOST_UNPACKED, papers_of
from mailbox_appliance.reports.values import MOST_ROWS, Report, ReportWrong
from tests.kit.post_office import now
from tests.kit.workers import InlineWorkers
from tests.mailauth.proof import vectors
from tests.reports.letters import aggregate, letter, packed, record, zipped

ONE = aggregate(record("192.0.2.1", 3, dkim="fail", spf="fail"))


def read(message: bytes) -> tuple[Report, ...]:
    return now(read_letter(message, 1_800_000_000.0, InlineWorkers(), Clock()))


class ReadingTests(SynchronousTestCase):
    """What comes out."""

    def test_packed_in_every_way(self) -> None:
        """gzip, zip and plain, under whatever type."""
        for file in (packed(ONE), zipped(ONE), ONE, b"\xef\xbb\xbf" + ONE):
            for kind in ("application/gzip", "application/zip", "application/octet-stream", "text/xml"):
                (report,) = read(letter(file, kind))
                self.assertEqual((report.domain, report.report_id, report.reporter), ("example.org", "one", "Far Mail"))
                (row,) = report.sources
                self.assertEqual((row.source, row.messages, row.dkim, row.spf), ("192.0.2.1", 3, False, False))

    def test_the_message_is_the_file(self) -> None:
        """A body that is the zip file itself, with the name in the header (as the largest reporter sends it)."""
        import base64

        head = (
            b"From: n@far.example\nSubject: x\nContent-Type: application/zip; name=far.example!example.org!1!2.zip\n"
            b"Content-Transfer-Encoding: base64\n\n"
        )
        message = head + base64.encodebytes(zipped(ONE))
        self.assertTrue(looks_like_report(head))
        self.assertEqual(read(message)[0].domain, "example.org")

    def test_a_subject_of_their_own(self) -> None:
        """Known by the name or the type of what is attached, wherever the name stands and however it is written."""
        head = b"Subject: Your daily figures\nContent-Type: multipart/mixed; boundary=b\n\n"
        for field in (
            b'Content-Disposition: attachment; filename="far.example!example.org!1600000000!1600086399.xml.gz"',
            b"Content-Type: application/zip;\n name=far.example!example.org!1600000000!1600086399!x1.zip",
            b"Content-Type: application/tlsrpt+gzip",
        ):
            body = b"--b\nContent-Type: text/plain\n\nhello\n--b\n" + field + b"\n\nAAAA\n--b--\n"
            self.assertTrue(looks_like_report(head, body), field)
        for name in (b"photos.zip", b"a!b!c!d.zip", b"far.example!example.org!1!2.exe", b"x" * 400 + b"!a!1!2.zip"):
            body = b"--b\nContent-Disposition: attachment; filename=" + name + b"\n\nAAAA\n--b--\n"
            self.assertFalse(looks_like_report(head, body), name)

    def test_what_is_no_report(self) -> None:
        """People's letters stay what they are."""
        for head, body in (
            (b"Subject: DMARC report question\nContent-Type: text/plain\n\n", b""),
            (b"Subject: photos\nContent-Type: application/zip; name=photos.zip\n\n", b""),
            (b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n", b""),
            (b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n", b"Feedback-Type: abuse\n"),
            (b"\n", b""),
        ):
            self.assertFalse(looks_like_report(head, body), head)
        with self.assertRaisesRegex(ReportWrong, "no report"):
            read(letter(b"hello", "application/octet-stream"))

    def test_bombs(self) -> None:
        """What unpacks without end is not unpacked; what defines entities is not read."""
        huge = b"<a>" + b"x" * (MOST_UNPACKED + 10)
        for file in (packed(huge), zipped(huge)):
            with self.assertRaisesRegex(ReportWrong, "unpacks to more than"):
                read(letter(file))
        laughs = b'<?xml version="1.0"?><!DOCTYPE f [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><feedback>&b;</feedback>'
        outside = (
            b'<?xml version="1.0"?><!DOCTYPE f [<!ENTITY a SYSTEM "file:///etc/hostname">]><feedback>&a;</feedback>'
        )
        for bomb in (laughs, outside, b"<a>" * 5000, b"<feedback>" * 30 + b"</feedback>" * 30):
            with self.assertRaises(ReportWrong):
                read(letter(packed(bomb)))
        with self.assertRaises(ReportWrong):
            read_tls(b"[" * 100_000)
        with self.assertRaises(ReportWrong):
            papers_of(b"\n" * (MOST_MAIL + 1))
        double = zlib.compressobj(wbits=31)
        cut = (double.compress(ONE) + double.flush())[:-9]
        with self.assertRaisesRegex(ReportWrong, "cut off"):
            read(letter(cut))

    def test_rows_are_bounded(self) -> None:
        """More rows than anybody sends are let go, and that is known."""
        report = read_aggregate(aggregate(record("192.0.2.1", 1) * (MOST_ROWS + 5)))
        self.assertEqual((len(report.sources), report.cut), (MOST_ROWS, True))

    def test_odd_figures(self) -> None:
        """Text where a number or an address should be costs its row or its figure, never the report."""
        report = read_aggregate(aggregate(record("nowhere", 2), record("192.0.2.1", -1), record("2001:DB8::1", 4)))
        self.assertEqual([(row.source, row.messages) for row in report.sources], [("?", 2), ("2001:db8::1", 4)])
        controls = read_aggregate(aggregate(domain="EXAMPLE.org.\u200b"))
        self.assertEqual(controls.domain, "example.org")

    def test_names_and_figures_that_are_none(self) -> None:
        """A file of the archive without a name is a file; a number of incidents that is no number is one."""
        made = zipped(ONE)
        name = next(info.filename for info in zipfile.ZipFile(io.BytesIO(made)).infolist()).encode()
        nameless = made.replace(name, b"\0" + name[1:])
        self.assertEqual(len(read(letter(nameless))), 1)
        for incidents, expected in (("3", 3), ("12345678901x", 1), ("9" * 5000, MOST_INCIDENTS), ("-5", 1), ("²", 1)):
            report = read_failure(
                f"Feedback-Type: auth-failure\nIncidents: {incidents}\n".encode(), b"From: a@example.org\n\n", 1.0
            )
            self.assertEqual(report.sources[0].messages, expected, incidents[:20])

    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=300), st.integers(0, 2000), st.integers(1, 40))
    def test_damaged(self, junk: bytes, at: int, gone: int) -> None:
        """Whatever is in it, the answer is reports or ReportWrong."""
        for whole in (letter(packed(ONE)), letter(zipped(ONE)), letter(ONE)):
            damaged = whole[:at] + junk + whole[at + gone :]
            try:
                read(damaged)
            except ReportWrong:
                pass

    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=400))
    def test_damaged_inside(self, junk: bytes) -> None:
        """The same behind the wrapping."""
        at = len(junk) * 3
        for octets, reader in (
            (ONE[:at] + junk + ONE[at:], read_aggregate),
            (b'{"policies":[' + junk + b"]}", read_tls),
            (b"Feedback-Type: " + junk, lambda octets: read_failure(octets, octets, 1.0)),
        ):  # type: tuple[bytes, Callable[[bytes], Any]]
            try:
                reader(octets)
            except ReportWrong:
                pass

    @settings(max_examples=100, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        ["policies", "policy", "summary", "policy-domain", "failure-details", "failed-session-count"]
                    ),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=20,
        )
    )
    def test_odd_json(self, value: object) -> None:
        """Any JSON is read or refused."""
        for document in (value, {"policies": value}, {"policies": [value]}):
            try:
                read_tls(json.dumps(document).encode())
            except ReportWrong:
                pass


class VectorTests(SynchronousTestCase):
    """Reports out of the world, with what they mean."""

    def folder(self) -> Path:
        return vectors("reports")

    def test_aggregate(self) -> None:
        """Four forms of DMARC reports."""
        files = sorted((self.folder() / "dmarc").glob("*.xml"))
        self.assertEqual(len(files), 4)
        for file in files:
            report = read_aggregate(file.read_bytes())
            meant = json.loads(file.with_suffix(".json").read_text())
            self.assertEqual(report.report_id, meant["report_metadata"]["report_id"])
            self.assertEqual(report.begin, meant["report_metadata"]["date_range"]["begin"])
            self.assertEqual((report.domain, report.policy), (meant["policy_published"]["domain"], meant["policy_published"]["p"].lower()))  # fmt: skip
            self.assertEqual(len(report.sources), len(meant["record"]))
            for row, said in zip(report.sources, meant["record"], strict=True):
                judged = said["row"]["policy_evaluated"]
                self.assertEqual((row.source, row.messages), (said["row"]["source_ip"], said["row"]["count"]))
                self.assertEqual((row.dkim, row.spf), (judged["dkim"] == "Pass", judged["spf"] == "Pass"))
                self.assertEqual(row.header_from, said["identifiers"]["header_from"])
                results = [f"dkim={one['result'].lower()} {one['domain']}" for one in said["auth_results"]["dkim"]]
                for result in results:
                    self.assertIn(result, row.details)

    def test_tls(self) -> None:
        """Two as mail, packed; one that names no domain, which the message around it does."""
        for name in ("rpt01", "rpt02"):
            message = (self.folder() / "tlsrpt" / f"{name}.eml").read_bytes().replace(b"\r\n", b"\n")
            self.assertTrue(looks_like_report(message))
            (report,) = read(message)
            meant = json.loads((self.folder() / "tlsrpt" / f"{name}.json").read_text())
            (policy,) = meant["policies"]
            self.assertEqual(report.report_id, meant["report-id"])
            self.assertEqual(report.domain, policy["policy"]["policy-domain"])
            good = sum(row.sessions for row in report.tls if not row.result)
            bad = {row.host: row.sessions for row in report.tls if row.result}
            self.assertEqual(good, policy["summary"]["total-successful-session-count"])
            said = {one["receiving-mx-hostname"]: one["failed-session-count"] for one in policy["failure-details"]}
            self.assertEqual(bad, said)
        octets = (self.folder() / "tlsrpt" / "rpt03.json").read_bytes()
        self.assertRaises(ReportWrong, read_tls, octets)
        self.assertEqual([row.sessions for row in read_tls(octets, "example.org")[0].tls], [1, 1])

    def test_failure(self) -> None:
        """Complaints and failure reports; only the latter are filed as reports."""
        for number, is_ours in ((1, False), (2, False), (3, True), (4, True)):
            file = self.folder() / "arf" / f"{number:03}.eml"
            message = file.read_bytes().replace(b"\r\n", b"\n")
            meant = json.loads(file.with_suffix(".json").read_text())
            self.assertEqual(looks_like_report(message, message), is_ours, number)
            (report,) = read(message)
            (row,) = report.sources
            self.assertEqual(row.source, meant["source_ip"] or "?")
            self.assertEqual(row.messages, meant["incidents"])
            if meant["reported_domain"]:
                self.assertEqual(report.domain, meant["reported_domain"][0])
