"""Reading what an owner types: domains, accounts and addresses, refused with the reason and the remedy."""

from __future__ import annotations

import re
import unicodedata

import idna

from mailbox_appliance.mail.address import Address, AddressError, domain_to_ascii
from mailbox_appliance.mail.lookalike import turns_direction
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.records import AccountRecord, DomainRecord
from mailbox_appliance.users.snapshot import SEPARATOR, Snapshot, lookup_key

LONGEST_NAME = 80
# The local part becomes a folder name: nothing hidden, nothing that climbs, nothing that looks like an option.
_LOCAL_PART = re.compile(r"[a-z0-9_][a-z0-9_-]*(?:\.[a-z0-9_-]+)*")


def read_domain(text: str) -> str:
    """A domain name as A-labels. Raises UsersError."""
    try:
        domain = domain_to_ascii(text.strip())
    except AddressError as error:
        raise UsersError(f"{error}; write a domain such as example.org") from None
    if domain.rpartition(".")[2].isdigit():
        raise UsersError(f"{text!r} is an IP address, not a domain: write a domain such as example.org")
    return domain


# Names that mean something inside a house only: RFC 6761, 6762, 7686, 8375, 9476, and what routers and offices use.
_INSIDE = frozenset(
    "localhost local lan home corp internal intranet private invalid onion alt home.arpa fritz.box test example".split()
)


def new_domain(text: str, *, inside: bool) -> str:
    """A domain that is to be ours, as A-labels; ``inside``: it need not mean anything to others. Raises UsersError."""
    domain = read_domain(text)
    for label in domain.split("."):
        if label.startswith("xn--"):
            try:
                idna.decode(label)
            except idna.IDNAError:
                raise UsersError(f"{label} in {domain} is no name in any script: write it as people do") from None
    if "." not in domain and not inside:
        raise UsersError(
            f"{domain} is one word, and no other mail server can write to that: write the whole domain, such as "
            f"{domain}.org; for mail inside this house only: --inside, better with {domain}.home.arpa"
        )
    return domain


def is_inside(domain: str) -> bool:
    """Can nobody outside write to it, whatever the owner publishes?"""
    labels = domain.split(".")
    return len(labels) == 1 or any(".".join(labels[at:]) in _INSIDE for at in range(len(labels)))


def read_address(text: str) -> Address:
    """Any mail address, folded if it may be ours. Raises UsersError."""
    try:
        return Address.parse(text)
    except AddressError as error:
        raise UsersError(str(error)) from None


def our_domain(snapshot: Snapshot, domain: str) -> DomainRecord:
    """The record of one of our domains. Raises UsersError."""
    record = snapshot.domains.get(domain)
    if record is None:
        raise UsersError(f"{domain} is not one of our domains: run `mailappliance domain add {domain}` first")
    return record


def living(snapshot: Snapshot, text: str) -> AccountRecord:
    """The account of that address. Raises UsersError."""
    address = lookup_key(read_address(text))
    record = snapshot.accounts.get(address)
    if record is not None:
        return record
    if address in snapshot.resting:
        raise UsersError(f"{address} was removed: `mailappliance account undelete {address}` brings it back")
    if address in snapshot.aliases:
        raise UsersError(f"{address} is an alias, not an account: `mailappliance alias list` shows where it leads")
    raise UsersError(f"there is no account {address}: `mailappliance account list` shows what there is")


def new_account_address(text: str) -> Address:
    """The address of an account to be made. Raises UsersError."""
    address = read_address(text)
    local = address.local
    if SEPARATOR in local:
        raise UsersError(
            f"{address}: the {SEPARATOR} separates a subaddress ({SEPARATOR}shop), so an account's name cannot have "
            f"one; mail for {local.partition(SEPARATOR)[0]}{SEPARATOR}anything@{address.domain} reaches "
            f"{local.partition(SEPARATOR)[0]}@{address.domain} anyway"
        )
    if local != local.lower() and _LOCAL_PART.fullmatch(local.lower()):
        raise UsersError(f"an account's name is written in lower case: {local.lower()}@{address.domain}")
    if not _LOCAL_PART.fullmatch(local):
        raise UsersError(
            f"{address}: an account's name has only the letters a-z, digits, '.', '_' and '-', begins with a letter, "
            "digit or '_', and has no dot at its end or two in a row; an alias may have other letters"
        )
    return address


def new_alias_address(text: str) -> Address:
    """The address of an alias to be made, as it is kept. Raises UsersError."""
    address = lookup_key(read_address(text))
    if any(c.isspace() or c in '"\\@<>(),:;[]*' for c in address.local):
        raise UsersError(f"{address}: an alias has letters, digits and characters such as . _ - + before its one @")
    return address


def raw(address: Address) -> str:
    """``local@domain`` unquoted, as Address.parse reads it."""
    return f"{address.local}@{address.domain}"


def good_name(text: str) -> str:
    """A person's name with single blanks. Raises UsersError."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if len(name) > LONGEST_NAME:
        raise UsersError(f"a name has at most {LONGEST_NAME} characters")
    if not all(letter.isprintable() for letter in name) or turns_direction(name):
        raise UsersError("a name has no control characters")
    if "@" in name or "<" in name or ">" in name:
        raise UsersError(f'{name} looks like an address: write the name as people say it, such as "Ann Example"')
    return name
