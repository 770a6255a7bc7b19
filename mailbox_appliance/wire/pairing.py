"""How two machines that have never met become a pair: one short code, carried by the owner from one to the other.

The edge makes the code (where it can be reached, and a secret of 80 bits); the store is told it and dials. Both have a
certificate of their own making. Over TLS, each proves with an HMAC that it knows the secret, over both certificates as
it sees them: whoever stood between would show others, and could neither forge a proof nor find the secret in time.

S: pair 1 NONCE PROOF          the store's proof: HMAC(secret, "store" NONCE both certificates NAME)
E: paired NONCE PROOF NAME     the edge's proof, over the same with "edge" and both nonces; or ``no REASON``
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from mailbox_appliance.mail.values import dataclass

SECRET_OCTETS = 10  # 80 bits: sixteen characters
NONCE_OCTETS = 16
LONGEST_LINE = 1000
_CODE = re.compile(r"(?P<host>[^/\s]+?)(?::(?P<port>\d{1,5}))?/(?P<secret>[A-Za-z2-7-]{16,30})")
_LINE = re.compile(rb"(pair 1|paired) ([0-9a-f]{32}) ([0-9a-f]{64}) ([!-~]{1,255})")


class PairingWrong(ValueError):
    """The code or a line of the dialogue is not what it has to be; str() says why."""


@dataclass(frozen=True, slots=True)
class Code:
    """What the owner types at the store. ``host`` is a name or an address; the secret is good once."""

    host: str
    port: int
    secret: bytes

    def __repr__(self) -> str:
        return f"Code({self.host!r}, {self.port}, …)"

    def text(self, usual_port: int) -> str:
        """Such as ``mx.example.org/k3f7-q2mn-abcd-wxyz``; the port is shown where it is not the usual one."""
        characters = base64.b32encode(self.secret).decode("ascii").lower()
        groups = "-".join(characters[at : at + 4] for at in range(0, len(characters), 4))
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}{'' if self.port == usual_port else f':{self.port}'}/{groups}"


def read_code(text: str, usual_port: int) -> Code:
    """Raises PairingWrong."""
    found = _CODE.fullmatch(text.strip())
    if found is None:
        raise PairingWrong("that is no pairing code: it looks like mx.example.org/k3f7-q2mn-abcd-wxyz")
    characters = found["secret"].replace("-", "").upper()
    port = int(found["port"] or usual_port)
    if len(characters) != SECRET_OCTETS * 8 // 5 or not 0 < port < 65_536:
        raise PairingWrong("that pairing code is cut short or has a character too many")
    return Code(found["host"].strip("[]").lower(), port, base64.b32decode(characters))


def proof(secret: bytes, role: str, nonces: bytes, edge: bytes, store: bytes, name: str) -> bytes:
    """One side's proof over both certificates (DER) and the name it goes by."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for piece in (b"mailappliance pair 1", role.encode("ascii"), nonces, edge, store, name.encode("ascii")):
        mac.update(len(piece).to_bytes(4, "big") + piece)
    return mac.hexdigest().encode("ascii")


@dataclass(frozen=True, slots=True)
class Claim:
    """A line of the dialogue: ``word`` is "pair 1" or "paired"."""

    word: str
    nonce: bytes
    proof: bytes
    name: str

    def line(self) -> bytes:
        """With its line end."""
        return b"%s %s %s %s\n" % (
            self.word.encode("ascii"),
            self.nonce.hex().encode("ascii"),
            self.proof,
            self.name.encode("ascii"),
        )


def read_claim(line: bytes, word: str) -> Claim:
    """A line without its end. Raises PairingWrong; a refusal of the other side in its own words."""
    if line.startswith(b"no "):
        raise PairingWrong("the other side says: " + line[3:200].decode("ascii", "replace"))
    found = _LINE.fullmatch(line)
    if found is None or found[1].decode("ascii") != word:
        raise PairingWrong("the other side does not speak our pairing language")
    return Claim(word, bytes.fromhex(found[2].decode("ascii")), found[3], found[4].decode("ascii"))


def is_proven(claim: Claim, secret: bytes, role: str, nonces: bytes, edge: bytes, store: bytes) -> bool:
    """Does the other side know the secret, and see the same certificates as we do?"""
    return hmac.compare_digest(claim.proof, proof(secret, role, nonces, edge, store, claim.name))
