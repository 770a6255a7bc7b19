"""Accepting mail for good: what smtp/ (and everybody who makes mail: DSNs, notices) asks of ``delivery/``."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Verdict
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.ports.rounds import Rows

ACCEPTED = Verdict()


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message ready to be kept: its final header except Return-Path, which final delivery adds (RFC 5321 §4.4)."""

    trace: str
    origin: Origin
    envelope: Envelope
    content: Content
    verdict: Verdict = ACCEPTED
    client: Client | None = None
    message_id: str = ""
    each_answered: bool = False  # LMTP, PRDR: every recipient hears its own reply, so nothing is queued in its stead
    taken_already: bool = False  # by our edge, whose client hears nothing more: who does not want it has it as junk
    rows: tuple[Rows, ...] = ()  # to be committed in the same round as the message, when somebody takes it


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one recipient. ``reply`` 2xx: durable now; 4xx, 5xx: not taken over."""

    recipient: Recipient
    reply: Reply


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that another one gives rise to (a forward, a list's copy, an answer): queued in that one's round."""

    trace: str
    envelope: Envelope
    content: Content


class Acceptance(Protocol):
    """Routing, local delivery and the queue behind one door."""

    def accept(self, parcel: Parcel) -> Awaitable[tuple[Receipt, ...]]:
        """Make the message durable for each recipient, in order of ``parcel.envelope.recipients``.

        Never raises for a full disk, quota or a fault of one recipient: that is a Receipt with 4xx/5xx.
        """

    def room_for(self, recipient: Recipient, octets: int) -> Awaitable[Reply | None]:
        """Asked at RCPT: None when it would be taken, else the 4xx/5xx to say (mailbox full, disk full)."""


class LocalCarriage(Protocol):
    """What waits in the queue for one of our own mailboxes (it was full): the same face as Relay.carry."""

    def carry(self, shipment: Shipment) -> Awaitable[tuple[Outcome, ...]]:
        """Try once; one Outcome per recipient, in order. Never raises for a full mailbox or disk."""
