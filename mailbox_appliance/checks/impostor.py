"""Who pretends to be somebody that we know: names and domains made to be taken for ours.

=========== =========================================================================================
domain      the domain in From looks like one of ours and is another (xn--…, rn for m, 0 for o)
our address the name beside the address in From is an address of ours
person      that name is a person of the house, and the address is not ours
address     that name is an address, and another than the one that stands behind it
hidden      From or Subject turns the direction of what is shown
mixed       a word of two alphabets that look alike
our name    the name beside the address names a domain of ours
role        that name is an office of some house (IT support, HR), and the address is a stranger's
brand       that name is a firm's whose name forgers borrow; "brand domain": the domain, too, is made to look like it;
            "brand in domain": the domain bears the name, and that is all
reply       answers would go to another domain than the one in From
=========== =========================================================================================

Mail that is proven to be ours is never here; a list's mail is not asked where its answers go.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator

from mailbox_appliance.checks.brands import brand_in_host, brand_named, is_of, is_spelt
from mailbox_appliance.mail.address import Address, AddressError, domain_to_ascii, domain_to_unicode
from mailbox_appliance.mail.addresses import addresses_of
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.header import unfold
from mailbox_appliance.mail.lookalike import mixes_scripts, skeleton, turns_direction
from mailbox_appliance.mail.verdict import Evidence
from mailbox_appliance.mailauth.canonical import HeaderBlock

LONGEST = 2048  # octets of a field
_ADDRESS = re.compile(r"[\w.+'-]{1,64}@([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})")
_SEPARATOR = re.compile(r"[\s._,;\"'()<>-]+")
ROLES = (
    "it support", "it department", "it desk", "it helpdesk", "it help desk", "helpdesk", "help desk", "it admin",
    "it service", "it abteilung", "mail admin", "mail administrator", "email admin", "e mail admin", "webmail",
    "email administrator", "webmail admin", "webmail support", "mail support", "mail server", "email support",
    "system administrator", "systemadministrator", "admin", "administrator", "hr", "hr department", "human resources",
    "personalabteilung", "payroll", "payroll department", "voicemail", "voice mail", "fax", "efax", "scanner", "copier",
    "mailbox", "postfach", "account team", "security team", "security alert", "document", "shared document", "ceo",
)  # fmt: skip
_SHORT = 5  # characters: shorter names look alike by chance

Registered = Callable[[str], str]  # the name a domain is registered under


def is_named_like_a_person(account: Address) -> bool:
    """ann.example@, not info@."""
    return re.search(r"[a-z]{2,}[._-][a-z]{2,}", account.local) is not None


def persons_of(accounts: Iterable[Address], names: Iterable[str]) -> dict[str, str]:
    """Skeletons of whom a forger would imitate, with their names: the owner's list and
    people's own names, and accounts that are named like people."""
    known = {}
    for name in names:
        known[_folded(name)] = name
    for account in accounts:
        if is_named_like_a_person(account):
            known[_folded(account.local)] = str(account)
    return {key: name for key, name in known.items() if len(key) >= _SHORT}


def check_impostor(
    block: HeaderBlock,
    author: Address,
    ours: frozenset[str],
    persons: dict[str, str],
    registered: Registered,
) -> list[Evidence]:
    """Everything that is found, each kind once. ``author`` is not of ``ours``, or not proven to be."""
    found = dict(_found(block, author, ours, persons, registered))
    return [Evidence("impostor", result, reason=reason[:250]) for result, reason in found.items()]


def _found(
    block: HeaderBlock, author: Address, ours: frozenset[str], persons: dict[str, str], registered: Registered
) -> Iterator[tuple[str, str]]:
    name = _name_of(block, author)
    is_ours = any(author.domain == one or author.domain.endswith("." + one) for one in ours)
    alike = "" if is_ours else _looks_like(author.domain, ours)
    if alike:
        yield "domain", f"{author.domain} looks like {alike}"
    subject = _text(block, b"subject")
    for text in (name, subject):
        if turns_direction(text):
            yield "hidden", "characters turn the direction of what is shown"
    if not is_ours:
        yield from _false_brand(name, author, registered(author.domain))
    if mixes_scripts(name) or mixes_scripts(domain_to_unicode(author.domain)):
        yield "mixed", "a word of two alphabets that look alike"
    if name and not is_ours:
        yield from _false_name(name, author, ours, persons, registered)
    reply = reply_domain(block)
    if reply and not block.count(b"list-id") and registered(reply) != registered(author.domain):
        yield "reply", f"answers would go to {reply}, not to {author.domain}"


def _false_name(
    name: str, author: Address, ours: frozenset[str], persons: dict[str, str], registered: Registered
) -> Iterator[tuple[str, str]]:
    shown = _ADDRESS.search(name)
    if shown is not None:
        domain = shown[1].lower()
        if any(domain == one or domain.endswith("." + one) or _looks_like(domain, {one}) for one in ours):
            yield "our address", f"the name in From is {shown[0][:80]}, the address is {author}"
        elif registered(domain) != registered(author.domain):
            yield "address", f"the name in From is {shown[0][:80]}, the address is {author}"
        return
    low = name.lower()
    one = next((one for one in ours if len(one) > 4 and one in low), "")
    if one:
        yield "our name", f"the name in From is {name[:80]!r}, the address is {author}"
    elif _folded(name) in _folded_roles():
        yield "role", f"the name in From is an office of some house: {name[:80]!r}"
    person = persons.get(_folded(name)) or persons.get(_folded(_turned(name)))
    if person:
        yield "person", f"the name in From is {person}'s, the address is {author}"


def _false_brand(name: str, author: Address, home: str) -> Iterator[tuple[str, str]]:
    """A firm's name, beside an address or within a domain that is not the firm's."""
    domain = domain_to_unicode(author.domain)
    named, within = brand_named(name), brand_in_host(domain, home)
    if named and is_of(named, author.domain, home):
        named = ""
    if within and (named == within or not is_spelt(within, domain)):
        yield "brand domain", f"{author.domain} is made to look like {within}"
    elif named:
        yield "brand", f"the name in From is {named}, the address is {author}"
    elif within:
        yield "brand in domain", f"{author.domain} bears the name of {within} and is not theirs"


def subject_of(block: HeaderBlock) -> str:
    """Subject as it is shown."""
    return _text(block, b"subject")


def _looks_like(domain: str, ours: Iterable[str]) -> str:
    """Which of ours a domain would be taken for; "" for none."""
    plain = domain_to_unicode(domain)
    for one in ours:
        if domain == one or domain.endswith("." + one) or len(one.partition(".")[0]) < 3:
            continue
        other = domain_to_unicode(one)
        tail = ".".join(plain.split(".")[-(other.count(".") + 1) :])
        if skeleton(tail) == skeleton(other):
            return one
        if plain.startswith(other + ".") or f".{other}." in plain:  # example.org.evil.test
            return one
    return ""


def _name_of(block: HeaderBlock, author: Address) -> str:
    fields = block.all(b"from")
    if not fields:
        return ""
    for mailbox in addresses_of(unfold(fields[0].value[:LONGEST]).strip()):
        if mailbox.is_whole:
            name = decode_words(mailbox.name or b"").strip()
            return "" if name.lower() == str(author).lower() else name
    return ""


def _text(block: HeaderBlock, name: bytes) -> str:
    fields = block.all(name)
    return decode_words(unfold(fields[0].value[:LONGEST])) if fields else ""


def reply_domain(block: HeaderBlock) -> str:
    """The domain of the first address that answers go to; "" for none."""
    for field in block.all(b"reply-to")[:1]:
        for mailbox in addresses_of(unfold(field.value[:LONGEST]).strip()):
            if mailbox.is_whole and mailbox.domain is not None:
                try:
                    return domain_to_ascii(mailbox.domain.decode("utf-8", "replace"))
                except AddressError:
                    return ""
    return ""


def _folded(name: str) -> str:
    return _SEPARATOR.sub(" ", skeleton(name)).strip()


@functools.cache
def _folded_roles() -> frozenset[str]:
    return frozenset(_folded(role) for role in ROLES)


def _turned(name: str) -> str:
    """Miller, Ann is Ann Miller."""
    last, comma, first = name.partition(",")
    return f"{first} {last}" if comma else name
