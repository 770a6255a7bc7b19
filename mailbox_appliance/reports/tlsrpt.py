"""Reading TLS reports (RFC 8460 §4.4): JSON that tells how TLS with our hosts went."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from mailbox_appliance.reports.values import MOST_ROWS, TLS, Report, ReportWrong, TlsRow, clean, clean_domain

MOST_OCTETS = 1 << 20
MOST_SESSIONS = 1 << 40


def read_tls(octets: bytes, about: str = "") -> tuple[Report, ...]:
    """A report for each domain it speaks of; ``about`` is the domain where a policy names none. Raises ReportWrong."""
    if len(octets) > MOST_OCTETS:
        raise ReportWrong(f"its JSON has more than {MOST_OCTETS >> 20} MB")
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise ReportWrong(f"its JSON is broken: {clean(str(error))}") from None
    policies = _list(document, "policies")
    if not policies:
        raise ReportWrong("it is JSON, but no TLS report: it names no policy")
    dates = _table(document, "date-range")
    begin, end = (_moment(_text(dates, name)) for name in ("start-datetime", "end-datetime"))
    reporter, report_id = _text(document, "organization-name"), _text(document, "report-id")
    rows: dict[str, list[TlsRow]] = {}
    total = 0
    for entry in policies:
        policy = _table(entry, "policy")
        domain = clean_domain(_text(policy, "policy-domain")) or about
        if not domain:
            continue
        mine = rows.setdefault(domain, [])
        kind = _text(policy, "policy-type")[:20]
        summary = _table(entry, "summary")
        good = _number(summary, "total-successful-session-count")
        if good:
            mine.append(TlsRow(kind, "", good))
        bad = _number(summary, "total-failure-session-count")
        for failure in _list(entry, "failure-details"):
            total += 1
            if total > MOST_ROWS or not isinstance(failure, dict):
                break
            sessions = _number(failure, "failed-session-count")
            bad -= sessions
            result = _text(failure, "result-type")[:60] or "unknown"
            host = clean_domain(_text(failure, "receiving-mx-hostname"))
            source = _text(failure, "sending-mta-ip")[:64]
            mine.append(TlsRow(kind, result, sessions, host, source, _text(failure, "failure-reason-code")))
        if bad > 0:
            mine.append(TlsRow(kind, "unknown", bad))
        if len(rows) > 100:
            break
    if not rows:
        raise ReportWrong("it is JSON, but no TLS report: it names no domain")
    cut = total > MOST_ROWS
    return tuple(
        Report(TLS, reporter, report_id, domain, begin, end, tls=tuple(mine), cut=cut) for domain, mine in rows.items()
    )


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found[:1000] if isinstance(found, list) else []


def _table(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return clean(found) if isinstance(found, str) else ""


def _number(value: dict[str, Any], name: str) -> int:
    found = value.get(name)
    return max(0, min(found, MOST_SESSIONS)) if isinstance(found, int) else 0


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0.0
