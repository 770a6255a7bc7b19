"""Reading DMARC aggregate reports: XML of RFC 7489 appendix C and RFC 9990, taken in pieces as a stream.

Nothing of the tree is kept: a target listens to the parser and remembers the few fields we know, so that unknown
elements, extensions and any namespace cost nothing. A document type (and with it every entity bomb) is refused.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from mailbox_appliance.reports.values import AGGREGATE, MOST_ROWS, Report, ReportWrong, SourceRow, clean, clean_domain

PIECE = 16_384  # octets between two looks at the clock
DEEPEST = 24
LONGEST_TEXT = 2048
MOST_RESULTS = 20  # signatures of one row
MOST_MESSAGES = 1 << 40
_RECORD = ("feedback", "record")
_DKIM, _SPF = (*_RECORD, "auth_results", "dkim"), (*_RECORD, "auth_results", "spf")
_REASON = (*_RECORD, "row", "policy_evaluated", "reason")


class AggregateReader:
    """``feed`` pieces, then ``close``. Both raise ReportWrong."""

    def __init__(self) -> None:
        from defusedxml.ElementTree import DefusedXMLParser

        self._target = _Target()
        self._parser: Any = DefusedXMLParser(target=self._target, forbid_dtd=True)

    def feed(self, octets: bytes) -> None:
        """The next piece."""
        from xml.etree.ElementTree import ParseError

        try:
            self._parser.feed(octets)
        except (ParseError, ValueError, LookupError) as error:  # of defusedxml too
            raise ReportWrong(f"its XML is broken: {clean(str(error)) or type(error).__name__}") from None

    def close(self) -> Report:
        """The whole."""
        from xml.etree.ElementTree import ParseError

        try:
            self._parser.close()
        except (ParseError, ValueError) as error:
            raise ReportWrong(f"its XML is broken: {clean(str(error))}") from None
        return self._target.report()


def read_aggregate(octets: bytes) -> Report:
    """A small one, at once. Raises ReportWrong."""
    reader = AggregateReader()
    reader.feed(octets)
    return reader.close()


class _Target:
    """What the parser tells. Paths without namespaces."""

    def __init__(self) -> None:
        self._path: tuple[str, ...] = ()
        self._text: list[str] = []
        self._length = 0
        self._head: dict[tuple[str, ...], str] = {}
        self._row: dict[tuple[str, ...], str] = {}
        self._found: list[str] = []
        self._one: dict[str, str] = {}
        self._reasons: list[str] = []
        self._rows: list[SourceRow] = []
        self._cut = False

    # ------------------------------------------------------------ told by the parser

    def start(self, tag: str, attributes: object) -> None:
        if len(self._path) >= DEEPEST:
            raise ReportWrong("its XML is nested too deep")
        self._path += (tag.rpartition("}")[2][:64],)
        self._text, self._length = [], 0
        if self._path == _RECORD:
            self._row, self._found, self._reasons = {}, [], []
        elif self._path in (_DKIM, _SPF, _REASON):
            self._one = {}

    def data(self, text: str) -> None:
        if self._length < LONGEST_TEXT:
            self._text.append(text[:LONGEST_TEXT])
            self._length += len(text)

    def end(self, tag: str) -> None:
        path, text = self._path, clean("".join(self._text), LONGEST_TEXT)
        self._path, self._text, self._length = path[:-1], [], 0
        above = path[:-1]
        if above in (_DKIM, _SPF, _REASON):
            self._one.setdefault(path[-1], text)
        elif path in (_DKIM, _SPF):
            self._result(path[-1])
        elif path == _REASON:
            if self._one.get("type") and len(self._reasons) < MOST_RESULTS:
                self._reasons.append(self._one["type"][:40])
        elif path == _RECORD:
            self._record()
        elif path[:2] == _RECORD:
            if len(path) <= 5:
                self._row.setdefault(path[2:], text)
        elif len(path) in (3, 4) and path[1] in ("report_metadata", "policy_published"):
            self._head.setdefault(path[1:], text)

    def comment(self, text: str) -> None:
        pass

    def pi(self, target: str, text: str | None = None) -> None:
        pass

    def close(self) -> None:
        pass

    # ------------------------------------------------------------ what it means

    def _result(self, kind: str) -> None:
        if len(self._found) >= MOST_RESULTS:
            return
        one = self._one
        by = "/".join(filter(None, (clean_domain(one.get("domain", "")), one.get("selector", "")[:63])))
        self._found.append(f"{kind}={one.get('result', '').lower()[:12]} {by}".strip())

    def _record(self) -> None:
        if len(self._rows) >= MOST_ROWS:
            self._cut = True
            return
        row = self._row
        judged = ("row", "policy_evaluated")
        try:
            source = str(ipaddress.ip_address(row.get(("row", "source_ip"), "")))
        except ValueError:
            source = "?"
        messages = _whole(row.get(("row", "count"), ""))
        if messages <= 0:
            return
        self._rows.append(
            SourceRow(
                source,
                messages,
                row.get((*judged, "disposition"), "").lower()[:12],
                row.get((*judged, "dkim"), "").lower() == "pass",
                row.get((*judged, "spf"), "").lower() == "pass",
                clean_domain(row.get(("identifiers", "header_from"), "")),
                clean("; ".join(self._found), 400),
                clean(", ".join(self._reasons)),
            )
        )

    def report(self) -> Report:
        head = self._head
        domain = clean_domain(head.get(("policy_published", "domain"), ""))
        if not domain:
            raise ReportWrong("it is XML, but no DMARC report: it names no domain")
        dates = ("report_metadata", "date_range")
        return Report(
            AGGREGATE,
            clean(head.get(("report_metadata", "org_name"), "") or head.get(("report_metadata", "email"), "")),
            clean(head.get(("report_metadata", "report_id"), "")),
            domain,
            float(_whole(head.get((*dates, "begin"), ""))),
            float(_whole(head.get((*dates, "end"), ""))),
            head.get(("policy_published", "p"), "").lower()[:12],
            tuple(self._rows),
            cut=self._cut,
        )


def _whole(text: str) -> int:
    text = text.partition(".")[0]
    return min(int(text), MOST_MESSAGES) if text.isascii() and text.isdigit() and len(text) < 20 else 0
