"""Our daily reports to domains that ask for them: what came in their name, and what we made of it.

RFC 9990 (form, addresses, verification of other hosts' addresses §4), RFC 7489 §7.2 for the file's name and subject.
A day (UTC) becomes one XML document a policy domain, packed with gzip and mailed to whom ``rua=`` names, signed.
"""

from __future__ import annotations

import html
import secrets
from collections.abc import Awaitable, Callable, Sequence

from mailbox_appliance.journal.events.reports import ReportSent
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.filed_report import FiledReport
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.mailauth.dmarc import Record, organizational_domain, read_record
from mailbox_appliance.mailauth.lookups import Answers, Question, settle
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Acceptance, Parcel
from mailbox_appliance.ports.dns import Answer, Resolver, Status
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.reports.tally import DAY, Tallied, Tally

MOST_DOMAINS = 500  # a day
MOST_ROWS = 5000  # of one report
MOST_ADDRESSES = 3

Sign = Callable[[Content, str], Awaitable[bytes]]
Sender = Callable[[], Awaitable[Address | None]]


class AggregateReports:
    """``send_due`` is called once a day. ``sign`` makes DKIM-Signature fields; ``sender`` is who writes."""

    def __init__(
        self,
        tally: Tally,
        resolver: Resolver,
        acceptance: Acceptance,
        workers: Workers,
        clock: Clock,
        journal: FullJournal,
        hostname: Callable[[], str],
        ours: Callable[[], frozenset[str]],
        *,
        sender: Sender,
        sign: Sign | None = None,
    ) -> None:
        self._tally = tally
        self._resolver = resolver
        self._acceptance = acceptance
        self._workers = workers
        self._clock = clock
        self._journal = journal
        self._hostname = hostname
        self._ours = ours
        self._sender = sender
        self._sign = sign

    async def send_due(self) -> int:
        """Report all days before today, each once; returns how many reports went out. Raises what the tally raises."""
        today = int(self._clock.seconds()) // DAY
        due = await self._tally.before(today)
        sender = await self._sender()
        sent = 0
        for (day, domain), rows in list(due.items())[:MOST_DOMAINS]:
            if sender is not None and domain not in self._ours():
                try:
                    sent += await self._send(domain, rows[:MOST_ROWS], day, sender)
                except Exception as error:  # noqa: BLE001 - one domain's report must not stop the others
                    self._journal.broken("reports", error)
            await self._tally.forget(day, domain)
        return sent

    async def _ask(self, questions: tuple[Question, ...]) -> tuple[Answer, ...]:
        return tuple([await self._resolver.look_up(*question) for question in questions])

    async def _send(self, domain: str, rows: Sequence[Tallied], day: int, sender: Address) -> bool:
        answer = await self._resolver.look_up(f"_dmarc.{domain}", "TXT")
        texts = [text for text in answer.records if isinstance(text, bytes)]
        records = [record for text in texts if (record := read_record(text)) is not None]
        if len(records) != 1:
            return False
        (record,) = records
        wanted = await settle(lambda answers: destinations(domain, record, answers), Answers(), self._ask)
        if not wanted:
            return False
        report_id = f"{day}.{secrets.token_hex(8)}"
        document = report(domain, record, rows, day, report_id, sender)
        import gzip

        packed = await self._workers.run("disk", gzip.compress, document)
        addresses = tuple(address for address, most in wanted if len(packed) * 4 // 3 <= most)
        if not addresses:
            return False
        now = self._clock.seconds()
        filed = _filed(packed, domain, day, report_id, sender, addresses, self._hostname())
        content = filed.content(now)
        if self._sign is not None:
            content = content.with_prefix(await self._sign(content, sender.domain))
        trace = new_trace_id(now)
        parcel = Parcel(trace, Origin.LOCAL, filed.envelope(), content, message_id=filed.message_id)
        receipts = await self._acceptance.accept(parcel)
        if not any(receipt.reply.is_positive for receipt in receipts):
            return False
        to = tuple(str(address) for address in addresses)
        messages = sum(one.messages for one in rows)
        self._journal.tell(ReportSent(trace=trace, domain=domain, recipient=to, messages=messages))
        return True


def destinations(domain: str, record: Record, answers: Answers) -> tuple[tuple[Address, int], ...]:
    """Who wants the reports on ``domain``, and how many octets at most. Raises Missing.

    RFC 9990 §4: an address of another organization counts only when that one says so in
    ``DOMAIN._report._dmarc.THEIRS``; else anybody could have us write to anybody.
    """
    found: list[tuple[Address, int]] = []
    for uri in record.rua:
        scheme, colon, rest = uri.partition(":")
        if not colon or scheme.lower() != "mailto":
            continue
        text, _, limit = rest.partition("?")[0].partition("!")
        try:
            address = Address.parse(_unquoted(text))
        except AddressError:
            continue
        if not address.domain or address.domain.startswith("[") or address in [one for one, _ in found]:
            continue
        if organizational_domain(address.domain, answers) != organizational_domain(domain, answers):
            said = answers.get(f"{domain}._report._dmarc.{address.domain}", "TXT")
            texts = (text for text in said.records if isinstance(text, bytes))
            if said.status is not Status.OK or not any(_agrees(text) for text in texts):
                continue
        found.append((address, _octets(limit)))
    return tuple(found[:MOST_ADDRESSES])


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)


def _agrees(text: bytes) -> bool:
    return text.replace(b" ", b"").lower().split(b";")[0] == b"v=dmarc1"


def _octets(limit: str) -> int:
    """``10m`` of ``mailto:…!10m`` (RFC 7489 §6.2); without one as much as every host takes."""
    units = {"k": 10, "m": 20, "g": 30, "t": 40}
    shift = units.get(limit[-1:].lower(), 0)
    number = limit[:-1] if shift else limit
    return int(number[:12]) << shift if number.isascii() and number.isdigit() else 10 << 20


def report(domain: str, record: Record, rows: Sequence[Tallied], day: int, report_id: str, sender: Address) -> bytes:
    """The document of RFC 9990 §3."""
    policy = [
        _tag("domain", domain),
        _tag("p", record.p),
        _tag("sp", record.sp or record.p),
        _tag("np", record.np or record.sp or record.p),
        _tag("adkim", "s" if record.strict_dkim else "r"),
        _tag("aspf", "s" if record.strict_spf else "r"),
        _tag("testing", "y" if record.testing else "n"),
        _tag("discovery_method", "treewalk"),
    ]
    head = [
        _tag("org_name", sender.domain),
        _tag("email", str(sender)),
        _tag("report_id", report_id),
        f"<date_range>{_tag('begin', str(day * DAY))}{_tag('end', str(day * DAY + DAY - 1))}</date_range>",
    ]
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">\n'
        f"<version>1.0</version>\n<report_metadata>{''.join(head)}</report_metadata>\n"
        f"<policy_published>{''.join(policy)}</policy_published>\n{''.join(map(_record, rows))}</feedback>\n"
    )
    return text.encode("utf-8", "replace")


def _record(one: Tallied) -> str:
    seen = one.seen
    evaluated = [
        _tag("disposition", seen.disposition),
        _tag("dkim", "pass" if seen.dkim else "fail"),
        _tag("spf", "pass" if seen.spf else "fail"),
    ]
    if seen.reason:
        evaluated.append(f"<reason>{_tag('type', seen.reason)}</reason>")
    results = []
    for signature in seen.signatures.split():
        domain, selector, result = [*signature.split("/"), "", ""][:3]
        results.append(f"<dkim>{_tag('domain', domain)}{_tag('selector', selector)}{_tag('result', result)}</dkim>")
    if seen.spf_domain:
        scope = _tag("scope", seen.spf_scope)
        results.append(f"<spf>{_tag('domain', seen.spf_domain)}{scope}{_tag('result', seen.spf_result)}</spf>")
    row = f"{_tag('source_ip', seen.source)}{_tag('count', str(one.messages))}"
    return (
        f"<record><row>{row}<policy_evaluated>{''.join(evaluated)}</policy_evaluated></row>"
        f"<identifiers>{_tag('header_from', seen.author)}{_tag('envelope_from', seen.envelope)}</identifiers>"
        f"<auth_results>{''.join(results)}</auth_results></record>\n"
    )


def _tag(name: str, text: str) -> str:
    return f"<{name}>{html.escape(''.join(sign for sign in text if sign.isprintable()), quote=False)}</{name}>"


def _filed(
    packed: bytes, domain: str, day: int, report_id: str, sender: Address, addresses: tuple[Address, ...], hostname: str
) -> FiledReport:
    # RFC 7489 §7.2.1.1: submitter!policy-domain!begin!end!unique-id
    name = f"{sender.domain}!{domain}!{day * DAY}!{day * DAY + DAY - 1}!{report_id.rpartition('.')[2]}.xml.gz"
    return FiledReport(
        sender,
        addresses,
        display="DMARC reports",
        subject=f"Report Domain: {domain} Submitter: {sender.domain} Report-ID: <{report_id}>",
        message_id=f"<{report_id}@{hostname}>",
        words=f"What came to the mail server of {sender.domain} in the name of\n{domain} on one day (UTC), "
        "as its DMARC record asks for.\n",
        packed=packed,
        document_type="application/gzip",
        file_name=name,
    )
