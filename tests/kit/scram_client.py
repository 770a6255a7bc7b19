"""The client's side of SCRAM-SHA-256, written from RFC 5802 §3 and §5 for the tests."""

from __future__ import annotations

import base64
import hashlib
import hmac


class ScramClient:
    """``first`` goes out, the challenge comes in, ``last`` goes out; ``believes`` checks what the server proves."""

    def __init__(
        self, username: str, password: str, *, nonce: str = "rOprNGfwEbeRWgbN", flag: str = "n", bound: bytes = b""
    ) -> None:
        self._password = password.encode()
        self._header = f"{flag},,".encode()
        self._bound = bound
        name = username.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={nonce}".encode()
        self._signature = b""

    @property
    def first(self) -> bytes:
        return self._header + self._bare

    def last(self, challenge: bytes) -> bytes:
        fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salt, iterations = base64.b64decode(fields[b"s"]), int(fields[b"i"])
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=%b,r=%b" % (base64.b64encode(self._header + self._bound), fields[b"r"])
        said = b",".join((self._bare, challenge, without_proof))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), said, "sha256")
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return b"%b,p=%b" % (without_proof, base64.b64encode(proof))

    def believes(self, outcome: bytes) -> bool:
        return outcome == b"v=" + base64.b64encode(self._signature)


def device_keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")
