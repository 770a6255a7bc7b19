"""The PROXY protocol, versions 1 and 2: who the client behind a proxy is (haproxy's proxy-protocol.txt).

PROXY TCP4 198.51.100.7 192.0.2.1 56324 25\\r\\n          version 1
0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A 21 11 …             version 2
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

from mailbox_appliance.mail.client import IPAddress, peer_address
from mailbox_appliance.mail.values import dataclass

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_LONGEST_LINE = 107  # version 1, with its CR LF
_MOST_OCTETS = 4096  # version 2: addresses and whatever else was added to them


class NoProxy(ValueError):
    """What came is no header of that protocol; ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """``address`` None: the proxy speaks for itself (LOCAL, UNKNOWN). ``length`` octets belong to the header."""

    length: int
    address: IPAddress | None = None
    port: int = 0


def read_header(octets: bytes) -> Proxied | None:
    """The header at the start of ``octets``; None when more is needed. Raises NoProxy."""
    if octets[:12] == _SIGNATURE[: len(octets)]:
        return _version_2(octets)
    if octets[:6] == b"PROXY "[: len(octets)]:
        return _version_1(octets)
    raise NoProxy("no PROXY header")


def _version_1(octets: bytes) -> Proxied | None:
    end = octets.find(b"\r\n", 0, _LONGEST_LINE)
    if end < 0:
        if len(octets) >= _LONGEST_LINE:
            raise NoProxy("a PROXY line without end")
        return None
    words = octets[:end].split(b" ")
    if len(words) >= 2 and words[1] == b"UNKNOWN":
        return Proxied(end + 2)
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise NoProxy("a malformed PROXY line")
    try:
        address, port = peer_address(words[2].decode("ascii")), int(words[4])
    except ValueError:
        raise NoProxy("a PROXY line without an address") from None
    if not 0 <= port < 65_536:
        raise NoProxy("a PROXY line without a port")
    return Proxied(end + 2, address, port)


def _version_2(octets: bytes) -> Proxied | None:
    if len(octets) < 16:
        return None
    version_command, family, length = struct.unpack_from("!BBH", octets, 12)
    if version_command not in (0x20, 0x21) or length > _MOST_OCTETS:
        raise NoProxy("a PROXY header of an unknown kind")
    whole = 16 + length
    if len(octets) < whole:
        return None
    if version_command == 0x20:
        return Proxied(whole)
    if family == 0x11 and length >= 12:
        source, port = octets[16:20], struct.unpack_from("!H", octets, 24)[0]
    elif family == 0x21 and length >= 36:
        source, port = octets[16:32], struct.unpack_from("!H", octets, 48)[0]
    else:
        return Proxied(whole)  # an address family that says nothing to us: as if the proxy spoke for itself
    return Proxied(whole, _unmapped(source), port)


def _unmapped(source: bytes) -> IPAddress:
    return peer_address(str(ip_address(source)))


def write_header(client: IPAddress, port: int, here: IPAddress, here_port: int) -> bytes:
    """Version 2, for a TCP connection from ``client`` to ``here``."""
    if client.version == here.version == 4:
        family, addresses = 0x11, client.packed + here.packed
    else:
        family, addresses = 0x21, _as_ipv6(client) + _as_ipv6(here)
    rest = addresses + struct.pack("!HH", port, here_port)
    return _SIGNATURE + struct.pack("!BBH", 0x21, family, len(rest)) + rest


def _as_ipv6(address: IPAddress) -> bytes:
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
