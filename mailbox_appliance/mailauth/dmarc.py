"""DMARC (RFC 9989): does the domain in From stand behind this message, and what does it want done if not?

The organizational domain is found by the tree walk of §4.10, so no list of public suffixes is needed. A record is read
as generously as the RFC asks: what is broken in it counts as absent, and is told as a fault, because a ``p=drop`` means
that its owner believes in a protection which is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.lookups import Answers
from mailbox_appliance.ports.dns import Status

POLICIES = ("none", "quarantine", "reject")
MOST_LABELS = 8  # §4.10: no more than eight look-ups, whatever the name
RECORD_OCTETS = 8192
_VERSION = re.compile(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
_SOFTER = {"reject": "quarantine", "quarantine": "none", "none": "none"}


@dataclass(frozen=True, slots=True)
class Record:
    """A policy record (§4.7). ``faults`` says what in it could not be understood."""

    p: str = "none"
    sp: str = ""
    np: str = ""
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: str = "u"
    testing: bool = False
    rua: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """``result``: pass, fail, none, temperror. ``policy`` is what ``policy_domain`` asks for ("" when unknown).

    ``aligned`` lists what passed and belongs to the author's domain, such as "dkim example.org". ``kin`` is the same
    judged by the names alone, for domains that publish nothing: evidence, never proof.
    """

    result: str
    domain: str
    policy: str = ""
    policy_domain: str = ""
    aligned: tuple[str, ...] = ()
    kin: tuple[str, ...] = ()
    reason: str = ""
    faults: tuple[str, ...] = ()
    testing: bool = False


class _TemporaryTrouble(Exception):
    """A record could not be asked for."""


def read_record(octets: bytes) -> Record | None:
    """The record, or None when it is none at all (§4.7: it must begin with v=DMARC1)."""
    if not _VERSION.match(octets) or len(octets) > RECORD_OCTETS:
        return None
    faults: list[str] = []
    tags: dict[str, str] = {}
    for spec in octets.decode("utf-8", "replace").split(";")[1:64]:
        name, equals, value = (part.strip(" \t") for part in spec.partition("="))
        if not equals:
            if name:
                faults.append(f"{name[:40]!r} is no tag")
        elif name.lower() in tags:
            faults.append(f"{name[:40]}= stands twice")
        else:
            tags[name.lower()] = value

    def one_of(name: str, allowed: tuple[str, ...], default: str) -> str:
        value = tags.get(name)
        if value is None:
            return default
        if value.lower() in allowed:
            return value.lower()
        faults.append(f"{name}={value[:40]} means nothing")
        return default

    policy = one_of("p", POLICIES, "none")
    return Record(
        policy,
        one_of("sp", POLICIES, ""),
        one_of("np", POLICIES, ""),
        one_of("adkim", ("r", "s"), "r") == "s",
        one_of("aspf", ("r", "s"), "r") == "s",
        one_of("psd", ("y", "n", "u"), "u"),
        one_of("t", ("y", "n"), "n") == "y",
        tuple(uri.strip() for uri in tags.get("rua", "").split(",")[:10] if uri.strip()),
        tuple(faults),
    )


def _record_at(domain: str, answers: Answers) -> tuple[Record | None, tuple[str, ...]]:
    answer = answers.get(f"_dmarc.{domain}", "TXT")
    if answer.status is Status.TEMPERROR:
        raise _TemporaryTrouble(f"the policy of {domain} could not be asked for: {answer.reason or 'no answer'}")
    octets = [text for text in answer.records[:20] if isinstance(text, bytes)]
    records = [record for text in octets if (record := read_record(text)) is not None]
    if len(records) > 1:
        return None, (f"{domain} has {len(records)} DMARC records, so none counts",)
    if records:
        return records[0], records[0].faults
    nearly = [text for text in octets if b"dmarc" in text[:16].lower()]
    return None, (f"the record of {domain} does not begin with v=DMARC1",) if nearly else ()


def tree(domain: str) -> list[str]:
    """The names of the walk, the domain first (§4.10)."""
    labels = domain.split(".")
    start = 1 if len(labels) < MOST_LABELS else len(labels) - MOST_LABELS + 1
    return [domain] + [".".join(labels[at:]) for at in range(start, len(labels))]


def _walk(domain: str, answers: Answers) -> list[tuple[str, Record]]:
    """The records on the way up, ended by one that says psd=n or psd=y."""
    found: list[tuple[str, Record]] = []
    names = tree(domain)
    for at, name in enumerate(names):
        if at == 1:
            answers.want((f"_dmarc.{parent}", "TXT") for parent in names[1:])  # together: one wait instead of seven
        record, _ = _record_at(name, answers)
        if record is not None:
            found.append((name, record))
            if record.psd != "u":
                break
    return found


def organizational_domain(domain: str, answers: Answers) -> str:
    """§4.10.2. Raises Missing when an answer must be fetched first."""
    return _organizational(domain, _walk(domain, answers))


def _organizational(domain: str, records: list[tuple[str, Record]]) -> str:
    for name, record in records:
        if record.psd == "n":
            return name
        if record.psd == "y" and name != domain:
            below = len(name.split(".")) + 1
            return ".".join(domain.split(".")[-below:])
    return min((name for name, _ in records), key=lambda name: name.count("."), default=domain)


def evaluate(author: str, spf: str, dkim: Iterable[str], answers: Answers) -> DmarcResult:
    """Judge the domain in From (A-labels): ``spf`` is the domain that SPF passed for ("" = none), ``dkim`` those whose
    signatures hold. Raises Missing when an answer must be fetched first."""
    proven = [("dkim", domain) for domain in dict.fromkeys(dkim)] + ([("spf", spf)] if spf else [])
    same = tuple(f"{how} {domain}" for how, domain in proven if domain == author)
    kin = tuple(f"{how} {domain}" for how, domain in proven if _is_kin(author, domain))
    if author.startswith("[") or "." not in author:
        return DmarcResult("none", author, reason=f"{author} can have no policy", kin=kin)
    try:
        record, faults = _record_at(author, answers)
        where, policy = author, record.p if record else ""
        if record is None:
            where, record, policy, more = _policy_above(author, answers)
            faults += more
        if record is None:
            return DmarcResult("none", author, kin=kin, reason=f"{author} publishes no policy", faults=faults)
        aligned = same or _aligned(author, record, proven, answers)
    except _TemporaryTrouble as trouble:
        if same:
            # Whatever the policy says, the very domain of From is proven.
            return DmarcResult("pass", author, aligned=same, kin=kin, reason=f"{same[0]} is the domain in From")
        return DmarcResult("temperror", author, kin=kin, reason=str(trouble))
    wanted = _SOFTER[policy] if record.testing else policy
    if aligned:
        reason = f"{aligned[0]} belongs to {author}"
        return DmarcResult("pass", author, wanted, where, aligned, kin, reason, faults, record.testing)
    tried = ", ".join(f"{how} {domain}" for how, domain in proven) or "nothing"
    reason = f"{tried} passed, but {author} needs one of its own; its policy is {policy}"
    return DmarcResult("fail", author, wanted, where, (), kin, reason, faults, record.testing)


def _policy_above(author: str, answers: Answers) -> tuple[str, Record | None, str, tuple[str, ...]]:
    """§4.10.1: the organizational domain's record, else the public suffix's."""
    records = _walk(author, answers)
    if not records:
        return author, None, "", ()
    organization = _organizational(author, records)
    where, record = next(((name, one) for name, one in records if name == organization), records[-1])
    policy = record.sp or record.p
    if record.np and record.np != policy and answers.get(author, "A").status is Status.NXDOMAIN:
        policy = record.np  # §4.10.1: the name does not exist (RFC 8020), nor does anything below it
    return where, record, policy, record.faults


def _aligned(author: str, record: Record, proven: list[tuple[str, str]], answers: Answers) -> tuple[str, ...]:
    """§4.10.2 for names that are not the same: relaxed alignment means one organizational domain."""
    top = "." + author.rpartition(".")[2]
    relaxed = [
        (how, domain)
        for how, domain in proven
        if domain.endswith(top) and not (record.strict_dkim if how == "dkim" else record.strict_spf)
    ]
    if not relaxed:
        return ()
    organization = organizational_domain(author, answers)
    found = []
    for how, domain in relaxed:
        within = domain == organization or domain.endswith("." + organization)
        if within and organizational_domain(domain, answers) == organization:
            found.append(f"{how} {domain}")
    return tuple(found)


def _is_kin(author: str, domain: str) -> bool:
    """One is the other or stands below it, and neither is a top-level domain."""
    if domain == author:
        return True
    shorter, longer = sorted((author, domain), key=len)
    return "." in shorter and longer.endswith("." + shorter)
