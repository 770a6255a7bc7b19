"""Daily reports to domains that ask for them: how TLS with their mail hosts went (RFC 8460).

Yesterday's results (UTC) are read out of relay.db, made into one JSON document a domain, packed with gzip and mailed to
whom the TXT record ``_smtp._tls.DOMAIN`` names. A report goes at any price, even where TLS is broken (§3).
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

from mailbox_appliance.journal.events.relay import TlsReportSent
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.filed_report import FiledReport
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.tlsrpt_record import report_addresses
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Acceptance, Parcel
from mailbox_appliance.ports.dns import Resolver
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.tlswatch import DAY

MOST_DOMAINS = 500
MOST_ROWS = 20_000
KEPT_DAYS = 3
MOST_FAILURES = 200  # of one policy in one report

Sign = Callable[[Content, str], Awaitable[bytes]]
Sender = Callable[[], Awaitable[Address | None]]


@dataclass(frozen=True, slots=True)
class Row:
    """Sessions of one kind. ``policy`` is JSON of ``PolicyFacts``; ``result`` "" is success."""

    domain: str
    policy: str
    result: str
    host: str
    address: str
    reason: str
    sessions: int


class TlsReports:
    """``send_due`` is called once a day. ``sign`` makes DKIM-Signature fields; ``sender`` is who writes."""

    def __init__(
        self,
        memory: RelayMemory,
        resolver: Resolver,
        acceptance: Acceptance,
        clock: Clock,
        journal: FullJournal,
        hostname: str,
        *,
        sender: Sender,
        sign: Sign | None = None,
    ) -> None:
        self._memory = memory
        self._resolver = resolver
        self._acceptance = acceptance
        self._clock = clock
        self._journal = journal
        self._hostname = hostname
        self._sender = sender
        self._sign = sign

    async def send_due(self) -> int:
        """Report the results of the days before today, each once; returns how many reports went out. Never raises."""
        today = int(self._clock.seconds() // DAY)
        # What an edge has seen may come a day late.
        return sum([await self._send_day(day) for day in range(today - KEPT_DAYS, today)])

    async def _send_day(self, day: int) -> int:
        nothing: list[Row] = []
        rows = await self._memory.run(lambda connection: results_of(connection, day), nothing)
        by_domain: dict[str, list[Row]] = {}
        for row in rows:
            by_domain.setdefault(row.domain, []).append(row)
        sent = 0
        for domain, own in list(by_domain.items())[:MOST_DOMAINS]:
            try:
                sent += await self._send(domain, own, day)
            except Exception as error:  # noqa: BLE001 - one domain's report must not stop the others
                self._journal.broken("relay", error)
        if rows:
            await self._memory.run(lambda connection: forget_day(connection, day), None)
        return sent

    async def _send(self, domain: str, rows: Sequence[Row], day: int) -> bool:
        answer = await self._resolver.look_up(f"_smtp._tls.{domain}", "TXT")
        addresses = report_addresses(answer.records)
        sender = await self._sender() if addresses else None
        if sender is None:
            return False
        now = self._clock.seconds()
        report_id = f"{day}.{secrets.token_hex(8)}.{domain}"
        document = report(rows, day, report_id, sender)
        filed = _filed(document, domain, day, report_id, sender, addresses, self._hostname)
        content = filed.content(now)
        if self._sign is not None:
            content = content.with_prefix(await self._sign(content, sender.domain))
        trace = new_trace_id(now)
        parcel = Parcel(trace, Origin.LOCAL, filed.envelope(), content, message_id=filed.message_id)
        receipts = await self._acceptance.accept(parcel)
        if not any(receipt.reply.is_positive for receipt in receipts):
            return False
        good = sum(row.sessions for row in rows if not row.result)
        bad = sum(row.sessions for row in rows if row.result)
        to = tuple(str(address) for address in addresses)
        self._journal.tell(TlsReportSent(trace=trace, domain=domain, recipient=to, good=good, bad=bad))
        return True


def results_of(connection: sqlite3.Connection, day: int) -> list[Row]:
    """What ``day`` has shown."""
    found = connection.execute(
        "SELECT domain, policy, result, host, address, reason, sessions FROM tls_results WHERE day = ? "
        "ORDER BY domain, policy LIMIT ?",
        (day, MOST_ROWS),
    )
    return [Row(*row) for row in found]


def add_results(connection: sqlite3.Connection, day: int, rows: Iterable[Row]) -> None:
    """What our edge has seen on a day, beside our own."""
    (room,) = connection.execute("SELECT ? - count(*) FROM tls_results WHERE day = ?", (MOST_ROWS, day)).fetchone()
    connection.executemany(
        "INSERT INTO tls_results VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET sessions = sessions + excluded.sessions, reason = excluded.reason",
        [(day, *astuple(row)) for row in list(rows)[: max(0, room)]],
    )


def row_as_text(row: Row) -> str:
    """For the way from edge to store; without the number."""
    return json.dumps(astuple(row)[:-1])


def row_of_text(text: str, sessions: int) -> Row:
    """Raises ValueError for what is none."""
    given = json.loads(text)
    if not isinstance(given, list) or len(given) != 6 or not all(isinstance(one, str) for one in given):
        raise ValueError("no row of results")
    if not isinstance(json.loads(given[1]), dict):
        raise ValueError("no policy")
    domain, policy, result, host, address, reason = given
    return Row(domain, policy, result, host, address, reason, sessions)


def forget_day(connection: sqlite3.Connection, day: int) -> None:
    """It is reported, and so is all that is older."""
    connection.execute("DELETE FROM tls_results WHERE day <= ?", (day,))


def report(rows: Iterable[Row], day: int, report_id: str, sender: Address) -> dict[str, Any]:
    """The document of RFC 8460 §4.4 for one domain."""
    begin, end = (datetime.fromtimestamp(second, UTC) for second in (day * DAY, day * DAY + DAY - 1))
    by_policy: dict[str, list[Row]] = {}
    for row in rows:
        by_policy.setdefault(row.policy, []).append(row)
    return {
        "organization-name": sender.domain,
        "date-range": {"start-datetime": f"{begin:%Y-%m-%dT%H:%M:%SZ}", "end-datetime": f"{end:%Y-%m-%dT%H:%M:%SZ}"},
        "contact-info": str(sender),
        "report-id": report_id,
        "policies": [_policy(facts, own) for facts, own in by_policy.items()],
    }


def _policy(facts: str, rows: Sequence[Row]) -> dict[str, Any]:
    known = json.loads(facts)
    policy: dict[str, Any] = {"policy-type": known["kind"], "policy-domain": known["domain"] or rows[0].domain}
    if known["lines"]:
        policy["policy-string"] = known["lines"]
    if known["mx"]:
        policy["mx-host"] = known["mx"]
    bad = [row for row in rows if row.result]
    entry: dict[str, Any] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": sum(row.sessions for row in rows if not row.result),
            "total-failure-session-count": sum(row.sessions for row in bad),
        },
    }
    if bad:
        entry["failure-details"] = [_failure(row) for row in bad[:MOST_FAILURES]]
    return entry


def _failure(row: Row) -> dict[str, Any]:
    failure: dict[str, Any] = {"result-type": row.result, "failed-session-count": row.sessions}
    if row.host:
        failure["receiving-mx-hostname"] = row.host
    if row.address:
        failure["receiving-ip"] = row.address
    if row.reason:
        failure["failure-reason-code"] = row.reason
    return failure


def _filed(
    document: dict[str, Any],
    domain: str,
    day: int,
    report_id: str,
    sender: Address,
    addresses: tuple[Address, ...],
    hostname: str,
) -> FiledReport:
    """RFC 8460 §5.3: multipart/report with the packed document."""
    import gzip  # once a day

    # §5.1: submitter!policy-domain!begin!end!unique-id
    name = f"{sender.domain}!{domain}!{day * DAY}!{day * DAY + DAY - 1}!{secrets.token_hex(4)}.json.gz"
    return FiledReport(
        sender,
        addresses,
        display="TLS reports",
        subject=f"Report Domain: {domain} Submitter: {sender.domain} Report-ID: <{report_id}@{hostname}>",
        message_id=f"<{report_id}@{hostname}>",
        words=f"How TLS went between the mail server of {sender.domain} and the mail hosts of\n{domain} on "
        f"{datetime.fromtimestamp(day * DAY, UTC):%Y-%m-%d} (UTC), as RFC 8460 describes.\n",
        packed=gzip.compress(json.dumps(document, indent=1).encode("utf-8"), mtime=0),
        document_type="application/tlsrpt+gzip",
        file_name=name,
        container='multipart/report; report-type="tlsrpt"',
        fields=f"TLS-Report-Domain: {domain}\nTLS-Report-Submitter: {sender.domain}\nTLS-Required: No\n",
    )
