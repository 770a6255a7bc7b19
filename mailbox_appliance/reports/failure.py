"""Reading failure reports (ARF, RFC 5965; RFC 6591): one message that failed, or that somebody complained about."""

from __future__ import annotations

import ipaddress

from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.dates import parse_date
from mailbox_appliance.reports.values import FAILURE, Report, ReportWrong, SourceRow, clean, clean_domain

MOST_INCIDENTS = 1 << 30


def read_failure(octets: bytes, about: bytes, received: float) -> Report:
    """``octets`` are the feedback-report part, ``about`` begins with the header of the message. Raises ReportWrong."""
    fields = header_block.group_fields(_lf(octets).strip(b"\n") + b"\n\n")

    def text(name: str) -> str:
        values = fields.get(name.encode(), [])
        return clean(header_block.unfold(values[0]).decode("utf-8", "replace")) if values else ""

    kind = text("feedback-type").lower()
    if not kind:
        raise ReportWrong("its feedback report has no type (RFC 5965 §3.1)")
    author = _author(_lf(about))
    domain = clean_domain(text("reported-domain")) or clean_domain(text("dkim-domain")) or author
    try:
        source = str(ipaddress.ip_address(text("source-ip").partition(" ")[0].strip("[]")))
    except ValueError:
        source = "?"
    moment = parse_date(text("arrival-date").encode("utf-8", "replace")) if text("arrival-date") else None
    when = float(moment.epoch) if moment is not None else received
    incidents = text("incidents")[:19]
    count = min(int(incidents), MOST_INCIDENTS) if incidents.isascii() and incidents.isdigit() else 1
    failed = text("auth-failure").lower()
    results = [text("authentication-results")] if text("authentication-results") else []
    details = "; ".join(filter(None, (kind, failed, *results)))
    row = SourceRow(
        source,
        max(1, count),
        text("delivery-result").lower()[:12],
        False,
        False,
        author or domain,
        clean(details, 400),
        kind,
    )
    reporter = clean_domain(text("reporting-mta").rpartition(";")[2]) or text("user-agent")
    return Report(FAILURE, reporter, "", domain, when, when, sources=(row,))


def _lf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n")


def _author(about: bytes) -> str:
    """The domain of the reported message's author."""
    end = header_block.header_end(about)
    header = about[:end] if end > 0 else about.rstrip(b"\n") + b"\n\n"
    for mailbox in header_block.from_addresses(header):
        if mailbox.domain is not None:
            return clean_domain(mailbox.domain.decode("utf-8", "replace"))
    return ""
