"""Who is told what became of a message (RFC 3461 §5, RFC 3464, RFC 5321 §6.1), and who is not.

A report goes to users of ours only: anybody else's reverse path may be forged, and then it would be backscatter. A
message with the null reverse path is never reported (RFC 5321 §4.5.5). NOTIFY decides what each recipient's sender
wants to hear; when it says nothing, failures and delays are told.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailbox_appliance.journal.events.queue import ReportSent, ReportWithheld
from mailbox_appliance.mail import report as words
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.report import Fate, Report, compose_report
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.ports.checks import Signing
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Acceptance, Parcel
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.users import Directory, Known

# action: the word of NOTIFY that asks for it, and whether it is told when NOTIFY is absent (RFC 3461 §4.1)
ASKED_BY = {
    words.FAILED: ("FAILURE", True),
    words.DELAYED: ("DELAY", True),
    words.DELIVERED: ("SUCCESS", False),
    words.RELAYED: ("SUCCESS", False),
    words.EXPANDED: ("SUCCESS", False),
}


def wants(recipient: Recipient, action: str) -> bool:
    """Has the sender asked to hear of this?"""
    word, by_default = ASKED_BY[action]
    return word in recipient.notify if recipient.notify else by_default


class Bounces:
    """``hostname`` speaks in the reports; ``signing`` puts the domain's own name under them."""

    def __init__(
        self,
        acceptance: Acceptance,
        directory: Directory,
        clock: Clock,
        journal: Journal,
        hostname: str,
        signing: Signing | None = None,
    ) -> None:
        self._acceptance = acceptance
        self._directory = directory
        self._clock = clock
        self._journal = journal
        self._hostname = hostname
        self._signing = signing

    async def tell(
        self, trace: str, envelope: Envelope, arrived: float, content: Content, fates: Sequence[Fate]
    ) -> bool:
        """Tell the sender what he wants to know of ``fates`` (one action each). False when it must be tried again."""
        settled = True
        for action in dict.fromkeys(fate.action for fate in fates):
            wanted = tuple(fate for fate in fates if fate.action == action and wants(fate.recipient, action))
            if wanted and not await self._report(trace, envelope, arrived, content, wanted):
                settled = False
        return settled

    async def _report(
        self, trace: str, envelope: Envelope, arrived: float, content: Content, fates: tuple[Fate, ...]
    ) -> bool:
        to = envelope.reverse_path
        action = fates[0].action
        recipients = tuple(str(fate.recipient.forward_path) for fate in fates)
        why_not = await self._why_not(to)
        if to is None or why_not:
            if action != words.DELAYED:
                self._journal.tell(
                    ReportWithheld(
                        trace=trace, sender=str(to or "<>"), action=action, recipients=recipients, reason=why_not
                    )
                )
            return True
        now = self._clock.seconds()
        name = new_trace_id(now)
        domain = to.domain if self._signing is not None else ""
        report = Report(self._hostname, envelope, arrived, content, fates, domain)
        message_id = f"<{name}.report@{self._hostname}>"
        notice = compose_report(report, to, message_id, now)
        if self._signing is not None:
            notice = notice.with_prefix(await self._signing.sign(notice, domain))
        # RFC 3461 §5.2.5 and RFC 3464 §2: a report has the null reverse path, and nothing is reported of it.
        about = Envelope(None, (Recipient(to, frozenset({"NEVER"})),), eight_bit=True, smtputf8=not to.is_ascii)
        receipts = await self._acceptance.accept(Parcel(name, Origin.LOCAL, about, notice, message_id=message_id))
        reply = receipts[0].reply if receipts else None
        if reply is None or reply.is_transient:
            return False
        if reply.is_positive:
            self._journal.tell(
                ReportSent(trace=trace, sender=str(to), action=action, recipients=recipients, report=name)
            )
        else:
            self._journal.tell(
                ReportWithheld(trace=trace, sender=str(to), action=action, recipients=recipients, reason=str(reply))
            )
        return True

    async def _why_not(self, to: Address | None) -> str:
        if to is None:
            return "it was a notification itself"
        if not isinstance(await self._directory.resolve(to), Known):
            return "the sender is no user of ours"
        return ""
