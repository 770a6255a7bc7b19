"""The edge's log-in on the store's port 587, where that can be reached without the link (fills ports.users.LogIn).

The secret is made at the store when the two are paired, and told to the edge over the control channel alone. It is good
for bringing mail as the paired edge does over the link (the policy's row "paired"), and for nothing else: no mailbox,
no sending as anybody.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import (
    LogIn,
    PasswordCredentials,
    Principal,
    ProvenCredentials,
    ScramKeys,
)

EDGE = Address("edge", "link.invalid")  # RFC 6761 §6.4: nobody's domain, so nobody's account
SUBMISSION = ("submission", "submissions")


class EdgeMayToo:
    """``people`` logs in everybody else. ``secret`` gives the one of this hour; "" when there is none."""

    def __init__(self, people: LogIn, secret: Callable[[], str]) -> None:
        self._people = people
        self._secret = secret

    async def log_in(self, credentials: PasswordCredentials | ProvenCredentials) -> Principal:
        """As ports.users.LogIn. A wrong secret is refused as any unknown user is, in words and time."""
        secret = self._secret()
        if (
            secret
            and isinstance(credentials, PasswordCredentials)
            and credentials.service in SUBMISSION
            and credentials.username.lower() == str(EDGE)
            and hmac.compare_digest(_digest(credentials.password), _digest(secret))
        ):
            return Principal(EDGE, "edge", proof=_proof(secret), paired=True)
        return await self._people.log_in(credentials)

    def still_admits(self, principal: Principal) -> bool:
        """ports.users.LogIn."""
        if principal.paired:
            secret = self._secret()
            return bool(secret) and principal.proof == _proof(secret)
        return self._people.still_admits(principal)

    def is_weak(self, principal: Principal) -> bool:
        """ports.users.LogIn."""
        return not principal.paired and self._people.is_weak(principal)

    def offers_scram(self, peer: str) -> bool:
        """ports.users.LogIn."""
        return self._people.offers_scram(peer)

    async def scram_keys(self, username: str) -> ScramKeys:
        """ports.users.LogIn; the edge says its secret under a TLS whose key it knows."""
        return await self._people.scram_keys(username)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _proof(secret: str) -> int:
    return int.from_bytes(_digest(secret)[:6])
