"""DNS packets made and read by dnspython, and what an answer means to us (RFC 1035, RFC 2308, RFC 6891).

dnspython is imported by the first question: a service that never asks never pays for it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.dns import Answer, Status

if TYPE_CHECKING:
    import dns.message
    import dns.name
    import dns.rdatatype

# The EDNS buffer that fits every path without fragments (DNS flag day 2020).
UDP_OCTETS = 1232
IN = 1  # the only class there is
# An answer over TCP is parsed in one piece: what is larger would hold up everybody else.
TCP_OCTETS = 16_384
MOST_RECORDS = 256
MOST_ALIASES = 8
# Types that are given in their natural form; every other one as presentation text.
_HOSTS = {"CNAME": "target", "NS": "target", "PTR": "target", "DNAME": "target"}


class NoQuestion(ValueError):
    """The name or type cannot be asked."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question ready to be sent; ``wire`` begins with its random id."""

    name: dns.name.Name
    rdtype: dns.rdatatype.RdataType
    wire: bytes


@dataclass(frozen=True, slots=True)
class Alias:
    """The answer ended at a CNAME: ask for ``name`` next."""

    name: str
    ttl: int
    authentic: bool


@dataclass(frozen=True, slots=True)
class ServerTrouble:
    """The server answered, but with nothing that can be believed: ask the next one. ``code`` is the RCODE."""

    code: str
    reason: str


def make_question(name: str, rdtype: str, *, edns: bool = True) -> Question:
    """A query with a random id, recursion desired, AD asked for (RFC 6840 §5.7). Raises NoQuestion."""
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.rdatatype

    try:
        wanted = dns.name.from_text(name)
        kind = dns.rdatatype.from_text(rdtype)
    except (dns.exception.DNSException, ValueError) as error:
        raise NoQuestion(f"{name!r} {rdtype}: {error}") from None
    query = dns.message.make_query(
        wanted,
        kind,
        use_edns=0 if edns else False,
        payload=UDP_OCTETS if edns else None,
        id=secrets.randbits(16),
    )
    query.flags |= dns.flags.AD
    return Question(wanted, kind, query.to_wire())


def read_response(question: Question, wire: bytes) -> dns.message.Message | None:
    """The response to exactly ``question``; None for everything else (RFC 5452 §9.1)."""
    import dns.exception
    import dns.flags
    import dns.message

    if wire[:2] != question.wire[:2]:
        return None
    try:
        response = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, IndexError, KeyError, TypeError):
        return None
    if not response.flags & dns.flags.QR or len(response.question) > 1:
        return None
    for asked in response.question:
        if (asked.name, asked.rdtype, asked.rdclass) == (question.name, question.rdtype, IN):
            return response
    # Servers that do not understand us may leave the question out; an answer without one is not believed.
    return response if not response.question and not response.answer and response.rcode() else None


def is_truncated(response: dns.message.Message) -> bool:
    """The TC bit: ask again over TCP."""
    import dns.flags

    return bool(response.flags & dns.flags.TC)


def dislikes_edns(response: dns.message.Message) -> bool:
    """FORMERR, NOTIMP or BADVERS to a question with EDNS: ask again without (RFC 6891 §7)."""
    import dns.rcode

    return response.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)


def understand(question: Question, response: dns.message.Message, *, trusted: bool) -> Answer | Alias | ServerTrouble:
    """What ``response`` says. ``trusted``: its AD bit may be believed."""
    import dns.flags
    import dns.rcode
    import dns.rdatatype

    code = response.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        text = dns.rcode.to_text(code)
        return ServerTrouble(text, f"the name server answered {text}")
    authentic = trusted and bool(response.flags & dns.flags.AD)
    sets = {(rrset.name, rrset.rdtype): rrset for rrset in response.answer if rrset.rdclass == IN}
    name, ttl = question.name, 0xFFFFFFFF
    if question.rdtype not in (dns.rdatatype.CNAME, dns.rdatatype.ANY):
        for _ in range(MOST_ALIASES + 1):
            alias = sets.get((name, dns.rdatatype.CNAME))
            if alias is None or (name, question.rdtype) in sets:
                break
            name, ttl = alias[0].target, min(ttl, alias.ttl)
        else:
            return Answer(Status.TEMPERROR, reason="too many aliases (CNAME) behind one another")
    found = sets.get((name, question.rdtype))
    if found is not None:
        kind = dns.rdatatype.to_text(question.rdtype)
        records = tuple(_natural(kind, rdata) for rdata in list(found)[:MOST_RECORDS])
        return Answer(Status.OK, records, min(ttl, found.ttl), authentic)
    soa = _soa(response)
    if code == dns.rcode.NXDOMAIN:
        return Answer(Status.NXDOMAIN, (), min(ttl, soa), authentic, "the name does not exist")
    if name != question.name and not _has_soa(response):
        # The chain leads out of what this server knows or cared to tell.
        return Alias(_host(name), ttl, authentic)
    if not response.flags & (dns.flags.RA | dns.flags.AA) and response.authority and not _has_soa(response):
        return ServerTrouble("REFERRAL", "the name server only pointed to others: it does not resolve for us")
    return Answer(Status.NODATA, (), min(ttl, soa), authentic, "the name has no such record")


def _has_soa(response: dns.message.Message) -> bool:
    import dns.rdatatype

    return any(rrset.rdtype == dns.rdatatype.SOA and rrset.rdclass == IN for rrset in response.authority)


def _soa(response: dns.message.Message) -> int:
    """Seconds a "no" may be remembered (RFC 2308 §5); without a SOA a short while."""
    import dns.rdatatype

    for rrset in response.authority:
        if rrset.rdtype == dns.rdatatype.SOA and rrset.rdclass == IN:
            return int(min(rrset.ttl, rrset[0].minimum))
    return 0


def _host(name: Any) -> str:
    text: str = name.to_text(omit_final_dot=True).lower()
    return "" if text == "." else text


def _natural(kind: str, rdata: Any) -> object:
    if kind in ("A", "AAAA"):
        return rdata.address
    if kind == "MX":
        return (rdata.preference, _host(rdata.exchange))
    if kind == "TXT":
        return b"".join(rdata.strings)
    if kind in _HOSTS:
        return _host(getattr(rdata, _HOSTS[kind]))
    return rdata.to_text()
