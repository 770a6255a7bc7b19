"""Who knocks too often: what every listener asks of the guard. Filled by ``guard/``; all answers are from memory."""

from __future__ import annotations

from typing import Protocol

from mailbox_appliance.mail.client import IPAddress


class Guard(Protocol):
    """Failures per address (IPv6: per /64) over all services, kept over restarts."""

    def refuses(self, peer: IPAddress, service: str, account: str | None = None) -> bool:
        """True while this address may not connect or log in.

        Ask when a connection opens and again before a password is looked at, then with the ``account`` named: a
        device that has logged in to that account from this address before is not shut out by its neighbours behind
        the same address. ``account`` "" means "not known yet, I shall ask again before the log-in": such an address
        may then connect. None, the default, makes no such difference.

        Asked with an account, it takes part in the count as an attempt under way until ``failed`` or ``succeeded`` is
        told (or half a minute has passed), so that many connections at once are no way around the limit.
        """

    def devices_only(self, peer: IPAddress, service: str, account: str) -> bool:
        """True while from here only an app password may be tried at ``account``: nobody guesses those.

        Strangers guess at this account, or somebody behind a known device's own address does. Ask before ``refuses``,
        which then need not be asked, and say so in ``PasswordCredentials.device_only``.
        """

    def failed(self, peer: IPAddress, service: str, account: str, what: str = "password", token: bytes = b"") -> None:
        """Count a failure: ``what`` is "password", "recipient" or "protocol".

        ``token`` is ``LogInRefused.token``: the same wrong password said again by the same address counts once.
        """

    def succeeded(self, peer: IPAddress, service: str, account: str) -> None:
        """A good log-in: the device at this address is known from now on."""

    def knows(self, peer: IPAddress) -> bool:
        """Has anybody logged in from this address lately? Such an address may use places kept from strangers."""

    def tarpit(self, peer: IPAddress) -> float:
        """Seconds to hold back the reply about an unknown recipient: 0 but for those who try many names."""

    def delay(self, peer: IPAddress, service: str) -> float:
        """Seconds to hold back the reply to a failed log-in, asked after ``failed``: 0 at first, growing, bounded."""
