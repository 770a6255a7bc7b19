"""argon2id (RFC 9106), for the service and for the child process that tries guesses; no Twisted here.

The parameters are OWASP's smaller set (19 MiB, t=2, p=1: some 12 ms), because a family's server is small and mail
clients log in all day. libsodium's implementation takes two thirds of the reference one's time.
"""

from __future__ import annotations

from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class HashSettings:
    """argon2id's parameters, with one lane. Hashes made with others are renewed at the next log-in."""

    memory_kib: int = 19 * 1024
    passes: int = 2

    @property
    def head(self) -> str:
        """How every hash made with them begins."""
        return f"$argon2id$v=19$m={self.memory_kib},t={self.passes},p=1$"


def hash_fits(hash: str, password: bytes) -> bool:
    """Was ``hash``, with the parameters that stand in it, made of ``password``? False too when it is none.

    Tens of milliseconds without the GIL; for worker threads and child processes.
    """
    from nacl.exceptions import InvalidkeyError
    from nacl.pwhash import argon2id

    try:
        return argon2id.verify(hash.encode("utf-8", "surrogatepass"), password)
    except (InvalidkeyError, ValueError):
        return False


def make_hash(password: bytes, settings: HashSettings) -> str:
    """A fresh hash, encoded with salt and parameters. As long as ``hash_fits``, and for the same places."""
    from nacl.pwhash import argon2id

    return argon2id.str(password, settings.passes, settings.memory_kib * 1024).decode("ascii")
