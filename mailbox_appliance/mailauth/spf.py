"""SPF (RFC 7208): may this address speak for this domain? pyspf evaluates, run against the answers we have.

pyspf keeps its resolver in a module global and waits for it; here its ``query`` is subclassed, so that nothing of the
module is changed and no look-up leaves the process. Its limits are RFC 7208 §4.6.4's: 10 mechanisms that look up, 2
void look-ups. Ours bound the time one record may cost.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from typing import Any

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.lookups import Answers
from mailbox_appliance.ports.dns import Status

RECORD_OCTETS = 4096  # RFC 7208 §3.4 wants 450; the largest honest ones have some 2,000
ALL_RECORDS_OCTETS = 16_384
TERM_OCTETS = 512
_RECORD = re.compile(rb"v=spf1(?: |$)", re.IGNORECASE)
_UNSAFE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class SpfResult:
    """``result`` of RFC 7208 §2.6 for ``domain``; ``identity`` "mailfrom" or "helo"; ``mechanism`` that matched."""

    result: str
    domain: str
    identity: str
    reason: str = ""
    mechanism: str = ""


def load() -> None:
    """Import the library, which takes longer than a session may wait: for a worker."""
    _adapter()


def check_helo(client: IPAddress, helo: str, answers: Answers) -> SpfResult:
    """RFC 7208 §2.3. Raises Missing when an answer must be fetched first."""
    return _check(client, "postmaster", helo, helo, "helo", answers)


def check_mail_from(client: IPAddress, reverse_path: Address | None, helo: str, answers: Answers) -> SpfResult:
    """RFC 7208 §2.4: the null path is checked as postmaster@HELO. Raises Missing when an answer must be fetched."""
    if reverse_path is None:
        return _check(client, "postmaster", helo, helo, "helo", answers)
    return _check(client, reverse_path.local, reverse_path.domain, helo, "mailfrom", answers)


def _check(client: IPAddress, local: str, domain: str, helo: str, identity: str, answers: Answers) -> SpfResult:
    domain = domain.lower().removesuffix(".")
    if domain.startswith("[") or "." not in domain or not domain.isascii() or len(domain) > 253:
        return SpfResult("none", domain, identity, "not a domain name that could have a record")
    query = _adapter()(client, local, domain, helo, answers)
    try:
        result, _, explanation = query.check()
    except (
        AssertionError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # Whatever a record can do to the library, it does to its owner's mail and to nobody else's.
        return SpfResult("permerror", domain, identity, f"the record cannot be evaluated ({type(error).__name__})")
    mechanism = _UNSAFE.sub("?", str(query.mechanism or ""))[:200]
    if result in ("temperror", "permerror"):
        reason = _UNSAFE.sub("?", str(explanation))[:250]
    elif result == "none":
        reason = f"{domain} publishes no SPF record"
    elif mechanism:
        reason = f"{mechanism} of {domain} matches {client}"
    else:
        reason = f"nothing in the record of {domain} matches {client}"
    return SpfResult(result, domain, identity, reason, mechanism)


def _complaint(texts: list[bytes], octets: int) -> str:
    """What is wrong with the length of these records, '' if nothing; ``octets`` of all records so far."""
    if octets > ALL_RECORDS_OCTETS or any(len(text) > RECORD_OCTETS for text in texts):
        return "The SPF records are too long"
    if any(len(term) > TERM_OCTETS for text in texts for term in text.split(b" ")):
        return "A term of the SPF record is too long"
    return ""


def _is_among(client: IPAddress, addresses: list[Any], host_bits: int) -> bool:
    """Does it lie in the network of one of them? Raises ValueError for what is no address."""
    number = int(client)
    for text in addresses:
        address = ipaddress.ip_address(text)
        # An address of the other version never matches (RFC 7208 §5.6).
        if address.version == client.version and not (int(address) ^ number) >> host_bits:
            return True
    return False


@functools.cache
def _adapter() -> Callable[[IPAddress, str, str, str, Answers], Any]:
    """Our subclass of pyspf's query; the library is loaded when the first record is checked."""
    import spf

    class Query(spf.query):  # type: ignore[misc]
        """One evaluation. Instances live for one run."""

        def __init__(self, client: IPAddress, local: str, domain: str, helo: str, answers: Answers) -> None:
            super().__init__(i=str(client), s=f"postmaster@{domain}", h=helo)
            # Set apart: pyspf would cut a quoted local part at its first @ and take the rest for the domain.
            self.s, self.l, self.o, self.d = f"{local}@{domain}", local, domain, domain
            self.perm_error = None
            self.mechanism = None
            self._answers = answers
            self._client = client
            self._octets = 0

        def dns(self, name: Any, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
            name = str(name).lower().removesuffix(".")
            if not all(0 < len(label) < 64 for label in name.split(".")) or len(name) > 253:
                return []
            answer = self._answers.get(name, qtype)
            if answer.status is Status.TEMPERROR:
                raise spf.TempError(f"{qtype} of {name}: {answer.reason or 'no answer'}")
            records: list[Any] = list(answer.records)
            if qtype == "TXT":
                records = [[text] for text in records if _RECORD.match(text)]
                texts = [strings[0] for strings in records]
                self._octets += sum(map(len, texts))
                if complaint := _complaint(texts, self._octets):
                    raise spf.PermError(complaint)
            if not answer.records and not ignore_void:
                self.void_lookups += 1
                if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                    raise spf.PermError(f"Void lookup limit of {spf.MAX_VOID_LOOKUPS} exceeded")
            return records

        def cidrmatch(self, ipaddrs: list[Any], n: int) -> bool:
            """The same as pyspf's, a tenth of its time: records of many networks are run through again and again."""
            try:
                return _is_among(self._client, ipaddrs, self.cidrmax - n)
            except ValueError as error:
                raise spf.PermError(str(error)) from None

        def validated_ptrs(self) -> list[str]:
            """RFC 7208 §5.5: an error while asking for PTR means no match, one for an address skips that name."""
            try:
                names = self.dns_ptr(self.i)[: spf.MAX_PTR]
            except spf.TempError:
                return []
            return [name for name in names if self._is_mine(name)]

        def _is_mine(self, name: str) -> bool:
            try:
                return bool(self.cidrmatch(self.dns_a(name, self.A), self.cidrmax))
            except spf.TempError:
                return False

        def get_explanation(self, spec: str) -> None:
            """What the domain would say to the refused is not repeated by us, so it is not asked for."""

    return Query
