"""Who may be written to: the policy's answer, then the directory's, then the mailbox's (RFC 5321 §3.3, §4.5.1).

Last come the bounds: recipients of one message (RFC 5321 §4.5.3.1.8), of a device and of an account in one day.
"""

from __future__ import annotations

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.checks import SenderLists, Standing
from mailbox_appliance.ports.delivery import Acceptance
from mailbox_appliance.ports.users import BackTo, Directory, Known, NotOurs, Principal, Unknown
from mailbox_appliance.smtp import devices, replies
from mailbox_appliance.smtp.devices import Device
from mailbox_appliance.smtp.parts import Parts
from mailbox_appliance.smtp.policy import NO_RELAY, Action, Sender, Target, decide
from mailbox_appliance.smtp.transaction import Transaction

ONLY_BOUNCES = Reply(550, "5.7.1", "Only bounces are taken for this address")
NOT_WANTED = Reply(550, "5.7.1", "The recipient does not take mail from this sender")
NO_SUCH_USER = "No such user here"


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether a recipient is taken. ``reply`` None: yes, and ``action`` says how. ``reason`` is the owner's."""

    action: Action
    reply: Reply | None = None
    reason: str = ""
    unknown: bool = False  # one of our domains, but nobody of that name


def target_of(address: Address, domains: frozenset[str]) -> Target:
    """Ours when the domain is; the bare postmaster is ours as well."""
    return Target.OURS if not address.domain or address.domain in domains else Target.ELSEWHERE


async def rule(
    directory: Directory,
    acceptance: Acceptance,
    origin: Origin,
    sender: Sender,
    recipient: Recipient,
    octets: int,
    device: Device | None = None,
    *,
    reverse_path: Address | None = None,
    lists: SenderLists | None = None,
) -> Ruling:
    """Decide about one RCPT; ``octets`` is what SIZE announced (0 = nothing).

    ``lists`` is asked about a stranger's ``reverse_path``: whom the recipient has blocked need not send the content.
    """
    address = recipient.forward_path
    listed = device is not None and device.reaches(address)
    row = decide(origin, sender, Target.LISTED if listed else target_of(address, directory.domains()))
    if row.action is Action.REFUSE:
        return Ruling(row.action, row.reply, row.reason)
    resolution = await directory.resolve(address)
    if isinstance(resolution, Unknown):
        return Ruling(Action.REFUSE, Reply(550, "5.1.1", resolution.text or NO_SUCH_USER), "unknown user", unknown=True)
    if isinstance(resolution, NotOurs) and row.action is Action.CHECK:
        # The directory knows better than the domain list: whatever it does not own is not for strangers.
        return Ruling(Action.REFUSE, NO_RELAY, "not one of our addresses")
    if isinstance(resolution, Known) and sender is not Sender.NULL:
        if any(isinstance(one, BackTo) for one in resolution.destinations):
            return Ruling(Action.REFUSE, ONLY_BOUNCES, "a return path of forwarded mail takes bounces only")
    if row.action is Action.CHECK and lists is not None and reverse_path is not None:
        if await lists.standing(address, reverse_path) is Standing.BLOCKED:
            return Ruling(Action.REFUSE, NOT_WANTED, f"{address} has blocked {reverse_path}")
    full = await acceptance.room_for(recipient, octets)
    # What our edge has taken already is taken here, and waits for room.
    if full is not None and not (origin is Origin.PAIRED and full.enhanced.endswith(".2.2")):
        return Ruling(Action.REFUSE, full, "no room")
    return Ruling(row.action)


async def rule_recipient(parts: Parts, deal: Transaction, principal: Principal | None, recipient: Recipient) -> Ruling:
    """Decide about one RCPT of ``deal``; ``principal`` is who has logged in."""
    most = parts.settings.limits.recipients
    if len(deal.recipients) >= most or len(deal.taken) >= 4 * most:  # the same ones again and again
        return Ruling(Action.REFUSE, replies.MANY_RECIPIENTS, f"more than {most} recipients")
    ruling = await rule(
        parts.directory,
        parts.acceptance,
        deal.origin,
        deal.sender,
        recipient,
        deal.arguments.size,
        deal.device,
        reverse_path=deal.reverse_path,
        lists=parts.lists,
    )
    if ruling.reply is not None:
        return ruling
    if deal.device is not None:
        if len(deal.recipients) >= parts.days_work.left(deal.device, parts.clock.seconds()):
            return Ruling(Action.REFUSE, devices.SPENT, "the device's recipients of this day are used up")
    if principal is not None and not principal.paired and parts.allowance is not None:
        domains = parts.directory.domains()
        if target_of(recipient.forward_path, domains) is Target.ELSEWHERE:
            outside = [one.forward_path for one in (*deal.recipients, recipient)]
            outside = [path for path in outside if target_of(path, domains) is Target.ELSEWHERE]
            spent = await parts.allowance.refusal(principal.account, outside)
            if spent is not None:
                return Ruling(Action.REFUSE, spent, "the account's daily allowance is spent")
    return ruling
