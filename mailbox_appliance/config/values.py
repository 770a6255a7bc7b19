"""How one value of the file is read: each kind is a function from what TOML gave to what Config holds.

Every one of them raises Wrong with two sentences: what is wrong with the value, and what to write instead.
"""

from __future__ import annotations

import ipaddress
import math
import re
import shlex
from collections.abc import Callable
from typing import Any, TypeVar

from mailbox_appliance.config.model import HostPort, Network
from mailbox_appliance.mail.address import Address, AddressError, domain_to_ascii
from mailbox_appliance.ports.checks import ACTIONS, CHECK_NAMES, FURTHER_NAMES

T = TypeVar("T")

LONGEST_SPAN = 3_660 * 86_400  # seconds; ten years
MOST_OCTETS = 1 << 60
MOST_COUNTED = 10**9


class Wrong(ValueError):
    """``what`` is wrong with a value, and the ``remedy``."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


def shown(value: object) -> str:
    """The value as a complaint quotes it, cut at 80 characters."""
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 80 else text[:77] + "…"


def text(value: object) -> str:
    """One line of text without control characters."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not text", 'put it in quotes: "…"')
    if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in value):
        raise Wrong("the text holds control characters", "write it on one line without them")
    return value


def path(value: object) -> str:
    """A path; the reader makes it absolute."""
    words = text(value)
    if not words:
        raise Wrong("the path is empty", "name a file or folder, or leave the key out")
    return words


def flag(value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise Wrong(f"{shown(value)} is neither true nor false", "write true or false, without quotes")
    return value


def choice(*choices: str) -> Callable[[object], str]:
    """One word out of a few."""

    def read(value: object) -> str:
        if value not in choices or not isinstance(value, str):
            raise Wrong(f"{shown(value)} is not a choice here", "write one of " + ", ".join(f'"{c}"' for c in choices))
        return value

    return read


def host_name(value: object) -> str:
    """A domain name as lower-case A-labels."""
    words = text(value)
    try:
        ipaddress.ip_address(words.strip("[]"))
    except ValueError:
        pass
    else:
        raise Wrong(f"{shown(value)} is an address, not a name", 'write a name, such as "mail.example.org"')
    try:
        return domain_to_ascii(words)
    except AddressError:
        raise Wrong(f"{shown(value)} is not a host name", 'write a name, such as "mail.example.org"') from None


def full_host_name(value: object) -> str:
    """The name this machine says in EHLO: with a dot in it (RFC 5321 §2.3.5), except for localhost."""
    name = host_name(value)
    if "." not in name and name != "localhost":
        raise Wrong(f"{shown(value)} is not a full name", f'write it with its domain, such as "{name}.example.org"')
    return name


def mail_address(value: object) -> str:
    """A mail address; '' is allowed."""
    words = text(value)
    try:
        return words and str(Address.parse(words))
    except AddressError as error:
        raise Wrong(str(error), 'write an address, such as "ann@example.org"') from None


def own_name(value: object) -> str:
    """The owner's name for a device or a scanner: it stands in the journal, a device's in From, too."""
    words = text(value).lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", words):
        raise Wrong(f"{shown(value)} is no name here", "use up to 40 letters, digits, - and _")
    return words


def address_or_domain(value: object) -> str:
    """A mail address, or all of a domain as "@example.org"; in lower case."""
    words = text(value)
    if words.startswith("@"):
        return "@" + host_name(words[1:])
    if not words:
        raise Wrong("'' is no address", 'write an address, such as "ann@example.org", or "@example.org"')
    return mail_address(words).lower()


def dns_list(value: object) -> str:
    """A DNS list, "zone" or "zone=weight"; the weight is below 0 for a list of good addresses."""
    zone, equals, figure = text(value).partition("=")
    name = full_host_name(zone.strip().rstrip("."))
    if not equals:
        return name
    remedy = f'write a figure such as "{name}=4" (or "{name}=-2" for a list of good addresses)'
    try:
        weight = float(figure)
    except ValueError:
        raise Wrong(f"{shown(figure)} is not a weight", remedy) from None
    if not (math.isfinite(weight) and 0 < abs(weight) <= 100):
        raise Wrong(f"{shown(figure)} is not a weight between -100 and 100 that counts", remedy)
    return f"{name}={weight:g}"


def weights(value: object) -> dict[str, float]:
    """Figures by "check result"."""
    table = _by_result(value, '"spf fail" = 1.5')
    for key, figure in table.items():
        good = isinstance(figure, int | float) and not isinstance(figure, bool)
        if not good or not -100 <= figure <= 100:
            raise Wrong(f"the weight of {key}, {shown(figure)}, is no figure from -100 to 100", f'"{key}" = 1.5')
    return {key: float(figure) for key, figure in table.items()}


def actions(value: object) -> dict[str, str]:
    """What is done about a result, by "check result"."""
    table = _by_result(value, '"attachment program" = "reject"')
    for key, action in table.items():
        if action not in ACTIONS:
            raise Wrong(f"{shown(action)} for {key} is nothing that can be done", f"write one of {', '.join(ACTIONS)}")
    return {key: str(action) for key, action in table.items()}


def _by_result(value: object, example: str) -> dict[str, Any]:
    """A table whose keys are checks with one of their results."""
    if not isinstance(value, dict):
        raise Wrong(f"{shown(value)} is not a table", f"write {{ {example} }}")
    for key in value:
        check, _, result = str(key).partition(" ")
        if check not in CHECK_NAMES + FURTHER_NAMES or not result.strip():
            known = ", ".join(CHECK_NAMES + FURTHER_NAMES)
            raise Wrong(f"{shown(key)} is not a check and its result", f'write them as "spf fail"; checks are {known}')
    return {str(key): entry for key, entry in value.items()}


def several(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """A list of values of one kind, at most 1000."""

    def read_list(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise Wrong(f"{shown(value)} is not a list", "put it in square brackets: " + _bracketed(value))
        if len(value) > 1000:
            raise Wrong(f"the list has {len(value)} entries", "write at most 1000")
        return tuple(read(one) for one in value)

    return read_list


def _bracketed(value: object) -> str:
    plain = isinstance(value, str) and value.isprintable() and '"' not in value and len(value) <= 80
    return f'["{value}"]' if plain else f"[{shown(value)}]"


# Binary multiples, as df -h, systemd and Dovecot count.
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))?\s*([KMGT]?)(?:I?B)?", re.IGNORECASE | re.ASCII)


def size(value: object) -> int:
    """Octets: a whole number, or text such as "50MB" (1 MB = 1024 × 1024 octets)."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise Wrong(f"{shown(value)} is less than nothing", "write 0 for no limit")
        return _bounded_size(value, value)
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or (match[2] and not match[3]):
        raise Wrong(f"{shown(value)} is not a size", 'write a number with KB, MB or GB, such as "50MB"; 0 for no limit')
    unit = _UNITS[match[3].upper()]
    octets = int(match[1]) * unit + (int(match[2]) * unit // 10 ** len(match[2]) if match[2] else 0)
    return _bounded_size(value, octets)


def _bounded_size(value: object, octets: int) -> int:
    if octets > MOST_OCTETS:
        raise Wrong(f"{shown(value)} is larger than any disk", "write 0 for no limit")
    return octets


_SPANS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(s|sec|m|min|h|d|)", re.IGNORECASE | re.ASCII)


def seconds(value: object) -> float:
    """Seconds: a number, or text such as "90s", "5m", "2h", "1d"."""
    match = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:  # NaN is not
        span = min(value, 2 * LONGEST_SPAN)
    elif match is not None:
        span = float(match[1]) * _SPANS[match[2].lower()]
    else:
        raise Wrong(f"{shown(value)} is not a time span", 'write seconds as a number, such as 300, or "5m", "2h", "1d"')
    if span > LONGEST_SPAN:
        raise Wrong(f"{shown(value)} is longer than ten years", 'write seconds as a number, or "5m", "2h", "1d"')
    return float(span)


def positive_seconds(value: object) -> float:
    """Seconds, more than none."""
    span = seconds(value)
    if span <= 0:
        raise Wrong("no time at all is not enough", "write at least 1")
    return span


def count(value: object) -> int:
    """A whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Wrong(f"{shown(value)} is not a whole number", "write digits without quotes; 0 for no limit")
    if value > MOST_COUNTED:
        raise Wrong(f"{shown(value)} is more than anybody counts", "write 0 for no limit")
    return value


def port_number(value: object) -> int:
    """A TCP port, 1–65535."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise Wrong(f"{shown(value)} is not a port", "write a number from 1 to 65535, without quotes")
    return value


def network(value: object) -> Network:
    """A network in CIDR notation, or one address."""
    words = text(value)
    try:
        return ipaddress.ip_network(words)
    except ValueError as error:
        try:
            loose = ipaddress.ip_network(words, strict=False)
        except ValueError:
            remedy = 'write a network such as "192.168.1.0/24" or an address such as "192.168.1.7"'
            raise Wrong(f"{shown(value)} is not a network", remedy) from None
        raise Wrong(f"{shown(value)} names a host and a network at once ({error})", f'write "{loose}"') from None


def host_and_port(value: object) -> HostPort:
    """host:port, or [address]:port for IPv6."""
    words = text(value)
    remedy = 'write host:port, such as "mail.isp.example:587" (IPv6: "[2001:db8::1]:587")'
    host, colon, digits = words.rpartition(":")
    if not colon or not re.fullmatch(r"\d{1,5}", digits, re.ASCII) or not 0 < int(digits) < 65536:
        raise Wrong(f"{shown(value)} names no port", remedy)
    if host.startswith("[") and host.endswith("]"):
        try:
            return HostPort(str(ipaddress.IPv6Address(host[1:-1])), int(digits))
        except ValueError:
            raise Wrong(f"{shown(value)} holds no IPv6 address in its brackets", remedy) from None
    try:
        return HostPort(str(ipaddress.IPv4Address(host)), int(digits))
    except ValueError:
        pass
    try:
        return HostPort(domain_to_ascii(host), int(digits))
    except AddressError:
        raise Wrong(f"{shown(value)} names no host", remedy) from None


def host_and_port_or_path(value: object) -> HostPort | str:
    """host:port, or the path of a Unix socket."""
    words = text(value)
    return words if words.startswith("/") else host_and_port(value)


def figure(value: object) -> float:
    """Points, from 0 to 100."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise Wrong(f"{shown(value)} is no figure from 0 to 100", "write a number, such as 5")
    return float(value)


def name_server(value: object) -> HostPort:
    """address or address:port (53); a name would need the server it names."""
    words = text(value)
    remedy = 'write an address, such as "192.168.1.1" or "127.0.0.1:5353"'
    try:
        return HostPort(str(ipaddress.ip_address(words.strip("[]"))), 53)
    except ValueError:
        pass
    try:
        server = host_and_port(value)
        ipaddress.ip_address(server.host)
    except ValueError:
        raise Wrong(f"{shown(value)} is not the address of a name server", remedy) from None
    return server


def secure_url(value: object) -> str:
    """An https URL; plain http only to this machine."""
    words = text(value)
    match = re.fullmatch(r"(https?)://(\[[0-9a-fA-F:]+\]|[^/:\s@]+)(:\d{1,5})?(/\S*)?", words)
    loopback = match is not None and match[2] in ("localhost", "127.0.0.1", "[::1]")
    if match is None or (match[1] == "http" and not loopback):
        raise Wrong(f"{shown(value)} is not an https address", 'write it whole: "https://…"')
    return words


def command(value: object) -> str:
    """A program and its arguments, run without a shell: text, or a list of words."""
    if isinstance(value, list):
        return shlex.join(text(word) for word in value)
    words = text(value)
    for word in command_words(words):
        if word in _SHELL_SIGNS:
            remedy = "write \"sh -c '…'\" around it, or name a script"
            raise Wrong(f"{shown(value)} is run without a shell, to which {word} would belong", remedy)
    return words


# What only a shell understands, standing alone between the words.
_SHELL_SIGNS = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "<", "2>", "2>&1"})


def command_words(words: str) -> tuple[str, ...]:
    """The words of a command as a shell would split them, quotes and all. Raises Wrong."""
    try:
        split = tuple(shlex.split(words))
    except ValueError as error:
        raise Wrong(f"{shown(words)} cannot be split into words: {error}", "close the quotes") from None
    if not split:
        raise Wrong("the command is empty", "name a program, or leave the key out")
    return split
