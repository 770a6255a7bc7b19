"""TLS for the listeners: what smtp/, imap/ and web/ ask. Filled by ``acme/``.

``for_server()`` is asked anew for every handshake, so that a renewed certificate is used at once and no open
connection is touched. The object fits Twisted's ``transport.startTLS`` and ``wrapClientTLS``-like endpoints
(IOpenSSLServerConnectionCreator); it chooses by SNI.
"""

from __future__ import annotations

from typing import Any, Protocol

from mailbox_appliance.mail.values import dataclass


class CertificateTrouble(Exception):
    """A certificate cannot be used or had. ``what`` is wrong, ``remedy`` is what the owner does; str() is both."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class CertificateState:
    """For ``status`` and ``cert show``. Times are epoch seconds."""

    names: tuple[str, ...]
    issuer: str
    not_before: float
    not_after: float
    source: str  # "files", "acme", "self-made"
    trouble: str = ""


class Certificates(Protocol):
    """The current certificate, whatever its source."""

    def for_server(self, *, strict: bool = True) -> Any:
        """A connection creator. ``strict``: Mozilla intermediate ciphers; False (port 25): whatever TLS ≥ 1.2 gives."""

    def states(self) -> tuple[CertificateState, ...]:
        """What is in use."""
