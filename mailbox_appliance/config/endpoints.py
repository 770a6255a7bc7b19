"""The endpoints to listen on, as the file names them: plain descriptions of Twisted's, with a few options.

They raise Wrong as the other values do (``config.values``).
"""

from __future__ import annotations

import ipaddress
import re

from mailbox_appliance.config.model import Endpoint
from mailbox_appliance.config.values import Wrong, shown, text


def _split_description(words: str) -> list[str]:
    """The colon-separated pieces of a Twisted string description; a backslash protects what follows."""
    pieces = [""]
    escaped = False
    for character in words:
        if escaped:
            pieces[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ":":
            pieces.append("")
        else:
            pieces[-1] += character
    if escaped:
        raise Wrong("the description ends in a backslash", "remove it")
    return pieces


_ENDPOINT_REMEDY = 'write "tcp:25", "tcp:25:interface=127.0.0.1", "tcp6:25" or "unix:/run/mail.socket"'


def endpoint(value: object) -> Endpoint:
    """A plain Twisted endpoint description: tcp:PORT, tcp6:PORT or unix:PATH with their options."""
    words = text(value)
    kind, *rest = _split_description(words)
    if kind not in ("tcp", "tcp6", "unix"):
        what = "must be plain; the service adds TLS itself" if kind in ("ssl", "tls") else "is no kind of endpoint here"
        raise Wrong(f"{shown(kind)} {what}", _ENDPOINT_REMEDY)
    plain = [piece for piece in rest if "=" not in piece]
    options = dict(piece.split("=", 1) for piece in rest if "=" in piece)
    if kind == "unix" and not plain and "address" in options:
        plain = [options.pop("address")]
    if kind != "unix" and not plain and "port" in options:
        plain = [options.pop("port")]
    allowed = {"backlog", "mode", "lockfile"} if kind == "unix" else {"backlog", "interface"}
    strange = sorted(set(options) - allowed)
    if strange:
        remedy = f"{kind} endpoints know {', '.join(sorted(allowed))}"
        raise Wrong(f"{shown(value)} has an unknown option {strange[0]!r}", remedy)
    if len(plain) != 1 or not plain[0]:
        remedy = _ENDPOINT_REMEDY
        if kind == "tcp6" or "interface" in options:
            remedy += '; colons of an IPv6 address are written "\\\\:"'
        raise Wrong(f"{shown(value)} is not an endpoint description", remedy)
    for name in ("backlog", "mode"):
        if name in options and not re.fullmatch(r"\d{1,5}" if name == "backlog" else "[0-7]{3,4}", options[name]):
            raise Wrong(f"{shown(value)} has a strange {name}", f"write {name} as a number")
    if kind == "unix":
        if not plain[0].startswith("/"):
            raise Wrong(f"{shown(plain[0])} is not an absolute path", 'write "unix:/run/mail.socket"')
        return Endpoint(words, kind, path=plain[0], mode=int(options.get("mode", "666"), 8))
    if not re.fullmatch(r"\d{1,5}", plain[0], re.ASCII) or int(plain[0]) > 65535:
        raise Wrong(f"{shown(plain[0])} is not a port", _ENDPOINT_REMEDY)
    return Endpoint(words, kind, int(plain[0]), _interface(kind, options.get("interface", "")))


def _interface(kind: str, words: str) -> str:
    """The address to bind, '' for all; an address of the other family is refused."""
    if not words or (words == "localhost" and kind == "tcp"):
        return words
    try:
        address = ipaddress.ip_address(words.partition("%")[0])
    except ValueError:
        raise Wrong(f"interface {shown(words)} is not an IP address", "write the address to listen on") from None
    if (address.version == 6) != (kind == "tcp6"):
        wanted = "tcp6" if address.version == 6 else "tcp"
        raise Wrong(
            f"{words} does not fit {kind}", f'write "{wanted}:…:interface={words.replace(":", chr(92) * 2 + ":")}"'
        )
    if address.is_unspecified:
        return ""
    return words
