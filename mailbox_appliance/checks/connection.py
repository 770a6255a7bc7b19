"""The connection stage: what the peer's address and its HELO say (RFC 8601 §2.7.3, RFC 5782).

Pure functions on answers we have; ``mailauth.lookups.settle`` fetches what they miss.
"""

from __future__ import annotations

import ipaddress

from mailbox_appliance.checks.faults import Fault
from mailbox_appliance.checks.settings import DnsList
from mailbox_appliance.mail.address import AddressError, domain_to_ascii
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.verdict import Evidence
from mailbox_appliance.mailauth.lookups import Answers
from mailbox_appliance.ports.dns import Status

MOST_NAMES = 5  # of one address; RFC 7208 §5.5 looks at ten
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_REFUSALS = ipaddress.ip_network("127.255.255.0/24")


def reverse_of(address: IPAddress) -> str:
    """The labels under which lists keep an address (RFC 5782 §2.1, §2.4)."""
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def check_reverse(address: IPAddress, answers: Answers) -> Evidence:
    """FCrDNS: the address has a name, and the name has this address."""
    remedy = f"{address} needs a PTR record whose name has an address record for {address}"
    found = answers.get(address.reverse_pointer, "PTR")
    if found.status is Status.TEMPERROR:
        return Evidence("fcrdns", "temperror", reason=found.reason)
    names = [str(name) for name in found.records[:MOST_NAMES]]
    if not names:
        return Evidence("fcrdns", "none", reason=f"{address} has no name", remedy=remedy)
    rdtype = "A" if address.version == 4 else "AAAA"
    answers.want((name, rdtype) for name in names)
    failed = ""
    for name in names:
        answer = answers.get(name, rdtype)
        if any(_is_address(record, address) for record in answer.records):
            return Evidence("fcrdns", "pass", reason=name[:250])
        if answer.status is Status.TEMPERROR:
            failed = answer.reason or name
    if failed:
        return Evidence("fcrdns", "temperror", reason=failed)
    return Evidence("fcrdns", "fail", reason=f"{names[0][:200]} does not lead back to {address}", remedy=remedy)


def _is_address(record: object, address: IPAddress) -> bool:
    try:
        return ipaddress.ip_address(str(record)) == address
    except ValueError:
        return False


def check_helo(address: IPAddress, helo: str, ours: frozenset[str], answers: Answers) -> Evidence:
    """What the peer calls itself. ``ours``: names that nobody outside has."""
    if not helo:
        return Evidence("helo", "none", reason="the peer did not introduce itself")
    shown = helo[:100]
    if helo.startswith("["):
        inside = helo.strip("[]").lower().removeprefix("ipv6:")
        if _is_address(inside, address):
            return Evidence("helo", "literal", reason=f"{shown} is an address, not a name")
        return Evidence("helo", "forged", reason=f"{shown} is not {address}", remedy="HELO must name the peer itself")
    try:
        name = domain_to_ascii(helo)
    except AddressError:
        return Evidence("helo", "invalid", reason=f"{shown!r} is no name", remedy="HELO must be a full host name")
    if name in ours:
        return Evidence("helo", "ours", reason=f"the peer calls itself {name}, which is us")
    if "." not in name or name.replace(".", "").isdigit():
        return Evidence(
            "helo", "invalid", reason=f"{name} is no full host name", remedy="HELO must be a full host name"
        )
    answer = answers.get(name, "A" if address.version == 4 else "AAAA")
    if answer.status is Status.TEMPERROR:
        return Evidence("helo", "temperror", reason=answer.reason)
    if any(_is_address(record, address) for record in answer.records):
        return Evidence("helo", "pass", reason=name[:250])
    if answer.status is Status.NXDOMAIN:
        return Evidence("helo", "unknown", reason=f"{name} does not exist", remedy=f"{name} needs an address record")
    return Evidence("helo", "other", reason=f"{name} has other addresses")


def check_lists(address: IPAddress, lists: tuple[DnsList, ...], answers: Answers) -> tuple[list[Evidence], list[Fault]]:
    """Every list at once. Only 127.0.0.0/8 lists, and of that 127.255.255.x means that the list refuses us."""
    labels = reverse_of(address)
    answers.want((f"{labels}.{one.zone}", "A") for one in lists)
    evidence: list[Evidence] = []
    faults: list[Fault] = []
    for one in lists:
        check = "dnsbl" if one.weight >= 0 else "dnswl"
        answer = answers.get(f"{labels}.{one.zone}", "A")
        if answer.status is Status.TEMPERROR:
            evidence.append(Evidence(check, "temperror", reason=f"{one.zone}: {answer.reason}"))
            continue
        codes = []
        for record in answer.records:
            try:
                code = ipaddress.ip_address(str(record))
            except ValueError:
                continue
            if code not in _LOOPBACK:
                faults.append(Fault(one.zone, str(code), "the answer is outside 127.0.0.0/8, so it is no listing"))
            elif code in _REFUSALS:
                faults.append(Fault(one.zone, str(code), "the list refuses to answer our resolver"))
            else:
                codes.append(str(code))
        if codes:
            reason = f"{address} is in {one.zone} ({', '.join(codes[:4])})"
            remedy = f"{address} must be taken out of {one.zone}" if one.weight > 0 else ""
            evidence.append(Evidence(check, "listed", one.weight, reason, remedy))
    for fault in faults:
        evidence.append(Evidence("dnsbl", "fault", reason=f"{fault.zone}: {fault.reason} ({fault.answer})"))
    return evidence, faults
