"""ARC (RFC 8617): what a forwarder says it saw before it changed the message, and the seal on that.

A chain proves that these sealers handled the message in this order. Whether their word counts is the owner's choice:
anybody can seal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.canonical import RELAXED, BodyDigest, Field, HeaderBlock, canonical_fields
from mailbox_appliance.mailauth.lookups import Answers, Question
from mailbox_appliance.mailauth.signature import (
    Signature,
    SignatureTrouble,
    algorithm_of,
    base64_of,
    check_body,
    check_times,
    domain_of,
    key_of,
    proves,
    read_signature,
    selector_of,
    signed_digest,
    tags_of,
    without_b,
)

T = TypeVar("T")

MOST_SETS = 50  # §4.2.1
AAR, AMS, AS = b"arc-authentication-results", b"arc-message-signature", b"arc-seal"
_INSTANCE = re.compile(r"[1-9][0-9]?")
_AAR_INSTANCE = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]+)[ \t\r\n]*;")


@dataclass(frozen=True, slots=True)
class Seal:
    """One ARC-Seal, read."""

    field: Field
    instance: int
    algorithm: str
    domain: str
    selector: str
    cv: str
    signature: bytes

    @property
    def key_name(self) -> str:
        """Where its key stands."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class ArcSet:
    """One instance: what was seen, the message's signature, the seal."""

    results: Field
    message: Signature
    seal: Seal


@dataclass(frozen=True, slots=True)
class Chain:
    """All sets, oldest first; () is no chain. ``broken`` says why a chain is worth nothing, "" = may be sound."""

    sets: tuple[ArcSet, ...] = ()
    broken: str = ""
    ended: bool = False  # a sealer has said cv=fail: nobody adds to it any more (§5.1.2)


@dataclass(frozen=True, slots=True)
class ArcResult:
    """``result``: none, pass, fail, temperror. ``sealers`` the sealing domains, newest first."""

    result: str
    reason: str = ""
    sealers: tuple[str, ...] = ()
    ended: bool = False
    signs_from: bool = False  # the suite lets a chain pass without; trust should not


def read_chain(block: HeaderBlock, now: float) -> Chain:
    """The sets in form (§5.2 steps 1 to 3); nothing is proven yet."""
    by_name = {name: block.all(name) for name in (AAR, AMS, AS)}
    counts = {len(fields) for fields in by_name.values()}
    if counts == {0}:
        return Chain()
    if block.cut:
        return Chain(broken="the message has too many header fields")
    if len(counts) > 1:
        return Chain(broken="a set is not complete")
    (number,) = counts
    if number > MOST_SETS:
        return Chain(broken=f"more than {MOST_SETS} sets")
    try:
        results = _in_order((_instance_of_results(field), field) for field in by_name[AAR])
        messages = _in_order(_read_message(field) for field in by_name[AMS])
        seals = _in_order((seal.instance, seal) for seal in map(_read_seal, by_name[AS]))
        # §4.1.3: times are as DKIM has them, for the newest signature, which is the one that must still hold.
        check_times(messages[-1].tags, now)
    except SignatureTrouble as trouble:
        return Chain(broken=str(trouble))
    for seal in seals:
        if seal.cv != ("none" if seal.instance == 1 else "pass"):
            return Chain(broken=f"set {seal.instance} says cv={seal.cv}", ended=seal.cv == "fail")
    return Chain(tuple(ArcSet(*parts) for parts in zip(results, messages, seals, strict=True)))


def _in_order(numbered: Iterable[tuple[int, T]]) -> list[T]:
    """By instance, which must be 1, 2, 3 … Raises SignatureTrouble."""
    ordered = sorted(numbered, key=lambda pair: pair[0])
    if [number for number, _ in ordered] != list(range(1, len(ordered) + 1)):
        raise SignatureTrouble("fail", "instances are missing or doubled")
    return [one for _, one in ordered]


def _instance(text: str | None) -> int:
    if text is None or not _INSTANCE.fullmatch(text) or int(text) > MOST_SETS:
        raise SignatureTrouble("fail", "i= is no instance number")
    return int(text)


def _instance_of_results(field: Field) -> int:
    found = _AAR_INSTANCE.match(field.value)
    return _instance(found[1].decode("ascii") if found else None)


def _read_message(field: Field) -> tuple[int, Signature]:
    signature = read_signature(
        field,
        ("i", "a", "b", "bh", "d", "h", "s"),
        default=RELAXED,
        must_sign=frozenset(),
        must_not_sign=frozenset((AS,)),
    )
    if "v" in signature.tags:
        raise SignatureTrouble("fail", "v= stands in an ARC-Message-Signature")
    return _instance(signature.tags["i"]), signature


def _read_seal(field: Field) -> Seal:
    tags = tags_of(field.value, ("i", "a", "b", "cv", "d", "s"))
    if "h" in tags or "bh" in tags:
        raise SignatureTrouble("fail", "h= or bh= stands in an ARC-Seal")
    cv = tags["cv"].lower()
    return Seal(
        field,
        _instance(tags["i"]),
        algorithm_of(tags),
        domain_of(tags),
        selector_of(tags),
        cv,
        base64_of(tags["b"], "b="),
    )


def questions(chain: Chain) -> list[Question]:
    """The keys to ask for: each seal's and the newest message signature's."""
    if not chain.sets or chain.broken:
        return []
    names = [chain.sets[-1].message.key_name] + [one.seal.key_name for one in chain.sets]
    return [(name, "TXT") for name in dict.fromkeys(names)]


def judge(block: HeaderBlock, chain: Chain, bodies: Mapping[str, BodyDigest], answers: Answers) -> ArcResult:
    """Prove the newest message signature and every seal (§5.2). Raises Missing when keys must be fetched first."""
    sealers = tuple(one.seal.domain for one in reversed(chain.sets))
    if chain.broken:
        return ArcResult("fail", chain.broken, sealers, chain.ended)
    if not chain.sets:
        return ArcResult("none", "there is no chain")
    answers.want(questions(chain))
    try:
        newest = chain.sets[-1].message
        check_body(newest, bodies[newest.body_canonicalization])
        key = key_of(answers.get(newest.key_name, "TXT"), newest.algorithm)
        signs_from = b"from" in newest.names
        names = (*newest.names, b"from") if signs_from else newest.names  # a second From breaks it
        if not proves(key, signed_digest(block, newest, names), newest.signature):
            raise SignatureTrouble("fail", f"the message signature of {newest.domain} does not hold")
        _check_seals(chain, answers)
    except SignatureTrouble as trouble:
        result = "temperror" if trouble.result == "temperror" else "fail"
        return ArcResult(result, str(trouble), sealers)
    return ArcResult("pass", f"sealed by {', '.join(sealers[:5])}", sealers, signs_from=signs_from)


def sealed_digests(sets: Iterable[ArcSet]) -> list[bytes]:
    """What each seal is made over (§5.1.1), as SHA-256: all earlier sets and its own, the seal last with b= empty."""
    running = hashlib.sha256()
    digests = []
    for one in sets:
        running.update(canonical_fields([one.results, one.message.field], RELAXED))
        own = running.copy()
        own.update(canonical_fields([without_b(one.seal.field)], RELAXED).removesuffix(b"\r\n"))
        digests.append(own.digest())
        running.update(canonical_fields([one.seal.field], RELAXED))
    return digests


def _check_seals(chain: Chain, answers: Answers) -> None:
    """Raises SignatureTrouble at the first that does not hold, the newest first."""
    digests = sealed_digests(chain.sets)
    for one, digest in zip(reversed(chain.sets), reversed(digests), strict=True):
        seal = one.seal
        key = key_of(answers.get(seal.key_name, "TXT"), seal.algorithm)
        if not proves(key, digest, seal.signature):
            raise SignatureTrouble("fail", f"the seal of {seal.domain} (set {seal.instance}) does not hold")
