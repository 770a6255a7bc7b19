"""TLSA records as a language: which of them SMTP can use, and whether a certificate fits one.

Looking records up, and proving a chain, is ``relay/dane`` (RFC 6698 §2.1, RFC 7671 §5, RFC 7672 §3.1).
"""

from __future__ import annotations

import hashlib
import re
from enum import IntEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailbox_appliance.mail.values import dataclass

MOST_OCTETS = 16_384  # of association data: a certificate, whole
_NUMBERS = re.compile(r"(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+([0-9A-Fa-f\s]+)", re.ASCII)
_DIGESTS = {1: ("sha256", 32), 2: ("sha512", 64)}


class TlsaError(ValueError):
    """The text is no TLSA record."""


class Usage(IntEnum):
    """RFC 7218 §2.1; the two which SMTP uses (RFC 7672 §3.1)."""

    DANE_TA = 2
    DANE_EE = 3


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One record. ``selector`` 0 whole certificate, 1 its key; ``matching`` 0 whole, 1 SHA-256, 2 SHA-512."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def is_usable(self) -> bool:
        """For SMTP (RFC 7672 §3.1.3: PKIX-TA and PKIX-EE are not), and well-formed."""
        if self.usage not in (2, 3) or self.selector not in (0, 1) or not self.data:
            return False
        if self.matching == 0:
            return True
        return self.matching in _DIGESTS and len(self.data) == _DIGESTS[self.matching][1]

    def fits(self, certificate: bytes) -> bool:
        """Is it about this certificate (DER)? Never raises."""
        if self.selector == 0:
            selected = certificate
        else:
            selected = _public_key(certificate)
            if not selected:
                return False
        if self.matching == 0:
            return self.data == selected
        name, _ = _DIGESTS.get(self.matching, ("", 0))
        return bool(name) and hashlib.new(name, selected).digest() == self.data

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


def read_tlsa(text: str) -> Tlsa:
    """Read the presentation text ``3 1 1 0D6F…``. Raises TlsaError."""
    found = _NUMBERS.fullmatch(text.strip()) if len(text) <= 3 * MOST_OCTETS else None
    if found is None:
        raise TlsaError(f"{text[:40]!r} is no TLSA record")
    usage, selector, matching = (int(found[n]) for n in (1, 2, 3))
    digits = re.sub(r"\s+", "", found[4])
    if len(digits) % 2 or len(digits) > 2 * MOST_OCTETS or max(usage, selector, matching) > 255:
        raise TlsaError(f"{text[:40]!r} is no TLSA record")
    return Tlsa(usage, selector, matching, bytes.fromhex(digits))


def _public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo (DER) of a certificate; b"" when it cannot be read."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return b""
