"""Answers while somebody is away (RFC 3834; RFC 5230 §4 for what is remembered), queued in the message's own round.

The first row that fits keeps us silent; what no row names is answered::

    not now            before the first or after the last day
    junk               it went to Junk
    no return path     a bounce, or another machine's answer (RFC 3834 §2)
    machine            a return path that only machines have: owner-…, …-request, mailer-daemon, noreply, bounces
    own mail           the person's own
    automatic          Auto-Submitted other than "no", Precedence, X-Auto-Response-Suppress, a report
    list               any field that only mailing lists have (RFC 2369, RFC 2919)
    not addressed      no address of the person's stands in To, Cc or their Resent- kin
    unproven           the checks say that the return path may be forged
    answered           this notice has answered the sender in the last days
"""

from __future__ import annotations

import re
import sqlite3
from collections import OrderedDict

from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.delivery.memory import DeliveryMemory
from mailbox_appliance.delivery.returnpaths import is_proven
from mailbox_appliance.delivery.routing import Target
from mailbox_appliance.journal.events.delivery import VacationAnswered, VacationSilent
from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.addresses import addresses_of
from mailbox_appliance.mail.automatic import automatic_mail
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.letter import Letter, compose, one_line
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.mail.vacation import VacationNotice, notice_of
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.checks import Signing
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Outgoing, Parcel
from mailbox_appliance.ports.rounds import Rows
from mailbox_appliance.ports.users import Directory, Known, LocalMailbox

_MACHINES = re.compile(
    r"owner-.*|.*-(?:request|owner|bounces?|errors?|relay|return|outgoing)(?:[+=-].*)?|bounces?(?:[+=.-].*)?"
    r"|mailer[-_.]?daemon|daemon|postmaster|root|www-data|listserv|majordomo|mdaemon"
    r"|.*(?:no|do-?not|donot)[-_.]?reply.*|srs[01][=+-].*|prvs=.*",
    re.IGNORECASE | re.DOTALL,
)
_TO = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
_MOST_ADDRESSED = 100
_AT_ONCE = 60.0  # seconds in which an answer may be on its way to the disk
_MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """``outgoing`` None: silence. ``told`` says what was done, or why nothing was."""

    told: VacationAnswered | VacationSilent
    outgoing: Outgoing | None = None
    rows: tuple[Rows, ...] = ()


class Vacation:
    """``hostname`` stands in Message-IDs; ``signing`` puts the domain's own name under the answers."""

    def __init__(
        self, memory: DeliveryMemory, directory: Directory, clock: Clock, hostname: str, signing: Signing | None = None
    ) -> None:
        self._memory = memory
        self._directory = directory
        self._clock = clock
        self._hostname = hostname
        self._signing = signing
        self._just_now: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def answer(self, parcel: Parcel, target: Target) -> Answer | None:
        """What ``target``'s account says to ``parcel``; None when it has no notice for these days."""
        notice = notice_of(await self._directory.settings(target.account))
        now = self._clock.seconds()
        if notice is None or not notice.is_on(now):
            return None
        account, sender = str(target.account), parcel.envelope.reverse_path
        addressed = await self._addressed(parcel, target.account, notice)
        silent = await self._silent(parcel, target, addressed)
        if sender is None or silent:
            return Answer(VacationSilent(trace=parcel.trace, account=account, reason=silent))
        key = (account, notice.mark, str(sender).lower())
        since = now - notice.days * 86_400.0
        try:
            known = self._is_under_way(key, now) or await self._memory.answered_since(*key, since)
        except (DatabaseTrouble, sqlite3.Error) as trouble:
            return Answer(VacationSilent(trace=parcel.trace, account=account, reason=f"who was answered: {trouble}"))
        if known:
            reason = f"{sender} was answered in the last {notice.days} days"
            return Answer(VacationSilent(trace=parcel.trace, account=account, reason=reason))
        trace = new_trace_id(now)
        content = compose(
            await self._letter(parcel, target.account, addressed or target.account, sender, notice),
            self._name(trace),
            now,
        )
        if self._signing is not None:
            content = content.with_prefix(await self._signing.sign(content, (addressed or target.account).domain))
        utf8 = not sender.is_ascii
        # RFC 3834 §3.3: the null path, so that no machine ever answers.
        envelope = Envelope(None, (Recipient(sender, frozenset({"NEVER"})),), eight_bit=True, smtputf8=utf8)
        told = VacationAnswered(trace=parcel.trace, account=account, recipient=str(sender), answer=trace)
        return Answer(told, Outgoing(trace, envelope, content), (self._memory.answers_now(*key, now),))

    def _name(self, trace: str) -> str:
        return f"<{trace}.vacation@{self._hostname}>"

    def _is_under_way(self, key: tuple[str, str, str], now: float) -> bool:
        """Two messages of one moment are not both answered before the first answer is remembered."""
        begun = self._just_now.get(key)
        if begun is not None and 0 <= now - begun < _AT_ONCE:
            return True
        self._just_now[key] = now
        self._just_now.move_to_end(key)
        if len(self._just_now) > _MOST_AT_ONCE:
            self._just_now.popitem(last=False)
        return False

    async def _silent(self, parcel: Parcel, target: Target, addressed: Address | None) -> str:
        """Why nothing is answered; '' when something is. The table above, without its first and last row."""
        header, sender = parcel.content.header, parcel.envelope.reverse_path
        if target.why in ("junk", "captured"):
            return "it went to the folder " + target.mailbox
        if sender is None:
            return "it has no return path: a bounce or an answer"
        if _MACHINES.fullmatch(sender.local):
            return f"{sender} is a machine's"
        if await self._directory.owns(target.account, sender):
            return "it is the person's own"
        automatic = automatic_mail(header)
        if automatic:
            return automatic
        if addressed is None:
            return "no address of the person's stands in To or Cc"
        if not await self._is_believed(parcel, sender):
            return "nothing proves the sender"
        return ""

    async def _is_believed(self, parcel: Parcel, sender: Address) -> bool:
        if sender.domain in self._directory.domains():
            return True  # such a path comes from our own people only (smtp/policy)
        if parcel.origin is not Origin.LOCAL and not parcel.verdict.evidence:
            return True  # nobody checks here, by the owner's wish
        return is_proven(parcel)

    async def _addressed(self, parcel: Parcel, account: Address, notice: VacationNotice) -> Address | None:
        """The address of To and Cc that means this person alone; that one answers. None: it means others."""
        further = {one.lower() for one in notice.addresses}
        elsewhere = False
        seen = 0
        for name in _TO:
            for value in header_block.every(parcel.content.header, name):
                for mailbox in addresses_of(value):
                    seen += 1
                    if seen > _MOST_ADDRESSED:
                        break
                    address = _address(mailbox.local, mailbox.domain)
                    if address is None:
                        continue
                    if str(address).lower() in further:
                        elsewhere = True
                    elif await self._means(address, account):
                        return address
        return account if elsewhere else None

    async def _means(self, address: Address, account: Address) -> bool:
        if address.domain not in self._directory.domains():
            return False
        found = await self._directory.resolve(address)
        if not isinstance(found, Known) or found.via in ("role", "catch-all") or len(found.destinations) != 1:
            return False
        (only,) = found.destinations
        return isinstance(only, LocalMailbox) and only.account == account

    async def _letter(
        self, parcel: Parcel, account: Address, whose: Address, sender: Address, notice: VacationNotice
    ) -> Letter:
        names = await self._directory.display_names()
        header = parcel.content.header
        subject = notice.subject
        if not subject:
            asked = one_line(decode_words(header_block.first(header, "subject") or b""))[:200]
            subject = f"Automatic reply: {asked}" if asked else "Automatic reply"
        return Letter(
            sender=whose,
            to=sender,
            subject=subject,
            text=notice.text,
            # Who has written to another address of theirs need not learn the name behind it.
            display=names.get(account, "") if whose == account else "",
            auto_submitted="auto-replied (vacation)",
            answers=(header_block.first(header, "message-id") or b"").decode("ascii", "replace"),
        )


def _address(local: bytes | None, domain: bytes | None) -> Address | None:
    if not local or not domain:
        return None
    try:
        return Address.of(local.decode("utf-8"), domain.decode("utf-8"))
    except (AddressError, UnicodeDecodeError):
        return None
