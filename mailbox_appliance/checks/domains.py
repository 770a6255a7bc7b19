"""Lists of domains in the DNS (as SURBL, URIBL and Spamhaus DBL keep them): who sends, and where the text leads.

Lists hold names as they are registered, so hosts are cut down to those (by the list of public suffixes); a few names of
one message are asked for, the sender's first. An answer outside 127.0.0.0/8, in 127.255.255.0/24 or 127.0.0.1 is no
listing: the list refuses us, or somebody else answers in its place.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import Any

from mailbox_appliance.checks.faults import Fault
from mailbox_appliance.checks.settings import DnsList
from mailbox_appliance.mail.verdict import Evidence
from mailbox_appliance.mailauth.lookups import Answers
from mailbox_appliance.ports.dns import Status

MOST_NAMES = 12  # of one message
MOST_QUESTIONS = 60
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_REFUSALS = ipaddress.ip_network("127.255.255.0/24")
_REFUSED = ipaddress.ip_address("127.0.0.1")


@functools.cache
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # a few megabytes, for those who ask

    return PublicSuffixList(only_icann=True)


@functools.lru_cache(maxsize=2048)
def registered(domain: str) -> str:
    """The name a domain is registered under: "a.b.example.co.uk" is "example.co.uk"; as it is where there is none."""
    return str(_suffixes().privatesuffix(domain) or domain)


def names_to_ask(senders: Iterable[str], hosts: Iterable[str], ours: frozenset[str]) -> tuple[str, ...]:
    """Registered names, the senders' first; never our own."""
    names: dict[str, None] = {}
    for domain in (*senders, *hosts):
        if not domain or domain.startswith("[") or "." not in domain:
            continue
        name = registered(domain)
        if name not in ours and len(names) < MOST_NAMES:
            names.setdefault(name)
    return tuple(names)


def check_domains(
    names: tuple[str, ...], lists: tuple[DnsList, ...], answers: Answers
) -> tuple[list[Evidence], list[Fault]]:
    """Every name in every list at once; of each list the first name that it knows counts. Raises Missing."""
    names = names[: max(1, MOST_QUESTIONS // max(1, len(lists)))]
    answers.want((f"{name}.{one.zone}", "A") for one in lists for name in names)
    evidence: list[Evidence] = []
    faults: dict[str, Fault] = {}
    for one in lists:
        failed = ""
        listed = False
        for name in names:
            answer = answers.get(f"{name}.{one.zone}", "A")
            if answer.status is Status.TEMPERROR:
                failed = answer.reason or "no answer"
                continue
            codes = _codes(one.zone, answer.records, faults)
            if codes and not listed:
                listed = True
                remedy = f"{name} must be taken out of {one.zone}" if one.weight > 0 else ""
                reason = f"{name} is in {one.zone} ({', '.join(codes[:4])})"
                evidence.append(Evidence("domain-list", "listed", one.weight, reason, remedy))
        if failed and not listed:
            evidence.append(Evidence("domain-list", "temperror", reason=f"{one.zone}: {failed}"))
    for fault in faults.values():
        evidence.append(Evidence("domain-list", "fault", reason=f"{fault.zone}: {fault.reason} ({fault.answer})"))
    return evidence, list(faults.values())


def _codes(zone: str, records: Iterable[object], faults: dict[str, Fault]) -> list[str]:
    codes = []
    for record in records:
        try:
            code = ipaddress.ip_address(str(record))
        except ValueError:
            continue
        if code not in _LOOPBACK:
            faults[zone] = Fault(zone, str(code), "the answer is outside 127.0.0.0/8, so it is no listing")
        elif code in _REFUSALS or code == _REFUSED:
            faults[zone] = Fault(zone, str(code), "the list refuses to answer our resolver")
        else:
            codes.append(str(code))
    return codes
