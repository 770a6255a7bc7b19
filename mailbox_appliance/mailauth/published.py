"""What the world sees of a domain's records, held against what it should publish (publish.py).

Pure: answers come from mailauth/lookups, addresses and names as arguments. Each record is seen, not there yet or wrong,
and whatever is not seen has a remedy of one sentence. RFC 2181 §10.3 (MX and CNAME), RFC 7208 §3.2 and §4.6.4 (one SPF
record, ten look-ups), RFC 6376 §3.6.1 (key records), RFC 9989 (DMARC), RFC 6698 (TLSA).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth import dmarc, mistakes, spf
from mailbox_appliance.mailauth.lookups import Answers
from mailbox_appliance.mailauth.publish import MAY, MUST, SHOULD, DnsRecord, Publication, records
from mailbox_appliance.mailauth.tags import TagError, read_tags, without_blanks
from mailbox_appliance.mailauth.tlsa import TlsaError, read_tlsa
from mailbox_appliance.ports.dns import Answer, Status

SEEN, NOT_YET, WRONG, UNKNOWN = "seen", "not yet", "wrong", "unknown"
# Nobody's address (RFC 5737): a record that is asked about it is evaluated to its very end.
NOBODY = ipaddress.IPv4Address("192.0.2.254")
_SPF = re.compile(rb"v=spf1(?: |$)", re.IGNORECASE)
_ISSUE = re.compile(r'\d+ issue "?([^";\s]*)')  # parameters may follow the name (RFC 8659 §4.2)
_MOST_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One record, or one fact about several. ``remedy`` is "" only when nothing is to do."""

    tier: str
    name: str
    rdtype: str
    state: str
    words: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared: ``publication``, and ``sends``: mail leaves from its addresses (not through a smarthost)."""

    publication: Publication
    sends: bool = True


Found: TypeAlias = tuple[str, str, str]  # state, words, remedy


def compare(subject: Subject, answers: Answers) -> tuple[Finding, ...]:
    """Every record of the publication, musts first. Raises Missing when an answer must be fetched first."""
    one = subject.publication
    expected = records(one)
    questions = [(record.name, record.rdtype) for record in expected]
    questions += [(one.hostname, kind) for kind in ("A", "AAAA", "CNAME")]
    again = [(mistakes.doubled(name, one.zone), kind) for name, kind in questions if kind not in ("CNAME", "PTR")]
    answers.want(dict.fromkeys((*questions, *((name, kind) for name, kind in again if name))))
    found = [_host(subject, answers)]
    done: set[tuple[str, str]] = {(one.hostname, "A"), (one.hostname, "AAAA")}
    for record in expected:
        key = (record.name, record.rdtype)
        if key in done:
            continue
        done.add(key)
        wanted = [other for other in expected if (other.name, other.rdtype) == key]
        answer = answers.get(*key)
        if answer.status is Status.TEMPERROR:
            words = f"could not be asked for: {answer.reason or 'no answer'}"
            remedy = "try again later; if it stays so, look at `mailappliance status` and at the domain's name servers"
            found.append(Finding(record.tier, *key, UNKNOWN, words, remedy))
            continue
        if said := mistakes.quoted(record, answer):
            state, words, remedy = WRONG, f"says {said}, quotes and all", "leave the quotes out"
        else:
            state, words, remedy = _JUDGES[_kind(record)](subject, wanted, answer, answers)
        if state == NOT_YET and not answer.records and (strayed := mistakes.misplaced(record, one.zone, answers)):
            state, words, remedy = WRONG, *strayed
        tier = record.tier
        if record.rdtype == "PTR" and not subject.sends:
            tier = MAY  # who sends through a smarthost is not asked for his own name
        if record.rdtype == "TLSA" and state == WRONG:
            tier = MUST  # senders that obey it do not deliver at all
        found.append(Finding(tier, *key, state, words, remedy))
    order = (MUST, SHOULD, MAY)
    return tuple(sorted(found, key=lambda finding: order.index(finding.tier)))


def _kind(record: DnsRecord) -> str:
    if record.rdtype != "TXT":
        return record.rdtype
    return next(
        (kind for mark, kind in _TEXTS if record.value.lower().startswith(mark)),
        "TXT",
    )


def _shown(values: Iterable[object]) -> str:
    listed = [str(value) for value in values]
    return ", ".join(listed[:_MOST_SHOWN]) + (" …" if len(listed) > _MOST_SHOWN else "")


def _publish(wanted: list[DnsRecord]) -> str:
    record = wanted[0]
    value = record.value if len(record.value) <= 120 else "its value, which `mailappliance dns records` shows"
    return f"publish {record.rdtype} {record.name} with {value}"


# ---------------------------------------------------------------- where the host is


def _host(subject: Subject, answers: Answers) -> Finding:
    """The host's own name: addresses of its own, and no alias."""
    one = subject.publication
    alias = answers.get(one.hostname, "CNAME")
    if alias.status is Status.OK:
        words = f"is an alias (CNAME) of {_shown(alias.records)}; a mail host must not be one"
        return Finding(MUST, one.hostname, "A", WRONG, words, "replace the CNAME by A and AAAA records")
    both = {kind: answers.get(one.hostname, kind) for kind in ("A", "AAAA")}
    listed = [str(record) for answer in both.values() for record in answer.records]
    if not listed:
        if any(answer.status is Status.TEMPERROR for answer in both.values()):
            return Finding(MUST, one.hostname, "A", UNKNOWN, "could not be asked for", "try again later")
        for kind in ("A", "AAAA"):
            record = DnsRecord(MUST, one.hostname, kind, "", "")
            if strayed := mistakes.misplaced(record, one.zone, answers):
                return Finding(MUST, one.hostname, "A", WRONG, *strayed)
        where = _shown(one.addresses) or "the public address of this machine or its router"
        return Finding(MUST, one.hostname, "A", NOT_YET, "has no address", f"publish its address: {where}")
    known = {ipaddress.ip_address(text) for text in one.addresses}
    strange = [text for text in listed if known and ipaddress.ip_address(text) not in known]
    if strange:
        words = f"leads to {_shown(strange)}, and this machine is {_shown(one.addresses)}"
        return Finding(MUST, one.hostname, "A", WRONG, words, f"take {_shown(strange)} out, unless it leads here too")
    absent = [
        text for text in one.addresses if ipaddress.ip_address(text) not in set(map(ipaddress.ip_address, listed))
    ]
    if absent:
        words = f"leads to {_shown(listed)}"
        return Finding(MUST, one.hostname, "A", NOT_YET, words, f"publish {_shown(absent)} too: mail leaves from there")
    return Finding(MUST, one.hostname, "A", SEEN, _shown(listed))


def _mx(subject: Subject, wanted: list[DnsRecord], answer: Answer, answers: Answers) -> Found:
    host, domain = subject.publication.outer, subject.publication.domain
    if answer.status is Status.NXDOMAIN:
        return NOT_YET, f"{domain} does not exist in the DNS", "register the domain, or see that it is delegated"
    targets = sorted(record for record in answer.records if isinstance(record, tuple))
    hosts = [str(name) for _, name in targets]
    if not hosts:
        return NOT_YET, "there is none", _publish(wanted)
    if "" in hosts:
        return WRONG, "says that the domain takes no mail (null MX)", _publish(wanted) + " in its stead"
    answers.want((name, "CNAME") for name in hosts[:10])
    for name in hosts[:10]:
        alias = answers.get(name, "CNAME")
        if alias.status is Status.OK:
            words = f"points to {name}, which is an alias (CNAME) of {_shown(alias.records)}"
            if name == host:
                return WRONG, words, f"replace the CNAME of {name} by A and AAAA records"
            return WRONG, words, f"name a host that has addresses of its own: {wanted[0].value}"
    if host not in hosts:
        for name in hosts:
            if remedy := mistakes.led_astray(name, host, subject.publication.zone):
                return WRONG, f"leads to {name}", remedy
            if re.fullmatch(r"[0-9.]+", name):
                words = f"leads to {name}, an address; an MX names a host"
                return WRONG, words, f"replace it by {wanted[0].value}"
        return WRONG, f"leads to {_shown(hosts)}, not to this machine", f"replace it by {wanted[0].value}"
    first = min(preference for preference, _ in targets)
    if (first, host) not in targets:
        return WRONG, f"leads to {hosts[0]} before this machine", f"give {host} the lowest number of them"
    others = [name for name in hosts if name != host]
    return SEEN, f"{host}, and also {_shown(others)}" if others else host, ""


def _ptr(subject: Subject, wanted: list[DnsRecord], answer: Answer, answers: Answers) -> Found:
    host = subject.publication.outer
    address = next(
        text for text in subject.publication.addresses if ipaddress.ip_address(text).reverse_pointer == wanted[0].name
    )
    if host in answer.records:
        return SEEN, f"{address} is {host}", ""
    remedy = f"have who gave you the address {address} set its reverse name to {host}"
    if not answer.records:
        return NOT_YET, f"{address} has no name; many refuse mail from such", remedy
    return WRONG, f"{address} is called {_shown(answer.records)}, but this machine says {host} in HELO", remedy


# ---------------------------------------------------------------- who may send


def _texts(answer: Answer) -> list[bytes]:
    return [text for text in answer.records if isinstance(text, bytes)]


def _spf(subject: Subject, wanted: list[DnsRecord], answer: Answer, answers: Answers) -> Found:
    domain, value = wanted[0].name, wanted[0].value
    texts = [text for text in _texts(answer) if _SPF.match(text)]
    if not texts:
        return NOT_YET, "there is no SPF record", _publish(wanted)
    if len(texts) > 1:
        one_of_all = mistakes.mended_spf([text.decode("utf-8", "replace") for text in texts], value)
        return WRONG, f"there are {len(texts)} SPF records, so none counts", f"leave only one: {one_of_all}"
    words = texts[0].decode("utf-8", "replace")
    mended = mistakes.mended_spf([words], value)
    one = subject.publication
    whole = spf.check_helo(NOBODY, domain, answers)
    if whole.result == "temperror":
        return UNKNOWN, f"could not be evaluated: {whole.reason}", "try again later"
    if whole.result == "permerror" and "lookups" in whole.reason.lower():
        said = "more than ten look-ups are needed for it, so it counts as broken"
        return WRONG, said, f"take include: terms out of it until it needs ten at most; ours is only {value}"
    if whole.result == "permerror":
        return WRONG, f"the record is broken: {whole.reason}", f"replace it by {value}"
    if whole.result == "pass":
        return WRONG, "the record lets the whole world send for the domain", f"replace it by {mended}"
    terms = words.lower().split()
    missing = [name for name in one.spf_includes if f"include:{name}" not in terms]
    if domain == one.domain and missing:
        remedy = f"add include:{missing[0]} before its end"
        return WRONG, f"{missing[0]}, which sends our mail, is not allowed to", remedy
    if subject.sends or domain == one.hostname:
        for text in one.addresses:
            found = spf.check_helo(ipaddress.ip_address(text), domain, answers)
            if found.result == "temperror":
                return UNKNOWN, f"could not be evaluated: {found.reason}", "try again later"
            if found.result != "pass" and mistakes.same_spf(words, value):
                said = f"{words} is right, but does not lead to {text} yet"
                return (
                    NOT_YET,
                    said,
                    "nothing to do here: it counts once the MX and the host's addresses are right",
                )
            if found.result != "pass":
                return (
                    WRONG,
                    f"{text}, from which our mail leaves, is not allowed to ({words})",
                    f"replace it by {mended}",
                )
    if whole.result in ("neutral", "none"):
        return SEEN, f"{words} (but it says nothing against forgers: end it with -all)", ""
    return SEEN, words, ""


def _dkim(subject: Subject, wanted: list[DnsRecord], answer: Answer, answers: Answers) -> Found:
    texts = _texts(answer)
    if not texts:
        return NOT_YET, "there is no key", _publish(wanted)
    if len(texts) > 1:
        return WRONG, f"there are {len(texts)} texts where one key must stand", "leave only ours"
    ours = _tag(wanted[0].value.encode("ascii"), "p")
    theirs = _tag(texts[0], "p")
    if theirs == ours:
        return SEEN, "our key", ""
    again = "publish it again as `mailappliance dns records` shows it, split if your provider's form cuts it"
    if theirs and ours.startswith(theirs):
        return WRONG, f"the key was cut after {len(theirs)} of {len(ours)} characters", again
    return WRONG, "another key, or one that was changed on the way" if theirs else "it holds no key", again


def _tag(octets: bytes, name: str) -> str:
    try:
        return without_blanks(read_tags(octets).get(name, ""))
    except TagError:
        return ""


def _dmarc(subject: Subject, wanted: list[DnsRecord], answer: Answer, answers: Answers) -> Found:
    texts, value = _texts(answer), wanted[0].value
    policies = [record for text in texts if (record := dmarc.read_record(text)) is not None]
    if len(policies) > 1:
        return WRONG, f"there are {len(policies)} DMARC records, so none counts", f"leave only one: {value}"
    if not policies:
        if texts:
            words = f"{texts[0][:60].decode('utf-8', 'replace')!r} is no DMARC record"
            return WRONG, words, f"replace it by {value}"
        return NOT_YET, "there is no DMARC record", _publish(wanted)
    (policy,) = policies
    if policy.faults:
        return WRONG, "; ".join(policy.faults[:3]), f"replace it by {value}"
    if any(not uri.lower().startswith("mailto:") for uri in policy.rua):
        return WRONG, "rua= names an address without mailto:, so no reports come", f"replace it by {value}"
    if strangers := _not_taking(subject.publication.domain, policy.rua, answers):
        words = f"reports go to {strangers[0]}, which does not say that it takes them, so none are sent"
        name = f"{subject.publication.domain}._report._dmarc.{strangers[0]}"
        return WRONG, words, f"have TXT v=DMARC1 published at {name}, or replace it by {value}"
    if policy.p == "none":
        return SEEN, "p=none: forgeries are reported, not stopped; write p=quarantine once all our mail passes", ""
    return SEEN, f"p={policy.p}" + ("" if policy.rua else ", without reports (rua=)"), ""


def _not_taking(domain: str, addresses: Iterable[str], answers: Answers) -> list[str]:
    """Domains of others that get our reports without having said that they take them (RFC 9990 §4)."""
    hosts = dict.fromkeys(address.rpartition("@")[2].partition("!")[0].lower() for address in addresses)
    others = [host for host in hosts if host and host != domain and not host.endswith(f".{domain}")]
    found = []
    for host in [one for one in others if not domain.endswith(f".{one}")][:_MOST_SHOWN]:
        answer = answers.get(f"{domain}._report._dmarc.{host}", "TXT")
        said = any(text.lower().startswith(b"v=dmarc1") for text in _texts(answer))
        if answer.status is not Status.TEMPERROR and not said:
            found.append(host)
    return found


# ---------------------------------------------------------------- the rest


def _same(subject: Subject, wanted: list[DnsRecord], answer: Answer, answers: Answers) -> Found:
    """Records that are simply there or not."""
    values = {_plain(record.value) for record in wanted}
    found = {
        _plain(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)) for text in answer.records
    }
    if values & found:
        return SEEN, _shown(record.value for record in wanted if _plain(record.value) in found), ""
    if wanted[0].rdtype == "TXT":  # other texts may live at that name
        kind = _plain(wanted[0].value).partition(";")[0]
        found = {text for text in found if text.startswith(kind)}
    if not found:
        return NOT_YET, "there is none", _publish(wanted)
    for text in found:
        target = wanted[0].value.split()[-1]
        if remedy := mistakes.led_astray(text.split()[-1], target, subject.publication.zone):
            return WRONG, f"leads to {text.split()[-1]}", remedy
    return WRONG, f"says {_shown(sorted(found))[:200]}", f"replace it by {wanted[0].value}"


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


def _report_address(subject: Subject, wanted: list[DnsRecord], answer: Answer, answers: Answers) -> Found:
    """TLS-RPT: wherever the owner wants the reports."""
    texts = [text for text in _texts(answer) if text.lower().startswith(b"v=tlsrptv1")]
    if not texts:
        return NOT_YET, "there is none", _publish(wanted)
    if len(texts) > 1:
        return WRONG, f"there are {len(texts)} of them, so none counts", f"leave only one: {wanted[0].value}"
    return SEEN, texts[0][:120].decode("utf-8", "replace"), ""


def _tlsa(subject: Subject, wanted: list[DnsRecord], answer: Answer, answers: Answers) -> Found:
    ours = {str(read_tlsa(record.value)) for record in wanted}
    theirs = set()
    for text in answer.records:
        try:
            theirs.add(str(read_tlsa(str(text))))
        except TlsaError:
            continue
    if ours & theirs:
        return SEEN, "our key" if answer.authentic else "our key (it counts only in a zone signed with DNSSEC)", ""
    if not theirs:
        return NOT_YET, "there is none", _publish(wanted) + ", if the zone is signed with DNSSEC"
    words = "names another key: hosts that obey DANE do not deliver to us"
    return WRONG, words, f"replace it by {wanted[0].value}"


def _caa(subject: Subject, wanted: list[DnsRecord], answer: Answer, answers: Answers) -> Found:
    texts = [_plain(str(text)) for text in answer.records]
    issuers = [name[1] for text in texts if (name := _ISSUE.match(text)) is not None]
    if not issuers:
        return NOT_YET, "there is none: every authority may certify the domain", _publish(wanted)
    for record in wanted:
        ours = _ISSUE.match(_plain(record.value))
        if ours is not None and ours[1] in issuers:
            return SEEN, _shown(issuers), ""
    return WRONG, f"our certificate authority is not allowed: {_shown(issuers)}", f"add {wanted[0].value}"


_TEXTS = (("v=spf1", "SPF"), ("v=dkim1", "DKIM"), ("v=dmarc1", "DMARC"), ("v=tlsrptv1", "TLSRPT"))
_JUDGES: dict[str, Callable[[Subject, list[DnsRecord], Answer, Answers], Found]] = {
    "MX": _mx,
    "PTR": _ptr,
    "SPF": _spf,
    "DKIM": _dkim,
    "DMARC": _dmarc,
    "TLSRPT": _report_address,
    "TLSA": _tlsa,
    "CAA": _caa,
    "TXT": _same,
    "SRV": _same,
    "CNAME": _same,
}
