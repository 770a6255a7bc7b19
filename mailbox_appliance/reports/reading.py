"""A message becomes the reports in it: unpacked in a worker, read in slices."""

from __future__ import annotations

import re

from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.parameters import content_type_of, disposition_of
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.reports.aggregate import PIECE, AggregateReader
from mailbox_appliance.reports.failure import read_failure
from mailbox_appliance.reports.tlsrpt import read_tls
from mailbox_appliance.reports.unpack import Paper, papers_of
from mailbox_appliance.reports.values import Report, ReportWrong, clean_domain
from mailbox_appliance.slices import Slices

_BEGIN = 65536  # octets of a body in which its kind is looked for
_SUBJECT = re.compile(rb"\breport[ _-]domain:", re.IGNORECASE)  # RFC 7489 §7.2.1.1, RFC 8460 §5.3
_NAME = re.compile(r"[^!]+![^!]+!\d+!\d+")  # of the file, the same sections
_PACKED = frozenset({"gzip", "x-gzip", "zip", "x-zip", "x-zip-compressed", "octet-stream", "xml", "tlsrpt+gzip"})
# The same name, or the type, of an attached file: many send one under a subject of their own.
_ATTACHED = re.compile(rb'name\*?="?([^"\r\n;]{1,300})|application/tlsrpt\+(?:gzip|json)', re.IGNORECASE)
_FILE = re.compile(rb"[^!]+![^!]+!\d{1,12}!\d{1,12}(?:![^!]*)?(?:\.xml|\.json)?\.(?:xml|zip|gz|json)\Z", re.IGNORECASE)
_ABOUT_US = re.compile(rb"^feedback-type[ \t]*:[ \t]*auth-failure", re.IGNORECASE | re.MULTILINE)


def looks_like_report(header: bytes, body: bytes = b"") -> bool:
    """By the header, and by the begin of the body: a complaint about spam is for people."""
    fields = header_block.group_fields(header[: header_block.header_end(header)])
    if b"tls-report-domain" in fields:
        return True
    for value in fields.get(b"subject", [])[:1]:
        if _SUBJECT.search(header_block.unfold(value).replace(b"=20", b" ")):
            return True
    for value in fields.get(b"content-type", [])[:1]:
        kind, subtype, parameters = content_type_of(value)
        given = {name.lower(): text for name, text in parameters}
        if (kind, subtype) == ("multipart", "report"):
            report = given.get("report-type", "").lower()
            return report == "tlsrpt" or (report == "feedback-report" and _ABOUT_US.search(body[:_BEGIN]) is not None)
        if kind == "multipart":
            begin = body[:_BEGIN]
            return any(one[1] is None or _FILE.match(one[1].strip()) for one in _ATTACHED.finditer(begin))
        names = [given.get("name", "")]
        for placed in fields.get(b"content-disposition", [])[:1]:
            names += [text for name, text in disposition_of(placed)[1] if name.lower() == "filename"]
        if kind in ("application", "text") and (subtype in _PACKED or subtype == "tlsrpt+json"):
            return any(_NAME.match(name) for name in names)
    return False


async def read_letter(message: bytes, received: float, workers: Workers, clock: Clock) -> tuple[Report, ...]:
    """All reports in ``message``. Raises ReportWrong (also when there is none) and Busy."""
    papers: tuple[Paper, ...] = await workers.run("disk", papers_of, message)
    found: list[Report] = []
    named = header_block.first(message[: header_block.header_end(message)], "tls-report-domain") or b""
    about = clean_domain(named.decode("utf-8", "replace"))
    for paper in papers:
        if paper.kind == "arf":
            found.append(read_failure(paper.octets, paper.about, received))
        elif paper.kind == "json":
            found += await workers.run("disk", read_tls, paper.octets, about)
        else:
            found.append(await _aggregate(paper.octets, clock))
    if not found:
        raise ReportWrong("no report was found in it")
    return tuple(found)


async def _aggregate(octets: bytes, clock: Clock) -> Report:
    reader, slices = AggregateReader(), Slices(clock)
    for at in range(0, len(octets), PIECE):
        reader.feed(octets[at : at + PIECE])
        await slices.breathe()
    return reader.close()
