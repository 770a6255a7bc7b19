"""The policy as a table that can be read aloud: who sends (origin), as whom (sender), to whom → what we do.

The first row that fits decides; what no row names is refused. Asked at MAIL (is there any recipient this sender could
write to?) and at every RCPT.
"""

from __future__ import annotations

import enum
import functools

from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass


class Sender(enum.Enum):
    """Whose address the reverse path is."""

    OWNED = "an address the account owns"
    NULL = "the null path"
    OURS = "our domain"
    RETURNED = "our domain (said by an allow-listed forwarder)"
    THEIRS = "another domain"


class Target(enum.Enum):
    """Whose address the forward path is."""

    OURS = "our domain"
    ELSEWHERE = "another domain"
    LISTED = "a recipient listed for the device"


class Action(enum.Enum):
    """What becomes of it."""

    SUBMIT = "accept as submission"
    RELAY = "accept and relay"
    CHECK = "accept after checks"
    DELIVER = "accept as it is"
    REFUSE = "refuse"


NOT_OWNED = Reply(550, "5.7.1", "This account may not send as that address")
OUR_DOMAIN = Reply(550, "5.7.1", "Mail from this domain must be submitted with a log-in, not brought from outside")
NOT_AS_THEM = Reply(550, "5.7.1", "This device may send only as an address of ours")
NOT_LISTED = Reply(550, "5.7.1", "This device may not write to that address")
NO_RELAY = Reply(550, "5.7.1", "Relaying denied")


@dataclass(frozen=True, slots=True)
class Row:
    """``reason`` is for the owner; ``reply`` for the peer when it is refused."""

    origin: Origin
    senders: frozenset[Sender]
    targets: frozenset[Target]
    action: Action
    reason: str
    reply: Reply = NO_RELAY


_ANYBODY = frozenset(Sender)
_ANYWHERE = frozenset(Target)
_TO_US = frozenset({Target.OURS})
_LISTED = frozenset({Target.LISTED})  # told apart for devices only


def _from(*senders: Sender) -> frozenset[Sender]:
    return frozenset(senders)


TABLE: tuple[Row, ...] = (
    Row(Origin.AUTHENTICATED, _from(Sender.OWNED, Sender.NULL), _ANYWHERE, Action.SUBMIT, "a user of ours"),
    Row(Origin.AUTHENTICATED, _ANYBODY, _ANYWHERE, Action.REFUSE, "the account does not own the sender", NOT_OWNED),
    Row(Origin.LOCAL, _ANYBODY, _TO_US, Action.DELIVER, "a mail server on this machine, by LMTP"),
    Row(Origin.PAIRED, _ANYBODY, _ANYWHERE, Action.DELIVER, "the other half of our pair"),
    Row(Origin.DEVICE, _from(Sender.OURS, Sender.NULL), _LISTED, Action.RELAY, "a named device, to its recipients"),
    Row(Origin.DEVICE, _ANYBODY, _LISTED, Action.REFUSE, "the device sends as another domain", NOT_AS_THEM),
    Row(Origin.DEVICE, _ANYBODY, _ANYWHERE, Action.REFUSE, "not one of the device's recipients", NOT_LISTED),
    Row(Origin.LAN, _from(Sender.OURS), _ANYWHERE, Action.RELAY, "a device in our networks"),
    Row(Origin.LAN, _ANYBODY, _TO_US, Action.CHECK, "from our networks, as if from outside"),
    Row(
        Origin.WAN,
        _from(Sender.OURS),
        _ANYWHERE,
        Action.REFUSE,
        "our domain as sender, from outside and without log-in",
        OUR_DOMAIN,
    ),
    Row(Origin.WAN, _from(Sender.NULL, Sender.THEIRS, Sender.RETURNED), _TO_US, Action.CHECK, "mail to us"),
)


@functools.cache
def decide(origin: Origin, sender: Sender, target: Target) -> Row:
    """The row that fits, or a refusal."""
    for row in TABLE:
        if row.origin is origin and sender in row.senders and target in row.targets:
            return row
    return Row(origin, _ANYBODY, _ANYWHERE, Action.REFUSE, f"{origin.value} to another domain: not our business")


def refusal_of_sender(origin: Origin, sender: Sender) -> Row | None:
    """The refusal to say at MAIL already: when no recipient at all could be accepted."""
    rows = [decide(origin, sender, target) for target in Target]
    return rows[0] if all(row.action is Action.REFUSE for row in rows) else None
