"""Our own signatures: DKIM with RSA-2048 and Ed25519, ARC seals (RFC 6376 §5, RFC 8463, RFC 8617 §5.1).

Fields that people see and act on are oversigned: named once more than they are there, so that nobody can add one.
cryptography makes the signatures: dkimpy's own arithmetic takes 7 ms for RSA.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import field
from typing import Any

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.arc import AAR, AMS, AS, MOST_SETS, ArcSet, Chain, Seal, sealed_digests
from mailbox_appliance.mailauth.canonical import RELAXED, BodyDigest, Field, HeaderBlock, canonical_fields
from mailbox_appliance.mailauth.signature import ED25519, RSA, Signature

# Always named once more than they are there.
OVERSIGNED = tuple(
    name.encode("ascii")
    for name in "from to cc reply-to sender subject date message-id in-reply-to references mime-version content-type"
    " content-transfer-encoding".split()
)
# Named as often as they are there.
SIGNED = tuple(
    name.encode("ascii")
    for name in "resent-from resent-to resent-cc resent-date resent-message-id list-id list-help list-unsubscribe"
    " list-unsubscribe-post list-post list-owner list-archive list-subscribe auto-submitted content-disposition".split()
)
MOST_OF_ONE_NAME = 20
_LINE = 72


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key under its selector; ``algorithm`` RSA or ED25519."""

    domain: str
    selector: str
    algorithm: str
    key: Any = field(repr=False)

    def sign(self, digest: bytes) -> bytes:
        """The signature over what has this SHA-256 ``digest`` (RSA 0.6 ms; releases the GIL)."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
        from cryptography.hazmat.primitives.hashes import SHA256

        if self.algorithm == RSA:
            return bytes(self.key.sign(digest, PKCS1v15(), Prehashed(SHA256())))
        return bytes(self.key.sign(digest))


def load_key(domain: str, selector: str, pem: bytes) -> SigningKey:
    """Read a PKCS #8 key without a password. Raises ValueError when it is none that signs mail."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None
    if isinstance(key, RSAPrivateKey):
        return SigningKey(domain, selector, RSA, key)
    if isinstance(key, Ed25519PrivateKey):
        return SigningKey(domain, selector, ED25519, key)
    raise ValueError("the key is neither RSA nor Ed25519")


def new_key(algorithm: str) -> bytes:
    """A fresh private key as PEM. RSA-2048 takes tenths of a second: not in the reactor."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    key = rsa.generate_private_key(65537, 2048) if algorithm == RSA else ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_record(key: SigningKey) -> str:
    """The TXT record that belongs to ``key`` (RFC 6376 §3.6.1), on one line."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.key.public_key()
    if key.algorithm == RSA:
        octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return "v=DKIM1; k=rsa; p=" + base64.b64encode(octets).decode("ascii")
    octets = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return "v=DKIM1; k=ed25519; p=" + base64.b64encode(octets).decode("ascii")


def names_to_sign(block: HeaderBlock) -> tuple[bytes, ...]:
    """h= for our own mail."""
    names: list[bytes] = []
    for name in OVERSIGNED:
        names += [name] * (min(block.count(name), MOST_OF_ONE_NAME) + 1)
    for name in SIGNED:
        names += [name] * min(block.count(name), MOST_OF_ONE_NAME)
    return tuple(names)


def _folded(name: str, separator: str, words: list[str]) -> str:
    """``name=`` and its words, a new line before a word that does not fit."""
    lines, line = [], f"\t{name}="
    for number, word in enumerate(words):
        piece = word + (separator if number < len(words) - 1 else "")
        if len(line) + len(piece) > _LINE and line.strip():
            lines.append(line)
            line = "\t "
        line += piece
    return "\n".join([*lines, line])


def _base64_lines(octets: bytes) -> list[str]:
    text = base64.b64encode(octets).decode("ascii")
    return [text[at : at + 64] for at in range(0, len(text), 64)]


def _field(name: str, tags: str, names: tuple[bytes, ...], body: BodyDigest) -> str:
    listed = _folded("h", ":", [one.decode("ascii") for one in names])
    digest = base64.b64encode(body.digest).decode("ascii")
    return f"{name}: {tags}\n{listed};\n\tbh={digest};\n\tb="


def dkim_field(block: HeaderBlock, body: BodyDigest, key: SigningKey, now: float) -> bytes:
    """A whole DKIM-Signature field with LF line ends. ``body`` is the relaxed digest."""
    names = names_to_sign(block)
    tags = f"v=1; a={key.algorithm}; c=relaxed/relaxed; d={key.domain}; s={key.selector};\n\tt={int(now)};"
    unsigned = _field("DKIM-Signature", tags, names, body)
    return _complete(unsigned, key.sign(_digest(block, names, unsigned)))


def _digest(block: HeaderBlock, names: tuple[bytes, ...], unsigned: str) -> bytes:
    own = Field(b"", unsigned.encode("ascii") + b"\n")
    octets = canonical_fields(block.select(names), RELAXED) + canonical_fields([own], RELAXED).removesuffix(b"\r\n")
    return hashlib.sha256(octets).digest()


def _complete(unsigned: str, signature: bytes) -> bytes:
    lines = _base64_lines(signature)
    return (unsigned + "\n\t ".join(lines) + "\n").encode("ascii")


def seal_fields(
    block: HeaderBlock, body: BodyDigest, chain: Chain, found: str, key: SigningKey, *, results: str, now: float
) -> bytes:
    """Our ARC set, newest on top (RFC 8617 §5.1), b"" when the chain has ended or is full.

    ``found`` is what ``arc.judge`` said of the chain as it came: "none", "pass" or "fail"; ``results`` the value of our
    own Authentication-Results. ``key`` must be an RSA key: few verify anything else in ARC.
    """
    number = len(chain.sets) + 1
    if chain.ended or number > MOST_SETS or (found == "fail" and not chain.sets):
        return b""
    seen = Field(
        AAR, f"ARC-Authentication-Results: i={number}; {results}".replace("; ", ";\n\t").encode("ascii") + b"\n"
    )
    names = names_to_sign(block)
    tags = f"i={number}; a={key.algorithm}; c=relaxed/relaxed; d={key.domain}; s={key.selector};\n\tt={int(now)};"
    unsigned = _field("ARC-Message-Signature", tags, names, body)
    message = Field(AMS, _complete(unsigned, key.sign(_digest(block, names, unsigned))))
    verdict = found if chain.sets else "none"
    tags = f"i={number}; a={key.algorithm}; cv={verdict}; d={key.domain}; s={key.selector};\n\tt={int(now)};"
    unsealed = f"ARC-Seal: {tags}\n\tb="
    seal = Field(AS, unsealed.encode("ascii") + b"\n")
    own = ArcSet(
        seen,
        Signature(message, {}, key.algorithm, key.domain, key.selector, RELAXED, RELAXED, names, b"", b"", None),
        Seal(seal, number, key.algorithm, key.domain, key.selector, verdict, b""),
    )
    # §5.1.2: a seal over a failed chain covers its own set only.
    before = () if verdict == "fail" else chain.sets
    sealed = _complete(unsealed, key.sign(sealed_digests((*before, own))[-1]))
    return sealed + message.raw + seen.raw
