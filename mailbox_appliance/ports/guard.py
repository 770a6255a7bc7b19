"""Who knocks too often: what every listener asks of the guard. Filled by ``guard/``; all answers are from memory."""

from __future__ import annotations

from typing import Protocol

from mailbox_appliance.mail.client import IPAddress


class Guard(Protocol):
    """Failures per address (IPv6: per /64) over all services, kept over restarts."""

    def refuses(self, peer: IPAddress, service: str) -> bool:
        """True while this address may not connect or log in."""

    def failed(self, peer: IPAddress, service: str, account: str, what: str = "password") -> None:
        """Count a failure: ``what`` is "password", "recipient" or "protocol"."""

    def succeeded(self, peer: IPAddress, service: str, account: str) -> None:
        """A good log-in: the device at this address is known from now on."""
