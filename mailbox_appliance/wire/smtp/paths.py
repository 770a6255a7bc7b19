"""The paths of SMTP by the RFC's rule names: read out of a command, and shown in one.

RFC 5321 §4.1.2; RFC 6531 §3.3 (UTF-8 in paths).
"""

from __future__ import annotations

import ipaddress
import re

from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.wire.smtp.mistakes import mistake

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
# qtextSMTP and quoted-pairSMTP; UTF-8 by RFC 6531 §3.3.
_QUOTED_STRING = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"'
_DOMAIN = r"(?:\[[0-9A-Za-z:.\-]*\]|[A-Za-z0-9._\-\u0080-\U0010ffff]+)"
_SOURCE_ROUTE = rf"@{_DOMAIN}(?:,@{_DOMAIN})*:"
_PATH = re.compile(rf"<(?:{_SOURCE_ROUTE})?({_DOT_STRING}|{_QUOTED_STRING})@({_DOMAIN})>")
_BARE_POSTMASTER = re.compile("<postmaster>", re.IGNORECASE)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def unquote_local_part(local: str) -> str:
    r"""The meaning of a local part: ``"a\"b"`` is ``a"b``, ``"ann"`` is ``ann`` (RFC 5321 §4.1.2)."""
    return _QUOTED_PAIR.sub(r"\1", local[1:-1]) if local.startswith('"') else local


def _check_literal(domain: str) -> None:
    inside = domain[1:-1]
    try:
        if inside[:5].lower() == "ipv6:":
            ipaddress.IPv6Address(inside[5:])
        else:
            ipaddress.IPv4Address(inside)
    except ValueError:
        raise mistake(501, "5.1.3", "An address literal looks like [192.0.2.1] or [IPv6:2001:db8::1]") from None


def parse_path(text: str, what: str = "path") -> tuple[Address, str]:
    """Read one non-null Path at the start of ``text``; returns it and what follows. Raises GrammarError.

    A source route is accepted and dropped (RFC 5321 appendix C).
    """
    found = _PATH.match(text)
    if found is None:
        raise mistake(501, "5.5.4", f"The {what} must look like <name@example.org>")
    local, domain = found[1], found[2]
    if domain.startswith("["):
        _check_literal(domain)
    try:
        return Address.of(unquote_local_part(local), domain), text[found.end() :]
    except AddressError:
        raise mistake(501, "5.1.3", f"The {what} is too long or not a valid address") from None


def parse_reverse_path(text: str) -> tuple[Address | None, str]:
    """Reverse-path = Path / "<>"; None is the null path. Raises GrammarError."""
    if text.startswith("<>"):
        return None, text[2:]
    return parse_path(text, "reverse path")


def parse_forward_path(text: str) -> tuple[Address, str]:
    """Forward-path = Path / "<Postmaster>" (RFC 5321 §4.1.1.3); the bare one has domain ''. Raises GrammarError."""
    bare = _BARE_POSTMASTER.match(text)
    if bare is not None:
        return Address("postmaster", ""), text[bare.end() :]
    return parse_path(text, "forward path")


def show_path(address: Address | None) -> str:
    """The path as it is said in a command: ``<ann@example.org>``, ``<>``, ``<postmaster>``."""
    if address is None:
        return "<>"
    return f"<{address}>" if address.domain else f"<{address.quoted_local}>"
