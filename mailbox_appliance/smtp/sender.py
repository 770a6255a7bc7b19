"""Who may be the sender: what MAIL asks for is held against the limits, the log-in and the policy (RFC 5321 §3.3).

RFC 1870 §6 (SIZE), RFC 4865 §4 (a hold that is too long), RFC 6409 §6.1 (whose address an account may use).
"""

from __future__ import annotations

from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.users import Principal
from mailbox_appliance.smtp import replies
from mailbox_appliance.smtp.intake import TOO_LARGE
from mailbox_appliance.smtp.limits import is_in
from mailbox_appliance.smtp.parts import Parts
from mailbox_appliance.smtp.policy import Sender, refusal_of_sender
from mailbox_appliance.smtp.transaction import Transaction


@dataclass(frozen=True, slots=True)
class SenderRuling:
    """Whether MAIL is taken. ``reply`` None: yes, and ``sender`` says as whom. ``reason`` is the owner's."""

    sender: Sender = Sender.THEIRS
    reply: Reply | None = None
    reason: str = ""


async def rule_sender(parts: Parts, deal: Transaction, principal: Principal | None) -> SenderRuling:
    """Decide about one MAIL; ``principal`` is who has logged in."""
    limits, asked = parts.settings.limits, deal.arguments
    if limits.message_size and asked.size > limits.message_size:
        reason = f"announced {asked.size} octets, the limit is {limits.message_size}"
        return SenderRuling(reply=TOO_LARGE, reason=reason)
    if asked.hold_for > limits.hold or asked.hold_until > deal.began + limits.hold:
        return SenderRuling(reply=replies.HOLD_TOO_LONG, reason="wants to be held for too long")
    if principal is not None:
        if not parts.log_in.still_admits(principal):
            reason = "the password has changed or the account has ended since the log-in"
            return SenderRuling(reply=replies.WITHDRAWN, reason=reason)
        if not principal.may_send:
            return SenderRuling(reply=replies.MAY_NOT_SEND, reason="the account may not send")
        if _is_held_back(parts, deal.client, principal):
            reason = "the password is weak, and the client is not at home"
            return SenderRuling(reply=replies.WEAK_PASSWORD, reason=reason)
    sender = await _class_of_sender(parts, deal, principal)
    refusal = refusal_of_sender(deal.origin, sender)
    return SenderRuling(sender) if refusal is None else SenderRuling(sender, refusal.reply, refusal.reason)


def _is_held_back(parts: Parts, client: Client, principal: Principal) -> bool:
    """By a weak password nothing is sent from outside."""
    return parts.log_in.is_weak(principal) and not is_in(client.address, parts.settings.lan)


async def _class_of_sender(parts: Parts, deal: Transaction, principal: Principal | None) -> Sender:
    reverse_path, directory = deal.reverse_path, parts.directory
    if reverse_path is None:
        return Sender.NULL
    if principal is not None and await directory.owns(principal.account, reverse_path):
        return Sender.OWNED
    if reverse_path.domain not in directory.domains():
        return Sender.THEIRS
    returned = is_in(deal.client.address, parts.settings.forwarders)
    return Sender.RETURNED if returned and deal.origin is Origin.WAN else Sender.OURS
