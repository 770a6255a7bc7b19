"""What stays the same object when `reload` puts another station in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from mailbox_appliance.config.model import Config
from mailbox_appliance.dns.resolver import DnsResolver
from mailbox_appliance.dns.servers import ServerState
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.ports.dns import Answer
from mailbox_appliance.ports.relay import Shipment, Step
from mailbox_appliance.queue.desk import Desk as SpoolDesk
from mailbox_appliance.queue.dispatch import Dispatch
from mailbox_appliance.queue.spool import QueueSpool
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.memory import RelayMemory


class Names:
    """The resolver of the hour: ``reload`` puts another one in its place."""

    def __init__(self, current: DnsResolver) -> None:
        self.current = current

    def glance(self, name: str, rdtype: str) -> Answer | None:
        """ports.dns.Resolver."""
        return self.current.glance(name, rdtype)

    def look_up(self, name: str, rdtype: str) -> Awaitable[Answer]:
        """ports.dns.Resolver."""
        return self.current.look_up(name, rdtype)

    def probe(self) -> Awaitable[tuple[ServerState, ...]]:
        """How each name server fares just now, for ``status``."""
        return self.current.probe()

    def forget(self) -> None:
        """Empty the cache: the operator wants to see what is there now."""
        self.current.forget()


class WayOut:
    """The relay of the hour: ``reload`` puts another one in its place; attempts in progress end with the old one.

    ``memory`` outlives them all.
    """

    def __init__(self, make: Callable[[Config], MailRelay], memory: RelayMemory, config: Config) -> None:
        self._make = make
        self.memory = memory
        self.current = make(config)

    def take_over(self, config: Config) -> None:
        """Another relay, for new settings."""
        self.current.stop()
        self.current = self._make(config)

    async def close(self) -> None:
        """Say goodbye on kept connections, and write what the relay has learned."""
        self.current.stop()
        await self.memory.close()

    def destination(self, reverse_path: Address | None, forward_path: Address) -> str:
        """ports.relay.Relay."""
        return self.current.destination(reverse_path, forward_path)

    def carry(self, shipment: Shipment) -> Awaitable[tuple[Outcome, ...]]:
        """ports.relay.Relay."""
        return self.current.carry(shipment)

    def explain(self, address: Address) -> AsyncIterator[Step]:
        """ports.relay.Relay."""
        return self.current.explain(address)

    def forget(self) -> None:
        """Which hosts were dead: the operator wants them tried."""
        self.current.forget()


class QueueDesk(SpoolDesk):
    """The queue's desk, whose "try now" means now: hosts that rest as dead are tried too."""

    def __init__(self, spool: QueueSpool, dispatch: Dispatch, clock: Any, journal: Journal, relay: WayOut) -> None:
        super().__init__(spool, dispatch, clock, journal)
        self._relay = relay

    async def retry(self, traces: tuple[str, ...]) -> int:
        """Try now; no ids means all that are not held."""
        self._relay.forget()
        return await super().retry(traces)

    async def flush(self, domain: str) -> int:
        """Try now whatever waits for ``domain``."""
        self._relay.forget()
        return await super().flush(domain)
