"""Mail addresses as values: a local part and a domain, compared the way RFC 5321 compares them.

A domain is kept as lower-case A-labels (RFC 5890), so that two spellings of one name are one value; an address
literal (RFC 5321 §4.1.3) is kept with its brackets. The local part keeps its case, because only the host that
owns it may decide that case is nothing (RFC 5321 §2.4); :meth:`Address.folded` is what our own domains use.
The wire grammar of paths lives in ``wire/smtp/grammar``; here is only what an address *is*.
"""

from __future__ import annotations

import functools
import re

import idna

from mailbox_appliance.mail.values import dataclass

# RFC 5321 §4.5.3.1: octets of a local part, of a domain.
LOCAL_PART_OCTETS = 64
DOMAIN_OCTETS = 255

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class AddressError(ValueError):
    """The text is not a mail address; the message says why in words a person can use."""


@functools.lru_cache(maxsize=4096)
def domain_to_ascii(text: str) -> str:
    """Return ``text`` as lower-case A-labels without a final dot.

    >>> domain_to_ascii("Bücher.Example")
    'xn--bcher-kva.example'

    Raises AddressError when it is no domain name (RFC 5321 §2.3.5, RFC 5891).
    """
    name = text.removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise AddressError(f"{text!r} is not a domain name: {error}") from None
    name = name.lower()
    if not name or len(name) > DOMAIN_OCTETS:
        raise AddressError(f"{text!r} is not a domain name: it must have 1 to {DOMAIN_OCTETS} octets")
    for label in name.split("."):
        if not _LABEL.fullmatch(label):
            raise AddressError(f"{text!r} is not a domain name: the label {label!r} is not allowed")
    return name


def domain_to_unicode(domain: str) -> str:
    """Return the domain as people write it (U-labels); an odd one is returned as it is."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox address. ``local`` is unquoted text, ``domain`` A-labels or an address literal in brackets."""

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``local@domain`` as an owner types it (a bare address, no display name, no comments).

        Raises AddressError.
        """
        local, at, domain = text.strip().rpartition("@")
        if not at:
            raise AddressError(f"{text!r} has no @: write the whole address, such as ann@example.org")
        return cls.of(local, domain)

    @classmethod
    def of(cls, local: str, domain: str) -> Address:
        """Build an address out of an *unquoted* local part and a domain in either form. Raises AddressError."""
        if not local or len(local.encode("utf-8", "surrogatepass")) > LOCAL_PART_OCTETS:
            raise AddressError(f"the part before the @ must have 1 to {LOCAL_PART_OCTETS} octets")
        if _CONTROL.search(local):
            raise AddressError("the part before the @ holds control characters")
        if domain.startswith("["):
            if not domain.endswith("]") or not re.fullmatch(r"\[[0-9A-Za-z:.\-]{2,80}\]", domain):
                raise AddressError(f"{domain!r} is not an address literal")
            return cls(local, domain)
        return cls(local, domain_to_ascii(domain))

    @property
    def is_ascii(self) -> bool:
        """True when the address can be said without SMTPUTF8 (RFC 6531)."""
        return self.local.isascii()

    @property
    def quoted_local(self) -> str:
        """The local part as it stands on the wire: a dot-string, or a quoted string (RFC 5321 §4.1.2)."""
        if (self.local.isalnum() and self.local.isascii()) or _DOT_ATOM.fullmatch(self.local):
            return self.local
        return '"' + self.local.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def folded(self) -> Address:
        """The address with its local part in lower case: how addresses of our own domains are looked up."""
        local = self.local.lower()
        return self if local == self.local else Address(local, self.domain)

    def without_detail(self, separator: str = "+") -> tuple[Address, str]:
        """Split off a subaddress (RFC 5233): ``ann+shop`` gives ``ann`` and ``shop``; no detail gives ''."""
        base, found, detail = self.local.partition(separator)
        if not found or not base:
            return self, ""
        return Address(base, self.domain), detail

    def __str__(self) -> str:
        return f"{self.quoted_local}@{self.domain}"


def show_reverse_path(path: Address | None) -> str:
    """A reverse path for people and journals: the null path is ``<>`` (RFC 5321 §4.5.5)."""
    return "<>" if path is None else str(path)
