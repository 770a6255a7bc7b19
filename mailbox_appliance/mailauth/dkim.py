"""DKIM (RFC 6376): which domains have signed this message, and what each signature is worth.

Read the signatures, hash the body once for each canonicalization they use, ask for the keys, judge. At most ten are
tried, the upmost first. A signature that leaves a part of the body or a doubled field to anybody proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailbox_appliance.mail.address import AddressError, domain_to_ascii
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.canonical import MOST_FIELDS, BodyDigest, HeaderBlock
from mailbox_appliance.mailauth.lookups import Answers, Question
from mailbox_appliance.mailauth.signature import (
    PublicKey,
    Signature,
    SignatureTrouble,
    check_body,
    check_times,
    key_of,
    number_of,
    proves,
    read_signature,
    signed_digest,
)
from mailbox_appliance.mailauth.signature import domain_of as _domain_of
from mailbox_appliance.mailauth.signature import tags_of as _tags_of

MOST_TRIED = 10
_NEEDED = ("v", "a", "b", "bh", "d", "h", "s")
# RFC 5322 §3.6 and RFC 2045: a message has at most one of each, and readers differ in which of two they show.
SINGLE_FIELDS = tuple(
    name.encode("ascii")
    for name in "from sender reply-to to cc subject date message-id mime-version content-type"
    " content-transfer-encoding content-disposition".split()
)


@dataclass(frozen=True, slots=True)
class DkimResult:
    """One signature: ``result`` of RFC 8601 §2.7.1; ``domain`` "" when d= could not even be read."""

    result: str
    domain: str = ""
    selector: str = ""
    identity: str = ""  # i=, as written
    algorithm: str = ""
    bits: int = 0
    testing: bool = False
    reason: str = ""


Reading = Signature | DkimResult


def read_signatures(block: HeaderBlock, now: float) -> tuple[list[Reading], int]:
    """The signatures to try, each read or already hopeless, and how many more there are that are not tried."""
    fields = block.all(b"dkim-signature")
    readings: list[Reading] = []
    for field in fields[:MOST_TRIED]:
        try:
            signature = read_signature(field, _NEEDED)
            _check_dkim(signature, now)
            readings.append(signature)
        except SignatureTrouble as trouble:
            readings.append(DkimResult(trouble.result, *_named(field.value), reason=str(trouble)))
    return readings, max(0, len(fields) - MOST_TRIED)


def _named(value: bytes) -> tuple[str, str]:
    try:
        tags = _tags_of(value, ("d", "s"))
        return _domain_of(tags), tags["s"][:64]
    except SignatureTrouble:
        return "", ""


def _check_dkim(signature: Signature, now: float) -> None:
    tags = signature.tags
    if tags["v"] != "1":
        raise SignatureTrouble("permerror", "unknown version in v=")
    check_times(tags, now)
    number_of(tags, "l")
    identity = _domain_of_identity(signature)
    if identity != signature.domain and not identity.endswith("." + signature.domain):
        raise SignatureTrouble("permerror", "i= is not within d=")


def _domain_of_identity(signature: Signature) -> str:
    text = signature.tags.get("i")
    if text is None:
        return signature.domain
    try:
        return domain_to_ascii(text.rpartition("@")[2])
    except AddressError:
        raise SignatureTrouble("permerror", "i= holds no domain name") from None


def questions(readings: Iterable[Reading]) -> list[Question]:
    """The keys to ask for."""
    return [(one.key_name, "TXT") for one in readings if isinstance(one, Signature)]


def bodies_needed(readings: Iterable[Reading]) -> set[str]:
    """The canonicalizations of the body to hash."""
    return {one.body_canonicalization for one in readings if isinstance(one, Signature)}


def judge(
    block: HeaderBlock, readings: Iterable[Reading], bodies: Mapping[str, BodyDigest], answers: Answers
) -> tuple[DkimResult, ...]:
    """What each signature is worth, in order. Raises Missing when keys must be fetched first (all in one go)."""
    readings = list(readings)
    answers.want(questions(readings))
    return tuple(
        one if isinstance(one, DkimResult) else judge_one(block, one, bodies[one.body_canonicalization], answers)
        for one in readings
    )


def judge_one(block: HeaderBlock, signature: Signature, body: BodyDigest, answers: Answers) -> DkimResult:
    """What one signature is worth (RFC 6376 §6.1)."""
    key: PublicKey | None = None
    try:
        # The cheap and telling questions first; the key comes last but its result is what most people want to see.
        if block.cut:
            raise SignatureTrouble("policy", f"the message has more than {MOST_FIELDS} header fields")
        check_body(signature, body)
        key = key_of(answers.get(signature.key_name, "TXT"), signature.algorithm)
        if key.strict and _domain_of_identity(signature) != signature.domain:
            raise SignatureTrouble("permerror", "the key is only for d= itself (t=s)")
        # From counts once more than it is named, so that a second one breaks every signature.
        digest = signed_digest(block, signature, (*signature.names, b"from"))
        if not proves(key, digest, signature.signature):
            raise SignatureTrouble("fail", "the signed header fields were changed, or the key is another")
        for name in SINGLE_FIELDS:
            if block.count(name) > max(1, signature.names.count(name)):
                raise SignatureTrouble("policy", f"there are several {name.decode().title()} fields, not all signed")
        result, reason = "pass", f"signed by {signature.domain}"
    except SignatureTrouble as trouble:
        result, reason = trouble.result, str(trouble)
    return DkimResult(
        result,
        signature.domain,
        signature.selector,
        signature.tags.get("i", "")[:250],
        signature.algorithm,
        key.bits if key else 0,
        key.testing if key else False,
        reason,
    )
