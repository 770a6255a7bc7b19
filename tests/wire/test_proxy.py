"""The PROXY protocol's headers: both versions, in pieces, and whatever is none."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.proxy import NoProxy, Proxied, read_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version_2(command: int, family: int, addresses: bytes, more: bytes = b"") -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(addresses) + len(more)) + addresses + more


IPV4 = bytes([203, 0, 113, 9, 192, 0, 2, 1]) + struct.pack("!HH", 4711, 25)
IPV6 = ip_address("2001:db8::9").packed + ip_address("2001:db8::1").packed + struct.pack("!HH", 4711, 25)
GOOD = [
    (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\r\n", "203.0.113.9"),
    (b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 25\r\n", "2001:db8::9"),
    (b"PROXY TCP6 ::ffff:203.0.113.9 ::ffff:192.0.2.1 4711 25\r\n", "203.0.113.9"),
    (b"PROXY UNKNOWN ffff:f 65535\r\n", ""),
    (version_2(0x21, 0x11, IPV4), "203.0.113.9"),
    (version_2(0x21, 0x11, IPV4, b"\x04\x00\x01x"), "203.0.113.9"),
    (version_2(0x21, 0x21, IPV6), "2001:db8::9"),
    (version_2(0x20, 0x00, b""), ""),
    (version_2(0x21, 0x31, b"x" * 216), ""),
]
BAD = [
    b"EHLO a.test\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 4711\r\n",
    b"PROXY TCP4 nowhere 192.0.2.1 4711 25\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 99999 25\r\n",
    b"PROXY UDP4 203.0.113.9 192.0.2.1 4711 25\r\n",
    b"PROXY TCP4 " + b"1" * 200,
    SIGNATURE + struct.pack("!BBH", 0x11, 0x11, 12) + IPV4,
    SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 5000),
]


class HeaderTests(SynchronousTestCase):
    """Who the client is."""

    def test_good(self) -> None:
        """Address and port are told; every beginning asks for more; octets behind are left alone."""
        for header, address in GOOD:
            found = read_header(header + b"EHLO")
            wanted = Proxied(len(header), ip_address(address), 4711) if address else Proxied(len(header))
            self.assertEqual(found, wanted, header)
            for end in range(len(header)):
                self.assertIsNone(read_header(header[:end]), header[:end])

    def test_bad(self) -> None:
        """Anything else is refused."""
        for octets in BAD:
            self.assertRaises(NoProxy, read_header, octets)

    @settings(max_examples=200, deadline=None)
    @given(
        st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]), st.binary(max_size=300)
    )
    def test_fuzz(self, start: bytes, rest: bytes) -> None:
        """Nothing raises but NoProxy, and no header is longer than what came."""
        try:
            found = read_header(start + rest)
        except NoProxy:
            return
        self.assertTrue(found is None or found.length <= len(start + rest))
