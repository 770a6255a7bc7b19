"""The content stage: signatures, chains, and whether the domain in From stands behind the message.

DKIM and ARC are judged first, then DMARC with what they and SPF have proven; last comes who is believed all the same:
hosts that forward to us, trusted sealers and lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.authfields import without_comments
from mailbox_appliance.mail.client import Client
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action, Evidence, Verdict
from mailbox_appliance.mailauth import arc, dkim, dmarc, spf
from mailbox_appliance.mailauth.canonical import BodyDigest, HeaderBlock
from mailbox_appliance.mailauth.lookups import Answers
from mailbox_appliance.ports.reports import DmarcSeen

_DMARC_PASS = re.compile(rb"(?:^|;)\s*dmarc\s*=\s*pass\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Proofs:
    """What the signatures of one message are worth."""

    dkim: tuple[dkim.DkimResult, ...]
    untried: int
    arc: arc.ArcResult
    trusted: str  # a trusted sealer that saw DMARC pass


@dataclass(frozen=True, slots=True)
class Papers:
    """The signatures of one message, read but not proven."""

    block: HeaderBlock
    readings: tuple[dkim.Reading, ...]
    untried: int
    chain: arc.Chain

    def bodies_needed(self) -> set[str]:
        """Canonicalizations of the body to hash."""
        needed = dkim.bodies_needed(self.readings)
        if self.chain.sets and not self.chain.broken:
            needed.add(self.chain.sets[-1].message.body_canonicalization)
        return needed


def read_papers(header: bytes, now: float, settings: ChecksSettings) -> Papers:
    """One pass over the header block."""
    block = HeaderBlock(header)
    readings, untried = ([], 0) if "dkim" in settings.switched_off else dkim.read_signatures(block, now)
    chain = arc.Chain() if "arc" in settings.switched_off else arc.read_chain(block, now)
    return Papers(block, tuple(readings), untried, chain)


def prove(papers: Papers, bodies: Mapping[str, BodyDigest], settings: ChecksSettings, answers: Answers) -> Proofs:
    """DKIM and ARC. Raises Missing when keys must be fetched first (all in one go)."""
    answers.want(dkim.questions(papers.readings) + arc.questions(papers.chain))
    chain = arc.judge(papers.block, papers.chain, bodies, answers)
    return Proofs(
        dkim.judge(papers.block, papers.readings, bodies, answers),
        papers.untried,
        chain,
        _trusted_sealer(papers.chain, chain, settings.trusted_sealers),
    )


def _trusted_sealer(chain: arc.Chain, result: arc.ArcResult, trusted: frozenset[str]) -> str:
    """The earliest sealer of an unbroken row of trusted ones, if it says that DMARC passed when it saw the message."""
    if result.result != "pass" or not result.signs_from:
        return ""
    earliest: arc.ArcSet | None = None
    for one in reversed(chain.sets):
        # A seal vouches for the results only when the same domain signed the message.
        if one.seal.domain not in trusted or one.message.domain != one.seal.domain:
            break
        earliest = one
    if earliest is None:
        return ""
    said = without_comments(earliest.results.value)
    return earliest.seal.domain if _DMARC_PASS.search(said) else ""


def dkim_evidence(proofs: Proofs) -> list[Evidence]:
    """One piece for the best signature, so that nobody gathers points by signing often."""
    results = proofs.dkim
    more = f"; {proofs.untried} more were not tried" if proofs.untried else ""
    if not results:
        return [Evidence("dkim", "none", reason="there is no signature")]
    order = ("pass", "temperror", "fail", "policy", "permerror", "neutral")
    best = min(results, key=lambda one: order.index(one.result))
    remedy = "" if best.result == "pass" else f"a signature that holds, of {best.domain or 'any domain'}"
    return [Evidence("dkim", best.result, reason=f"{best.domain}: {best.reason}{more}", remedy=remedy)]


def spf_evidence(helo: spf.SpfResult | None, sender: spf.SpfResult | None, client: Client) -> list[Evidence]:
    """HELO's and MAIL FROM's."""
    found = []
    if helo is not None:
        found.append(Evidence("helo-spf", helo.result, reason=helo.reason))
    if sender is not None:
        remedy = "" if sender.result == "pass" else f"{client.address} in the SPF record of {sender.domain}"
        found.append(Evidence("spf", sender.result, reason=sender.reason, remedy=remedy))
        if sender.result == "pass" and sender.mechanism.lower() in ("all", "+all"):
            found.append(Evidence("spf", "everybody", reason=f"{sender.domain} lets every address send in its name"))
    return found


def proven_domains(sender: spf.SpfResult | None, proofs: Proofs) -> tuple[str, tuple[str, ...]]:
    """What DMARC asks for: the domain that SPF passed for ("" = none), and those whose signatures hold."""
    by_spf = sender.domain if sender is not None and sender.result == "pass" else ""
    return by_spf, tuple([one.domain for one in proofs.dkim if one.result == "pass"])


def whom_we_believe(client: Client, sender: spf.SpfResult | None, proofs: Proofs, settings: ChecksSettings) -> str:
    """Who vouches for the message although its author's domain does not; "" for nobody."""
    address = client.address
    if any(address.version == network.version and address in network for network in settings.forwarders):
        return f"{address} is one of our forwarders"
    if proofs.trusted:
        return f"{proofs.trusted} has sealed that it passed there (ARC)"
    passed = {one.domain for one in proofs.dkim if one.result == "pass"}
    if sender is not None and sender.result == "pass":
        passed.add(sender.domain)
    lists = sorted(passed & settings.trusted_lists)
    return f"{lists[0]} is one of our lists" if lists else ""


def list_of(papers: Papers, sender: spf.SpfResult | None, proofs: Proofs) -> str:
    """The domain of the mailing list that brought the message, if something proves it; "" for none."""
    if not papers.block.count(b"list-id"):
        return ""
    if sender is not None and sender.result == "pass" and sender.domain:
        return sender.domain
    return next((one.domain for one in proofs.dkim if one.result == "pass"), "")


def dmarc_evidence(result: dmarc.DmarcResult, believed: str, through: str = "") -> list[Evidence]:
    """What DMARC's result means; its faults are told beside it. ``through`` is the list that brought the message."""
    found = [Evidence("dmarc-record", "fault", reason=fault) for fault in result.faults[:4]]
    remedy = f"SPF or DKIM that passes for {result.domain}"
    if through and not believed:
        remedy += f"; or {through} in [checks] mailing_lists if that is a list of yours"
    if result.result == "fail" and believed:
        found.append(Evidence("dmarc", "fail forgiven", reason=f"{result.reason}; but {believed}", remedy=remedy))
    elif result.result == "fail":
        found.append(Evidence("dmarc", f"fail p={result.policy}", reason=result.reason, remedy=remedy))
    elif result.result == "temperror" and believed:
        found.append(Evidence("dmarc", "temperror forgiven", reason=f"{result.reason}; but {believed}"))
    elif result.result == "none":
        kin = f"{', '.join(result.kin)} passed" if result.kin else "nothing that passed belongs to it"
        word = "none" if result.kin else "stranger"
        found.append(Evidence("dmarc", word, reason=f"{result.reason}; {kin}", remedy="" if result.kin else remedy))
    else:
        found.append(Evidence("dmarc", result.result, reason=result.reason))
    return found


def own_evidence(
    author: Address, ours: frozenset[str], result: dmarc.DmarcResult, proofs: Proofs, believed: str
) -> list[Evidence]:
    """From names a domain of ours, and the message comes from outside: it needs a proof, whatever we publish."""
    domain = author.domain
    mine = next((one for one in ours if _is_within(domain, one)), "")
    if not mine:
        return []
    proven = [one for one in result.aligned + result.kin if _is_within(one.partition(" ")[2], mine)]
    if proven:
        return [Evidence("own", "pass", reason=f"{author} is proven by {proven[0]}")]
    if believed:
        return [Evidence("own", "forgiven", reason=f"{author} is not proven, but {believed}")]
    signed = [one for one in proofs.dkim if _is_within(one.domain, mine)]
    if result.result == "temperror" or any(one.result == "temperror" for one in signed):
        return [Evidence("own", "temperror", reason=f"{author} cannot be proven now: a look-up failed")]
    remedy = f"mail of {mine} sent through this server; or SPF or DKIM that passes for {mine}"
    if any(one.result == "fail" for one in signed):
        # As a mailing list leaves it; or a forger's. Nothing is lost in Junk.
        return [Evidence("own", "changed", reason=f"the signature of {mine} does not hold any more", remedy=remedy)]
    return [Evidence("own", "forged", reason=f"{author} is ours, but nothing proves it", remedy=remedy)]


def _is_within(domain: str, other: str) -> bool:
    return domain == other or domain.endswith("." + other)


def seen_by_dmarc(
    client: Client,
    reverse_path: Address | None,
    found: dmarc.DmarcResult,
    sender: spf.SpfResult | None,
    proofs: Proofs,
    verdict: Verdict,
) -> DmarcSeen:
    """The message as our report to the author's domain counts it (RFC 9990 §3.1.1)."""
    disposition, reason = "none", ""
    if found.result == "fail":
        disposition = {Action.REJECT: "reject", Action.JUNK: "quarantine"}.get(verdict.action, "none")
        strictest = {"reject": 2, "quarantine": 1}
        if strictest.get(disposition, 0) > strictest.get(found.policy, 0):
            disposition = found.policy or "none"  # what else was against it is not the domain's affair
        elif disposition != found.policy:
            reason = "local_policy"
    signatures = [f"{one.domain}/{one.selector}/{one.result}" for one in proofs.dkim[:5] if one.domain]
    return DmarcSeen(
        found.policy_domain,
        str(client.address),
        found.domain,
        reverse_path.domain if reverse_path is not None else "",
        disposition,
        any(one.startswith("dkim ") for one in found.aligned),
        any(one.startswith("spf ") for one in found.aligned),
        " ".join(signatures)[:600],
        sender.domain if sender is not None else "",
        ("mfrom" if sender.identity == "mailfrom" else "helo") if sender is not None else "",
        sender.result if sender is not None else "",
        reason,
    )
