"""What DKIM and ARC share: reading a signature field, reading a key record, proving and making a signature.

RFC 6376 §3.5 (fields), §3.6 (keys), §6.1 (verifying), RFC 8301 (no SHA-1, no RSA below 1024 bits), RFC 8463 (Ed25519),
RFC 8616 (names of other scripts). The arithmetic is cryptography's; dkimpy's own is pure Python.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
from dataclasses import field as kept
from typing import Any

from mailbox_appliance.mail.address import AddressError, domain_to_ascii
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.canonical import RELAXED, SIMPLE, BodyDigest, Field, HeaderBlock, canonical_fields
from mailbox_appliance.mailauth.tags import TagError, read_tags, without_blanks
from mailbox_appliance.ports.dns import Answer, Status

RSA, ED25519 = "rsa-sha256", "ed25519-sha256"
LEAST_RSA_BITS, MOST_RSA_BITS = 1024, 8192  # RFC 8301 §3.2; the upper bound is ours, for time
MOST_SIGNED = 512  # names in h=
CLOCK_SKEW = 36_000.0  # seconds a signature may be from the future: senders' clocks go wrong
EXPIRY_SKEW = 300.0
_DIGITS = re.compile(r"[0-9]{1,12}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SELECTOR = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,250}[A-Za-z0-9_])?")
_B_VALUE = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")


class SignatureTrouble(Exception):
    """The signature proves nothing: ``result`` as RFC 8601 §2.7.1 names it, str() is the reason."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature field, read and found sound in form."""

    field: Field
    tags: dict[str, str]
    algorithm: str
    domain: str  # d=, A-labels
    selector: str
    header_canonicalization: str
    body_canonicalization: str
    names: tuple[bytes, ...]  # h=, lower case
    body_hash: bytes
    signature: bytes
    length: int | None  # l=

    @property
    def key_name(self) -> str:
        """Where its key stands."""
        return f"{self.selector}._domainkey.{self.domain}"


def base64_of(text: str, what: str) -> bytes:
    """Decode strictly. Raises SignatureTrouble."""
    text = without_blanks(text)
    if not _BASE64.fullmatch(text):
        raise SignatureTrouble("permerror", f"{what} is not base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SignatureTrouble("permerror", f"{what} is not base64") from None


def number_of(tags: dict[str, str], name: str) -> int | None:
    """A decimal tag, or None. Raises SignatureTrouble."""
    text = tags.get(name)
    if text is None:
        return None
    if not _DIGITS.fullmatch(text):
        raise SignatureTrouble("permerror", f"{name}= is not a number")
    return int(text)


def domain_of(tags: dict[str, str]) -> str:
    """d= as A-labels. Raises SignatureTrouble."""
    try:
        domain = domain_to_ascii(tags["d"])
    except AddressError:
        raise SignatureTrouble("permerror", "d= is not a domain name") from None
    if "." not in domain:
        raise SignatureTrouble("permerror", "d= is a single label")
    return domain


def selector_of(tags: dict[str, str]) -> str:
    """s=. Raises SignatureTrouble."""
    selector = tags["s"]
    if not selector.isascii():
        try:
            selector = domain_to_ascii(selector)
        except AddressError:
            raise SignatureTrouble("permerror", "s= is not a selector") from None
    if not _SELECTOR.fullmatch(selector):
        raise SignatureTrouble("permerror", "s= is not a selector")
    return selector.lower()


def tags_of(field_value: bytes, needed: tuple[str, ...]) -> dict[str, str]:
    """The tags of a signature field, none of ``needed`` missing. Raises SignatureTrouble."""
    try:
        tags = read_tags(field_value)
    except TagError as error:
        raise SignatureTrouble("permerror", str(error)) from None
    for name in needed:
        if name not in tags:
            raise SignatureTrouble("permerror", f"{name}= is missing")
    return tags


def algorithm_of(tags: dict[str, str]) -> str:
    """a=, one that we trust. Raises SignatureTrouble."""
    algorithm = tags["a"].lower()
    if algorithm == "rsa-sha1":
        raise SignatureTrouble("permerror", "rsa-sha1 proves nothing any more (RFC 8301)")
    if algorithm not in (RSA, ED25519):
        raise SignatureTrouble("permerror", f"unknown algorithm {algorithm[:30]!r}")
    return algorithm


def read_signature(
    field: Field,
    needed: tuple[str, ...],
    *,
    default: str = SIMPLE,
    must_sign: frozenset[bytes] = frozenset((b"from",)),
    must_not_sign: frozenset[bytes] = frozenset(),
) -> Signature:
    """A DKIM-Signature or ARC-Message-Signature. Raises SignatureTrouble."""
    tags = tags_of(field.value, needed)
    algorithm = algorithm_of(tags)
    header_form, _, body_form = tags.get("c", f"{default}/{default}").lower().partition("/")
    body_form = body_form or SIMPLE
    if header_form not in (RELAXED, SIMPLE) or body_form not in (RELAXED, SIMPLE):
        raise SignatureTrouble("permerror", "unknown canonicalization in c=")
    names = tuple(name.strip().lower().encode("utf-8") for name in tags["h"].split(":"))
    if len(names) > MOST_SIGNED:
        raise SignatureTrouble("permerror", f"h= names more than {MOST_SIGNED} fields")
    if not must_sign.issubset(names):
        raise SignatureTrouble("permerror", "From is not signed")
    if must_not_sign.intersection(names):
        raise SignatureTrouble("permerror", "h= names a field that must not be signed")
    if "q" in tags and "dns/txt" not in without_blanks(tags["q"]).lower().split(":"):
        raise SignatureTrouble("permerror", "unknown way to the key in q=")
    return Signature(
        field,
        tags,
        algorithm,
        domain_of(tags),
        selector_of(tags),
        header_form,
        body_form,
        names,
        base64_of(tags["bh"], "bh="),
        base64_of(tags["b"], "b="),
        number_of(tags, "l"),
    )


def check_times(tags: dict[str, str], now: float) -> None:
    """t= and x= (RFC 6376 §3.5). Raises SignatureTrouble."""
    made, expires = number_of(tags, "t"), number_of(tags, "x")
    if made is not None and made > now + CLOCK_SKEW:
        raise SignatureTrouble("permerror", "t= is in the future")
    if expires is not None:
        if made is not None and expires <= made:
            raise SignatureTrouble("permerror", "x= is before t=")
        if expires < now - EXPIRY_SKEW:
            raise SignatureTrouble("policy", "the signature has expired (x=)")


def check_body(signature: Signature, body: BodyDigest) -> None:
    """bh= and l= against the body. Raises SignatureTrouble."""
    if signature.length is not None:
        if signature.length > body.length:
            raise SignatureTrouble("permerror", "l= is larger than the body")
        if signature.length < body.length:
            reason = f"l= covers {signature.length} of {body.length} octets of the body, so the rest is anybody's"
            raise SignatureTrouble("policy", reason)
    if signature.body_hash != body.digest:
        raise SignatureTrouble("fail", "the body was changed (bh= does not match)")


# ---------------------------------------------------------------- keys


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key record's key. ``bits`` of the modulus for RSA, 256 for Ed25519."""

    algorithm: str
    bits: int
    testing: bool  # t=y: the domain only tries (RFC 6376 §3.6.1)
    strict: bool  # t=s: i= must be d= itself
    key: Any = kept(repr=False)


def key_of(answer: Answer, algorithm: str) -> PublicKey:
    """The key for ``algorithm`` out of a look-up. Raises SignatureTrouble."""
    if answer.status is Status.TEMPERROR:
        raise SignatureTrouble("temperror", f"the key could not be asked for: {answer.reason or 'no answer'}")
    records = [record for record in answer.records if isinstance(record, bytes)]
    if not records:
        raise SignatureTrouble("permerror", "there is no key of that name")
    trouble: SignatureTrouble | None = None
    for record in records[:4]:  # more than one is undefined (RFC 6376 §3.6.2.2); the first that fits is taken
        try:
            return _read_key(record, algorithm)
        except SignatureTrouble as error:
            trouble = trouble or error
    assert trouble is not None
    raise trouble


@functools.lru_cache(maxsize=64)
def _read_key(record: bytes, algorithm: str) -> PublicKey:
    try:
        tags = read_tags(record)
    except TagError as error:
        raise SignatureTrouble("permerror", f"the key record is malformed: {error}") from None
    if "v" in tags and (tags["v"] != "DKIM1" or next(iter(tags)) != "v"):
        raise SignatureTrouble("permerror", "the key record is of another version")
    kind = tags.get("k", "rsa").lower()
    if kind != algorithm.partition("-")[0]:
        raise SignatureTrouble("permerror", f"the key is for {kind[:20]!r}, the signature for {algorithm}")
    if "h" in tags and "sha256" not in _listed(tags["h"]):
        raise SignatureTrouble("permerror", "the key record does not allow SHA-256")
    if "s" in tags and not {"*", "email"} & _listed(tags["s"]):
        raise SignatureTrouble("permerror", "the key is not for mail (s=)")
    if "p" not in tags:
        raise SignatureTrouble("permerror", "the key record holds no key")
    if not tags["p"]:
        raise SignatureTrouble("permerror", "the key was revoked")
    octets = base64_of(tags["p"], "the key")
    flags = _listed(tags.get("t", ""))
    key, bits = _load_rsa(octets) if kind == "rsa" else _load_ed25519(octets)
    return PublicKey(algorithm, bits, "y" in flags, "s" in flags, key)


def _listed(text: str) -> set[str]:
    return {word.strip(" \t\r\n").lower() for word in text.split(":")}


def _load_rsa(octets: bytes) -> tuple[Any, int]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(octets)  # SubjectPublicKeyInfo, or the bare RSAPublicKey of some old records
    except (ValueError, UnsupportedAlgorithm) as error:
        if len(octets) < LEAST_RSA_BITS // 8:
            raise SignatureTrouble("policy", "the RSA key has less than 1024 bits (RFC 8301)") from None
        raise SignatureTrouble("permerror", f"the key cannot be read: {str(error)[:100]}") from None
    if not isinstance(key, RSAPublicKey):
        raise SignatureTrouble("permerror", "the key is not an RSA key")
    if key.key_size < LEAST_RSA_BITS:
        raise SignatureTrouble("policy", f"the RSA key has {key.key_size} bits, 1024 is the least (RFC 8301)")
    if key.key_size > MOST_RSA_BITS:
        raise SignatureTrouble("policy", f"the RSA key has {key.key_size} bits, {MOST_RSA_BITS} is the most here")
    return key, key.key_size


def _load_ed25519(octets: bytes) -> tuple[Any, int]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(octets) != 32:
        raise SignatureTrouble("permerror", "an Ed25519 key has 32 octets (RFC 8463)")
    return Ed25519PublicKey.from_public_bytes(octets), 256


# ---------------------------------------------------------------- proving and making


def signed_digest(block: HeaderBlock, signature: Signature, names: tuple[bytes, ...] | None = None) -> bytes:
    """SHA-256 of what a signature is made over (RFC 6376 §3.7): the fields of h=, then its own with b= empty."""
    form = signature.header_canonicalization
    selected = block.select(signature.names if names is None else names, signature.field)
    own = canonical_fields([without_b(signature.field)], form).removesuffix(b"\r\n")
    return hashlib.sha256(canonical_fields(selected, form) + own).digest()


def without_b(field: Field) -> Field:
    """The signature field with the value of b= taken out."""
    name, colon, value = field.raw.partition(b":")
    emptied = _B_VALUE.sub(rb"\1", value, count=1)
    return Field(field.name, name + colon + (emptied if emptied.endswith(b"\n") else emptied + b"\n"))


def proves(key: PublicKey, digest: bytes, signature: bytes) -> bool:
    """Is ``signature`` over what has this SHA-256 ``digest`` made with the other half of ``key``?"""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        if key.algorithm == RSA:
            key.key.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
        else:
            key.key.verify(signature, digest)  # RFC 8463 §3: the hash is what is signed
    except InvalidSignature:
        return False
    return True
