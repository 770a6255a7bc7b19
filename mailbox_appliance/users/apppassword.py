"""App passwords: generated, one a device, shown once; cheap to accept and cheap to refuse.

Six groups of four characters, such as ``k7f2-9x4m-0abc-defg-hjkm-npqr``: the first group is the prefix that finds the
row, the other five are the secret (20 characters of 5 bits = 100 bits). With so much chance in it a plain SHA-256 is
safe to keep. The SCRAM-SHA-256 keys (RFC 5802 §3, RFC 7677) are made of the text as shown; their salt belongs to the
account, since a server must name the salt before it can know which device is asking.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import field

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.users.password import random_text

SCRAM_ITERATIONS = 4096  # RFC 7677 §4 asks for at least so many; the secret is not guessable anyway
SCRAM_SALT_OCTETS = 16

_SHAPE = re.compile(r"[0-9a-hjkmnp-tv-z]{24}")
# Crockford's reading of what people type.
_READ = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})


@dataclass(frozen=True, slots=True)
class AppPasswordKeys:
    """What the database keeps of a secret."""

    digest: bytes = field(repr=False)
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


def generate() -> str:
    """A fresh app password as it is shown."""
    return "-".join(random_text(4) for _ in range(6))


def canonical(typed: str) -> str | None:
    """The 24 characters of an app password however it was typed; None when it has not that shape."""
    if len(typed) > 64:
        return None
    text = typed.strip().lower().translate(_READ)
    return text if _SHAPE.fullmatch(text) else None


def shown(text: str) -> str:
    """The canonical 24 characters as they are shown."""
    return "-".join(text[i : i + 4] for i in range(0, 24, 4))


def prefix(text: str) -> str:
    """The part that finds the row."""
    return text[:4]


def digest(text: str) -> bytes:
    """SHA-256 of the canonical text."""
    return hashlib.sha256(text.encode("ascii")).digest()


def scram_keys(password: bytes, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey of SCRAM-SHA-256 (RFC 5802 §3). Some milliseconds: run it in a worker."""
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")


def keys(text: str, salt: bytes, iterations: int) -> AppPasswordKeys:
    """Everything that is kept of the canonical ``text``."""
    return AppPasswordKeys(digest(text), *scram_keys(shown(text).encode("ascii"), salt, iterations))


def fits(kept: bytes, text: str) -> bool:
    """Is the canonical ``text`` the secret whose digest is ``kept``?"""
    return hmac.compare_digest(kept, digest(text))
