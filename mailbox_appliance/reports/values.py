"""What a report says, whichever form it came in."""

from __future__ import annotations

from mailbox_appliance.mail.values import dataclass

AGGREGATE, FAILURE, TLS = "aggregate", "failure", "tls"
MOST_ROWS = 5000  # of one report


class ReportWrong(Exception):
    """It cannot be read; str() says why in words for the journal."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """Messages from one address that bore our name. ``dkim`` and ``spf``: passed, and for the author's domain."""

    source: str
    messages: int
    disposition: str = ""  # none, quarantine, reject
    dkim: bool = False
    spf: bool = False
    header_from: str = ""
    details: str = ""  # what was found: "dkim=fail example.org/s1 spf=pass isp.test"
    reason: str = ""  # why the policy was not obeyed: forwarded, mailing_list …


@dataclass(frozen=True, slots=True)
class TlsRow:
    """Sessions with our hosts. ``result`` "" is success, else one of RFC 8460 §4.3."""

    policy: str  # sts, tlsa, no-policy-found
    result: str
    sessions: int
    host: str = ""
    source: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One report on ``domain``. ``begin`` and ``end`` in seconds since 1970; ``policy`` is what the reporter saw."""

    kind: str
    reporter: str
    report_id: str
    domain: str
    begin: float
    end: float
    policy: str = ""
    sources: tuple[SourceRow, ...] = ()
    tls: tuple[TlsRow, ...] = ()
    cut: bool = False  # it had more rows than we keep


def clean(text: str, most: int = 200) -> str:
    """What a stranger wrote, fit for a line on a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text[: most * 4]).strip()[:most]


def clean_domain(text: str) -> str:
    """A domain as we compare them."""
    return clean(text, 253).rstrip(".").lower()
