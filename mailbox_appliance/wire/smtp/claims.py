"""What a trusted server in front of us says about the client behind it: XCLIENT (Postfix's XCLIENT_README).

XCLIENT ADDR=IPV6:2001:db8::1 PORT=4711 HELO=mail.example.net PROTO=ESMTP NAME=[UNAVAILABLE]
"""

from __future__ import annotations

import ipaddress

from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.smtp.grammar import parse_hello
from mailbox_appliance.wire.smtp.mistakes import GrammarError
from mailbox_appliance.wire.smtp.parameters import xtext_decode

_UNKNOWN = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_NAMES = frozenset({"NAME", "ADDR", "PORT", "PROTO", "HELO"})


@dataclass(frozen=True, slots=True)
class Claims:
    """What was said; None and "" where nothing was."""

    address: IPAddress | None = None
    port: int = 0
    helo: str = ""
    extended: bool | None = None


def _wrong(text: str) -> GrammarError:
    return GrammarError(Reply(501, "5.5.4", text))


def parse_xclient(text: str) -> Claims:
    """The argument of XCLIENT. Raises GrammarError."""
    said: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        name = name.upper()
        if name not in _NAMES or not equals or not value:
            raise _wrong("XCLIENT wants NAME, ADDR, PORT, PROTO or HELO with a value")
        value = xtext_decode(value)
        if value.upper() not in _UNKNOWN:
            said[name] = value
    if not text.split():
        raise _wrong("XCLIENT wants at least one attribute")
    proto = said.get("PROTO", "").upper()
    if proto not in ("", "SMTP", "ESMTP"):
        raise _wrong("PROTO is SMTP or ESMTP")
    port = said.get("PORT", "0")
    if not (port.isascii() and port.isdigit() and int(port[:6]) < 65_536):
        raise _wrong("PORT is a number below 65536")
    address = said.get("ADDR", "")
    return Claims(
        _address(address) if address else None,
        int(port),
        parse_hello(said["HELO"]) if "HELO" in said else "",
        None if not proto else proto == "ESMTP",
    )


def _address(text: str) -> IPAddress:
    try:
        if text[:5].upper() == "IPV6:":
            found = ipaddress.IPv6Address(text[5:])
            return found.ipv4_mapped or found
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise _wrong("ADDR is an address such as 192.0.2.1 or IPV6:2001:db8::1") from None
