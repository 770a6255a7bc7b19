"""One mail transaction: MAIL, its RCPTs, its content, and what the border does to it before it is accepted.

RFC 5321 §3.3 (the transaction), §6.3 (loops), RFC 5322 §3.6 (From), RFC 6409 §6 (submission rights), §8 (mending).

The way of the content, in this order; the first refusal ends it::

    whole and clean        no bare CR or LF, no NUL, not too large
    header block           not too large, not in a loop
    author                 one From with one address; ours to write as, when submitted
    judged                 a stranger's message is checked as it arrived
    border                 fields taken out, trace fields and what the checks found put on top
    signed                 our own mail gets our signatures
    accepted               durable for every recipient, or the reply says why not
"""

from __future__ import annotations

from dataclasses import replace

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action as Fate
from mailbox_appliance.mail.verdict import Verdict
from mailbox_appliance.ports.checks import Checks, SenderLists, Signing, Standing
from mailbox_appliance.ports.delivery import ACCEPTED, Acceptance, Parcel, Receipt
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.smtp import fields
from mailbox_appliance.smtp.author import AuthorError, author_of
from mailbox_appliance.smtp.devices import AS_US, Device, speak_as
from mailbox_appliance.smtp.intake import Intake
from mailbox_appliance.smtp.limits import SmtpSettings
from mailbox_appliance.smtp.plainheader import in_ascii
from mailbox_appliance.smtp.policy import NOT_OWNED, Action, Sender
from mailbox_appliance.wire.smtp.content import Flaw
from mailbox_appliance.wire.smtp.grammar import MailArguments
from mailbox_appliance.wire.smtp.paths import show_path

FLAWS: dict[Flaw, Reply] = {
    Flaw.BARE_CR: Reply(550, "5.6.0", "Bare CR in the message; lines end with CR LF"),
    Flaw.BARE_LF: Reply(550, "5.6.0", "Bare LF in the message; lines end with CR LF"),
    Flaw.NUL: Reply(550, "5.6.0", "NUL octets in the message"),
}
LOOP = Reply(554, "5.4.6", "Too many Received fields: the message goes round in circles")
REJECTED = Reply(550, "5.7.1", "Message refused")
DEFERRED = Reply(451, "4.7.1", "Not now, try again later")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a transaction ended: the reply, and what the journal wants to know."""

    reply: Reply
    size: int = 0
    message_id: str = ""
    reason: str = ""
    junk: str = ""
    accepted: tuple[Recipient, ...] = ()
    receipts: tuple[Receipt, ...] = ()  # of each recipient, when it came to that


class Transaction:
    """From MAIL to the reply after the content. Made anew for each MAIL."""

    def __init__(
        self,
        trace: str,
        began: float,
        client: Client,
        origin: Origin,
        arguments: MailArguments,
        device: Device | None = None,
    ) -> None:
        self.trace = trace
        self.began = began
        self.client = client
        self.origin = origin
        self.arguments = arguments
        self.device = device
        self.sender = Sender.THEIRS
        self.recipients: dict[Recipient, None] = {}  # in order, each once
        self.taken: list[Recipient] = []  # one for each RCPT that was accepted
        self.each_answered = False  # LMTP, PRDR
        self.actions: set[Action] = set()
        self.intake: Intake | None = None

    @property
    def reverse_path(self) -> Address | None:
        """None is the null path."""
        return self.arguments.reverse_path

    @property
    def shown_recipients(self) -> tuple[str, ...]:
        """For the journal."""
        return tuple(show_path(one.forward_path)[1:-1] for one in self.recipients)

    @property
    def is_ours(self) -> bool:
        """Submitted by a user, or by a device we relay for."""
        return not self.actions & {Action.CHECK, Action.DELIVER, Action.REFUSE}

    def envelope(self) -> Envelope:
        """As delivery wants it."""
        asked = self.arguments
        return Envelope(
            asked.reverse_path,
            tuple(self.recipients),
            eight_bit=asked.eight_bit,
            smtputf8=asked.smtputf8,
            ret=asked.ret,
            envid=asked.envid,
            require_tls=asked.require_tls,
            hold_until=asked.hold_until or (self.began + asked.hold_for if asked.hold_for else 0.0),
        )

    async def discard(self) -> None:
        """Let go of what was taken in."""
        if self.intake is not None:
            intake, self.intake = self.intake, None
            await intake.discard()


class Border:
    """What stands between a whole message and its acceptance."""

    def __init__(
        self,
        settings: SmtpSettings,
        directory: Directory,
        acceptance: Acceptance,
        checks: Checks | None,
        signing: Signing | None = None,
        lists: SenderLists | None = None,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._acceptance = acceptance
        self._checks = checks
        self._signing = signing
        self._lists = lists

    async def finish(self, deal: Transaction, flaw: Flaw | None, now: float) -> Ending:
        """The content is complete: refuse or accept it."""
        intake = deal.intake
        assert intake is not None
        size = intake.wire_size
        if flaw is not None:
            return Ending(FLAWS[flaw], size, reason=f"{flaw.value} in the content")
        content = await intake.finish()
        if isinstance(content, Reply):
            return Ending(content, size, reason=content.text)
        if deal.device is not None and deal.device.send_as is not None:
            content = _with_header(content, speak_as(content.header, deal.device.name, deal.device.send_as))
        facts = fields.read_facts(content.header)
        if facts.received > self._settings.limits.received_fields:
            return Ending(LOOP, size, facts.message_id, f"{facts.received} Received fields")
        try:
            author = author_of(facts.authors)
        except AuthorError as error:
            return Ending(Reply(550, "5.6.0", str(error)), size, facts.message_id, str(error))
        if deal.origin is Origin.AUTHENTICATED:
            account = Address.parse(deal.client.account)
            if not await self._directory.owns(account, author):
                return Ending(NOT_OWNED, size, facts.message_id, f"From is {author}, which {account} does not own")
        if deal.device is not None and author.domain not in self._directory.domains():
            return Ending(AS_US, size, facts.message_id, f"the device {deal.device.name} writes as {author}")
        arrived = content  # what was signed elsewhere is proven before the border changes it
        content, message_id = self._mend(deal, arrived, facts, now)
        # What another server hands over by LMTP came from anywhere: to whoever bounces it is a stranger's.
        origin = Origin.WAN if deal.origin is Origin.LOCAL else deal.origin
        parcel = Parcel(
            deal.trace,
            origin,
            deal.envelope(),
            arrived,
            ACCEPTED,
            deal.client,
            message_id,
            each_answered=deal.each_answered,
        )
        if deal.origin in (Origin.LOCAL, Origin.PAIRED):
            parcel = replace(parcel, content=content)
        elif not deal.is_ours:
            verdict = await self._judge(deal, parcel, author)
            if verdict.is_final and verdict.action in (Fate.REJECT, Fate.DEFER):
                standard = REJECTED if verdict.action is Fate.REJECT else DEFERRED
                return Ending(verdict.reply or standard, size, message_id, verdict.reason)
            parcel = replace(parcel, verdict=verdict, content=content.with_prefix(verdict.fields))
        else:
            parcel = replace(parcel, content=await self._sign(content, author))
        receipts = await self._acceptance.accept(parcel)
        return self._combine(parcel, receipts, size)

    def _mend(self, deal: Transaction, content: Content, facts: fields.HeaderFacts, now: float) -> tuple[Content, str]:
        """Take out what only we may say, put our trace fields on top; mend what users submit (RFC 6409 §8)."""
        settings, ours = self._settings, deal.is_ours
        if facts.suspicious:
            if deal.origin is Origin.PAIRED:
                header = fields.strip_paired_fields(content.header, settings.our_authserv_id)
            else:
                header = fields.strip_border_fields(content.header, settings.our_authserv_id, submission=ours)
            content = _with_header(content, header)
        if ours and not content.header.isascii():
            content = _with_header(content, in_ascii(content.header))
        only = next(iter(deal.recipients)).forward_path if len(deal.recipients) == 1 else None
        top = fields.received_field(
            deal.client,
            settings.hostname,
            deal.trace,
            now,
            recipient=show_path(only)[1:-1] if only is not None else "",
            smtputf8=deal.arguments.smtputf8,
            hide_client=ours or deal.origin is Origin.PAIRED,
        )
        message_id = facts.message_id
        if ours and not facts.has_date:
            top += fields.date_field(now)
        if ours and not message_id:
            added, message_id = fields.message_id_field(deal.trace, settings.hostname)
            top += added
        return content.with_prefix(top), message_id

    async def _judge(self, deal: Transaction, parcel: Parcel, author: Address) -> Verdict:
        """A stranger's message; our own name in From needs more than a stranger's word."""
        if self._checks is not None:
            return await self._asked_for(parcel, await self._checks.examine(parcel))
        if author.domain in self._directory.domains() and deal.sender is not Sender.RETURNED:
            return Verdict(Fate.JUNK, reason=f"From is {author}, our own domain, but it came from outside")
        return Verdict(is_final=False, author=author)

    async def _asked_for(self, parcel: Parcel, verdict: Verdict) -> Verdict:
        """What nobody would take is not refused for all while one recipient always takes mail of its proven author."""
        author = verdict.author
        hopeless = verdict.is_final and verdict.action is Fate.REJECT and verdict.is_proven
        if not hopeless or author is None or self._lists is None:
            return verdict
        for recipient in parcel.envelope.recipients:
            if await self._lists.standing(recipient.forward_path, author) is Standing.ALLOWED:
                return replace(verdict, is_final=False)
        return verdict

    async def _sign(self, content: Content, author: Address) -> Content:
        """Our own name under our own mail."""
        if self._signing is None or author.domain not in self._directory.domains():
            return content
        return content.with_prefix(await self._signing.sign(content, author.domain))

    def _combine(self, parcel: Parcel, receipts: tuple[Receipt, ...], size: int) -> Ending:
        """One reply for all: any recipient taken means 250, since delivery keeps or bounces the rest."""
        taken = tuple(receipt.recipient for receipt in receipts if receipt.reply.is_positive)
        if taken:
            junk = parcel.verdict.reason if parcel.verdict.action is Fate.JUNK else ""
            others = [str(receipt.recipient.forward_path) for receipt in receipts if not receipt.reply.is_positive]
            trouble = f"not taken for {', '.join(others)}" if others else ""
            reply = Reply(250, "2.0.0", f"Ok, kept as {parcel.trace}")
            return Ending(reply, size, parcel.message_id, trouble, junk, taken, receipts)
        if not receipts:
            return Ending(Reply(451, "4.3.0", "Nothing was accepted, try again later"), size, parcel.message_id)
        # Later beats never: a 4xx of one recipient must not become a 5xx for the others.
        worst = min((receipt.reply for receipt in receipts), key=lambda reply: reply.code >= 500)
        return Ending(worst, size, parcel.message_id, worst.text, receipts=receipts)


def _with_header(content: Content, header: bytes) -> Content:
    """The same message with another header block."""
    return Content(header, content.body, content.lines - (content.header.count(b"\n") - header.count(b"\n")))
