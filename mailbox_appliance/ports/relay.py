"""Carrying mail to the next host: what queue/dispatch asks of ``relay/``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Envelope
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class Shipment:
    """One message for recipients that share a destination (as ``Relay.destination`` names it)."""

    trace: str
    envelope: Envelope
    content: Content
    destination: str
    tries: int = 0  # failed tries so far: after so many, another way may be taken


@dataclass(frozen=True, slots=True)
class Step:
    """One line of ``relay test``: what was tried, whether it went well, what to do if not."""

    what: str
    good: bool
    remedy: str = ""


class Relay(Protocol):
    """Routes, connections and their reuse."""

    def destination(self, reverse_path: Address | None, forward_path: Address) -> str:
        """The key under which deliveries are grouped and limited: "smarthost mail.isp.example:587" or a domain."""

    def carry(self, shipment: Shipment) -> Awaitable[tuple[Outcome, ...]]:
        """Try once; one Outcome per recipient, in order. Never raises for what the next host does."""

    def explain(self, address: Address) -> AsyncIterator[Step]:
        """Try the route to ``address`` without sending mail, telling each step."""
