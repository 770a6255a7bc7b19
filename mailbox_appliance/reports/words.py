"""What the reports come to, in words for the owner: who sent as us, what passed, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.reports.memory import Kept
from mailbox_appliance.reports.values import AGGREGATE, FAILURE, TLS, SourceRow

MOST_SOURCES = 20  # shown of one domain
_NONE_LONG_ENOUGH = 20  # messages of ours that passed, before p=none is called timid

# RFC 8460 §4.3: what a sender saw of our hosts, and who can mend it.
_TLS_REMEDIES = {
    "starttls-not-supported": "no STARTTLS was offered: something between (a firewall, a provider) takes it out",
    "certificate-host-mismatch": "the certificate lacks the host's name: mailappliance cert show",
    "certificate-expired": "the certificate had ended: mailappliance cert renew",
    "certificate-not-trusted": "the certificate is self-made, or its authority is not trusted: order one, see [acme]",
    "validation-failure": "the certificate or the TLS hello was not accepted: mailappliance cert show",
    "tlsa-invalid": "the TLSA record names another key: mailappliance dns check",
    "dnssec-invalid": "the signatures of the zone are wrong: ask your DNS provider",
    "dane-required": "the sender wants DANE, and there is no TLSA record it could use",
    "sts-policy-fetch-error": "the MTA-STS policy could not be fetched: is listen.https reachable?",
    "sts-policy-invalid": "the MTA-STS policy could not be read: mailappliance dns check",
    "sts-webpki-invalid": "the certificate of mta-sts.DOMAIN is wrong: mailappliance cert renew",
}


@dataclass(slots=True)
class Source:
    """Everything from one address that bore the domain's name."""

    address: str
    name: str = ""
    ours: bool = False
    both: int = 0
    dkim_only: int = 0
    spf_only: int = 0
    neither: int = 0
    delivered: int = 0  # of those that failed
    broken_signature: bool = False  # a signature of ours that did not hold
    excused: set[str] = field(default_factory=set)
    authenticated_as: set[str] = field(default_factory=set)

    @property
    def messages(self) -> int:
        """All of them."""
        return self.both + self.dkim_only + self.spf_only + self.neither


def add_up(domain: str, kept: Iterable[Kept], own: frozenset[str], names: Mapping[str, str]) -> list[Source]:
    """The sources of a domain's aggregate reports: those that failed first, then by number."""
    found: dict[str, Source] = {}
    for one in kept:
        if one.report.kind != AGGREGATE or one.report.domain != domain or not one.proven:
            continue
        for row in one.report.sources:
            _add(found.setdefault(row.source, Source(row.source)), row, domain)
    for source in found.values():
        source.name, source.ours = names.get(source.address, ""), source.address in own
    return sorted(found.values(), key=lambda source: (-source.neither, -source.messages, source.address))


def _add(source: Source, row: SourceRow, domain: str) -> None:
    if row.dkim and row.spf:
        source.both += row.messages
    elif row.dkim:
        source.dkim_only += row.messages
    elif row.spf:
        source.spf_only += row.messages
    else:
        source.neither += row.messages
        if row.disposition in ("none", "pass", ""):
            source.delivered += row.messages
    for piece in row.details.split("; "):
        result, _, by = piece.partition(" ")
        by = by.partition("/")[0]
        if result == "dkim=fail" and (by == domain or by.endswith("." + domain)):
            source.broken_signature = True
        if result in ("dkim=pass", "spf=pass") and by and len(source.authenticated_as) < 5:
            source.authenticated_as.add(by)
    if row.reason and len(source.excused) < 5:
        source.excused.add(row.reason)


def judged(source: Source, domain: str) -> tuple[str, str]:
    """What it is, and what to do ("" when nothing is)."""
    if source.neither:
        if source.ours:
            return "our own mail failed", f"mailappliance dns check {domain}"
        others = sorted(source.authenticated_as - {domain})
        if source.excused & {"forwarded", "mailing_list", "trusted_forwarder"} or source.broken_signature:
            return "failed both: forwarded, or sent on by a mailing list that changes messages", ""
        if others:
            return (
                f"failed both, though {others[0]} stands behind it",
                f"if {others[0]} writes for you (newsletter, shop, web form), have it sign with DKIM as {domain}; "
                "if you do not know it, somebody pretends to be you",
            )
        return (
            "failed both: somebody pretends to be you, or a service that writes for you is missing",
            "if you know the sender (newsletter, shop, provider), add its include: to SPF or have it sign with DKIM; "
            "if not, nothing is to do: that is what the DMARC record is for",
        )
    if source.ours:
        if not source.both and source.dkim_only:
            return "our own mail, proven by DKIM alone", f"SPF does not fit: mailappliance dns check {domain}"
        if not source.both and source.spf_only:
            return "our own mail, proven by SPF alone", f"DKIM does not fit: mailappliance dns check {domain}"
        return "our own mail passed", ""
    if source.dkim_only and not source.both and not source.spf_only:
        return "passed by our signature: forwarded, or a service that signs as us", ""
    if source.spf_only and not source.both and not source.dkim_only:
        return "passed by SPF alone: a service that does not sign as us; forwarded on, its mail will fail", ""
    return "passed: a service that writes for us", ""


def summary(
    domains: Sequence[str],
    kept: Sequence[Kept],
    days: int,
    own: frozenset[str] = frozenset(),
    names: Mapping[str, str] | None = None,
) -> tuple[list[str], list[dict[str, Any]]]:
    """The lines and the same as data, a domain after the other; a domain without reports gets a line too."""
    lines: list[str] = []
    data = []
    for domain in domains:
        mine = [one for one in kept if one.report.domain == domain]
        if lines:
            lines.append("")
        said, facts = _domain(domain, mine, days, own, names or {})
        lines += said
        data.append(facts)
    return lines, data


def _domain(
    domain: str, mine: list[Kept], days: int, own: frozenset[str], names: Mapping[str, str]
) -> tuple[list[str], dict[str, Any]]:
    proven = [one for one in mine if one.proven]
    sources = add_up(domain, mine, own, names)
    passed = sum(source.messages - source.neither for source in sources)
    failed = sum(source.neither for source in sources)
    senders = sorted({one.sender or one.report.reporter for one in proven if one.report.kind == AGGREGATE})
    lines = [f"{domain}, the last {days} day(s)"]
    if not mine:
        lines.append("  no report has come; they come a day after the mail, when the DMARC record has rua=")
    elif senders:
        shown = ", ".join(senders[:5]) + (" …" if len(senders) > 5 else "")
        lines.append(f"  reported by {shown}: {passed + failed} message(s) bore the name, {failed} of them failed")
    listed = []
    for source in sources:
        words, remedy = judged(source, domain)
        listed.append(_source_data(source, words, remedy))
        if len(listed) > MOST_SOURCES:
            continue
        who = f"{source.address} ({source.name})" if source.name else source.address
        lines.append(f"  {source.messages:>6} from {who}{' (this machine)' if source.ours else ''}: {words}")
        if source.neither and source.neither != source.messages:
            lines.append(f"         {source.messages - source.neither} of them passed")
        if source.neither and source.delivered:
            lines.append(f"         {source.delivered} of those that failed were delivered all the same")
        if remedy:
            lines.append(f"         → {remedy}")
    if len(sources) > MOST_SOURCES:
        lines.append(f"  and {len(sources) - MOST_SOURCES} more addresses (--json has all)")
    policies = [one.report.policy for one in proven if one.report.kind == AGGREGATE]
    own_passed = sum(source.messages - source.neither for source in sources if source.ours)
    own_failed = sum(source.neither for source in sources if source.ours)
    if policies and policies[0] == "none" and own_passed >= _NONE_LONG_ENOUGH and not own_failed:
        lines.append("  → all our own mail passes, and forgeries are still delivered: publish p=quarantine")
    tls_lines, tls_data = _tls(proven)
    failure_lines, failure_data = _failures(proven)
    unproven = len(mine) - len(proven)
    if unproven:
        lines.append(f"  not counted: {unproven} report(s) behind which no domain stands; they may be invented")
    facts = {
        "domain": domain,
        "days": days,
        "reports": len(proven),
        "unproven": unproven,
        "reporters": senders,
        "passed": passed,
        "failed": failed,
        "sources": listed,
        "tls": tls_data,
        "failures": failure_data,
    }
    return lines + tls_lines + failure_lines, facts


def _source_data(source: Source, words: str, remedy: str) -> dict[str, Any]:
    return {
        "address": source.address,
        "name": source.name,
        "ours": source.ours,
        "messages": source.messages,
        "both": source.both,
        "dkim_only": source.dkim_only,
        "spf_only": source.spf_only,
        "neither": source.neither,
        "delivered_anyway": source.delivered,
        "words": words,
        "remedy": remedy,
    }


def _tls(proven: Sequence[Kept]) -> tuple[list[str], dict[str, Any]]:
    rows = [(one, row) for one in proven if one.report.kind == TLS for row in one.report.tls]
    good = sum(row.sessions for _, row in rows if not row.result)
    bad: dict[tuple[str, str], int] = {}
    seen_by: dict[tuple[str, str], set[str]] = {}
    for one, row in rows:
        if row.result:
            key = row.result, row.host
            bad[key] = bad.get(key, 0) + row.sessions
            seen_by.setdefault(key, set()).add(one.sender or one.report.reporter)
    lines = []
    if rows:
        lines.append(f"  TLS: {good} session(s) went well, {sum(bad.values())} failed")
    failures = []
    for (result, host), sessions in sorted(bad.items(), key=lambda item: -item[1]):
        remedy = _TLS_REMEDIES.get(result, "mailappliance status")
        by = ", ".join(sorted(seen_by[result, host])[:3])
        failures.append({"result": result, "host": host, "sessions": sessions, "seen_by": by, "remedy": remedy})
        if len(failures) <= MOST_SOURCES:
            lines += [f"  {sessions:>6} {result}{' at ' + host if host else ''} (seen by {by})", f"         → {remedy}"]
    return lines, {"good": good, "bad": sum(bad.values()), "failures": failures}


def _failures(proven: Sequence[Kept]) -> tuple[list[str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], int] = {}
    for one in proven:
        if one.report.kind == FAILURE:
            for row in one.report.sources:
                found[row.source, row.details] = found.get((row.source, row.details), 0) + row.messages
    lines, data = [], []
    for (source, details), messages in sorted(found.items(), key=lambda item: -item[1]):
        data.append({"address": source, "messages": messages, "details": details})
        if len(data) <= MOST_SOURCES:
            lines.append(f"  {messages:>6} reported one by one, from {source}: {details[:100]}")
    return lines, data
