"""Delivery status notifications: what became of a message, told to its sender (RFC 3464, RFC 6522, RFC 6533, RFC 3461).

Three parts: plain words for a person, fields for a program, the message or its header.
"""

from __future__ import annotations

import re

from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.dates import mail_date_time
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.letter import Letter, body_text, mail_fields, one_line
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.values import dataclass

# A whole message is given back up to this size (octets); of longer ones the header.
MOST_RETURNED = 65536

FAILED, DELAYED, DELIVERED, RELAYED, EXPANDED = "failed", "delayed", "delivered", "relayed", "expanded"

_WORDS = {
    FAILED: ("Undelivered", "could not be delivered to:", "It will not be tried again."),
    DELAYED: (
        "Delayed",
        "could not be delivered yet to:",
        "It is tried again and again until %s. Nothing need be done.",
    ),
    DELIVERED: ("Delivered", "has been delivered to:", ""),
    RELAYED: ("Passed on", "has been passed on to a host that may say nothing more, for:", ""),
    EXPANDED: ("Delivered", "has been passed on to everybody behind:", ""),
}
_STATUS = {Result.FAILED: "5.0.0", Result.TRY_AGAIN: "4.0.0", Result.DELIVERED: "2.0.0"}
_HOST = re.compile(r"[A-Za-z0-9.\-]+")


@dataclass(frozen=True, slots=True)
class Fate:
    """One recipient of the report. ``action`` is one of RFC 3464 §2.3.3; times are epoch seconds, 0 unknown."""

    recipient: Recipient
    action: str
    outcome: Outcome
    attempted: float = 0.0
    retry_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """A report to be: ``envelope`` and ``content`` are of the message it speaks of. All ``fates`` have one action."""

    hostname: str
    envelope: Envelope
    arrived: float
    content: Content
    fates: tuple[Fate, ...]
    domain: str = ""  # of the report's From, "" is the host's name: the domain that signs it

    @property
    def action(self) -> str:
        """What the report is about."""
        return self.fates[0].action


def compose_report(report: Report, to: Address, message_id: str, now: float) -> Content:
    """The whole message, for ``to`` (the reverse path). 8-bit where the message it gives back is."""
    original = report.content.header
    word = _WORDS[report.action][0]
    subject = _subject(original)
    letter = Letter(
        sender=Address("MAILER-DAEMON", report.domain or report.hostname),
        to=to,
        subject=f"{word}: {subject}" if subject else f"{word} mail",
        text="",
        auto_submitted="auto-replied",
        answers=(header_block.first(original, "message-id") or b"").decode("ascii", "replace"),
    )
    utf8 = report.envelope.smtputf8 or not all(fate.recipient.forward_path.is_ascii for fate in report.fates)
    words, encoding = body_text(_plain_words(report, subject))
    status = _status_fields(report).encode("utf-8", "replace")
    kind, returned = _returned(report, utf8)
    boundary = f"=_{message_id.strip('<>').partition('@')[0]}_="
    status_type = "message/global-delivery-status" if utf8 and not status.isascii() else "message/delivery-status"
    header = (
        mail_fields(letter, message_id, now)
        + "MIME-Version: 1.0\n"
        + f'Content-Type: multipart/report; report-type=delivery-status;\n boundary="{boundary}"\n'
        + "Content-Transfer-Encoding: 8bit\n\n"
    ).encode("utf-8", "replace")
    charset = "us-ascii" if encoding == "7bit" else "utf-8"
    body = b"".join(
        (
            f"This is a MIME message about mail you have sent.\n\n--{boundary}\n".encode(),
            f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n".encode(),
            words,
            f"\n--{boundary}\nContent-Type: {status_type}\n{_encoding_of(status)}\n".encode(),
            status,
            f"\n--{boundary}\nContent-Type: {kind}\n{_encoding_of(returned)}\n".encode(),
            returned,
            b"" if returned.endswith(b"\n") else b"\n",
            f"\n--{boundary}--\n".encode(),
        )
    )
    return Content(header, body, header.count(b"\n") + body.count(b"\n"))


def _encoding_of(octets: bytes) -> str:
    return "" if octets.isascii() else "Content-Transfer-Encoding: 8bit\n"


def _subject(header: bytes) -> str:
    value = header_block.first(header, "subject")
    text = one_line(decode_words(value)) if value else ""
    return text if len(text) <= 200 else text[:200] + "…"


def _plain_words(report: Report, subject: str) -> str:
    _, what, end = _WORDS[report.action]
    name = f'"{subject}"' if subject else "of yours"
    lines = [f"This is the mail system of {report.hostname}.", ""]
    lines += [f"Your message {name}, accepted on {mail_date_time(report.arrived)},", what, ""]
    for fate in report.fates:
        lines.append(f"  {fate.recipient.forward_path}")
        outcome = fate.outcome
        if fate.action in (FAILED, DELAYED):
            who = f"{one_line(outcome.host)} said" if outcome.remote and outcome.host else "Reason"
            lines.append(f"    {who}: {one_line(str(outcome.reply))}")
            if outcome.reason:
                lines.append(f"    That means: {one_line(outcome.reason)}")
        lines.append("")
    if "%s" in end:
        end = end % mail_date_time(max(fate.retry_until for fate in report.fates))
    return "\n".join([*lines, end])


def _status_fields(report: Report) -> str:
    groups = [f"Reporting-MTA: dns; {report.hostname}\n"]
    if report.envelope.envid:
        groups.insert(0, f"Original-Envelope-Id: {one_line(report.envelope.envid)[:200]}\n")
    groups.append(f"Arrival-Date: {mail_date_time(report.arrived)}\n")
    return "".join(groups) + "".join("\n" + _recipient_fields(fate) for fate in report.fates)


def _recipient_fields(fate: Fate) -> str:
    recipient, outcome = fate.recipient, fate.outcome
    lines = []
    if recipient.original:
        lines.append(f"Original-Recipient: {one_line(recipient.original)[:600]}")
    kind = "rfc822" if recipient.forward_path.is_ascii else "utf-8"
    lines.append(f"Final-Recipient: {kind}; {one_line(str(recipient.forward_path))}")
    lines.append(f"Action: {fate.action}")
    lines.append(f"Status: {outcome.reply.enhanced or _STATUS[outcome.result]}")
    host = _HOST.match(outcome.host)
    if outcome.remote and host is not None:
        lines.append(f"Remote-MTA: dns; {host[0]}")
    if outcome.remote:
        lines.append(f"Diagnostic-Code: smtp; {one_line(str(outcome.reply))[:800]}")
    if fate.attempted:
        lines.append(f"Last-Attempt-Date: {mail_date_time(fate.attempted)}")
    if fate.action == DELAYED and fate.retry_until:
        lines.append(f"Will-Retry-Until: {mail_date_time(fate.retry_until)}")
    return "".join(f"{line}\n" for line in lines)


def _returned(report: Report, utf8: bool) -> tuple[str, bytes]:
    """RFC 3461 §4.3: the whole message only for a failure, and only when RET did not ask for the header alone."""
    content = report.content
    whole = report.action == FAILED and report.envelope.ret != "HDRS" and content.size <= MOST_RETURNED
    if whole and isinstance(content.body, bytes):
        kind = "message/global" if utf8 and not content.header.isascii() else "message/rfc822"
        return kind, content.header + content.body
    kind = "message/global-headers" if utf8 and not content.header.isascii() else "text/rfc822-headers"
    return kind, content.header.rstrip(b"\n") + b"\n"
