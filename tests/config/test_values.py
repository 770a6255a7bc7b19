"""The small parsers, held against nonsense and against Twisted's own reading of descriptions."""

from __future__ import annotations

import ipaddress
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.settings import dns_lists
from mailbox_appliance.config import endpoints, values
from mailbox_appliance.config.keys import KEYS
from mailbox_appliance.config.read import parse

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=60),
    st.lists(st.one_of(st.text(max_size=20), st.integers()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)
SIZES = (
    ("0", 0),
    ("17", 17),
    ("50MB", 50 << 20),
    ("50 mb", 50 << 20),
    ("1.5GiB", 3 << 29),
    ("2k", 2048),
    ("1TB", 1 << 40),
)


class ValuesTests(SynchronousTestCase):
    """Right values are read right; everything else is Wrong, and nothing else is raised."""

    def test_sizes(self) -> None:
        for text, octets in SIZES:
            self.assertEqual(values.size(text), octets, text)
        self.assertEqual(values.size(5), 5)
        for wrong in (10**400, -(10**400), 1 << 61, "999999999999999TB"):
            self.assertRaises(values.Wrong, values.size, wrong)
        for wrong in ("", "MB", "1.5", "-1", "1e3", "5 XB", "٣MB", "5MB;", True, 1.5, None):
            self.assertRaises(values.Wrong, values.size, wrong)

    def test_seconds(self) -> None:
        for text, seconds in ((300, 300.0), (0.5, 0.5), ("5m", 300.0), ("2 h", 7200.0), ("1d", 86400.0), ("90", 90.0)):
            self.assertEqual(values.seconds(text), seconds, text)
        for wrong in (10**400, 1e300, "99999d", math.inf):
            self.assertRaises(values.Wrong, values.seconds, wrong)
        self.assertRaises(values.Wrong, values.count, 10**23)
        self.assertRaises(values.Wrong, values.figure, 10**400)
        self.assertRaises(values.Wrong, values.weights, {"spf fail": 10**400})
        for wrong in ("", "m", "-5", "5 weeks", math.inf, math.nan, -1, True, None):
            self.assertRaises(values.Wrong, values.seconds, wrong)

    def test_dns_lists(self) -> None:
        """A zone, or a zone and its points; what config takes, the checks understand."""
        for text, read in (
            ("BL.example.net.", "bl.example.net"),
            ("bl.example.net=4", "bl.example.net=4"),
            ("wl.example.net = -2.50", "wl.example.net=-2.5"),
        ):
            self.assertEqual(values.dns_list(text), read, text)
            (one,) = dns_lists((read,))
            self.assertEqual(one.zone, read.partition("=")[0])
        for wrong in (
            "",
            "bl",
            "=4",
            "bl.test=",
            "bl.test=x",
            "bl.test=0",
            "bl.test=nan",
            "bl.test=1e9",
            "192.0.2.1",
            4,
        ):
            self.assertRaises(values.Wrong, values.dns_list, wrong)

    @settings(max_examples=300, deadline=None)
    @given(anything)
    def test_nonsense(self, value: object) -> None:
        """Each reader takes a value or raises Wrong with words."""
        for key in KEYS:
            try:
                key.read(value)
            except values.Wrong as wrong:
                self.assertTrue(wrong.what and wrong.remedy)
                self.assertNotIn("\n", str(wrong))

    @settings(max_examples=300, deadline=None)
    @given(
        st.one_of(
            st.text(alphabet="tcp6unix:=/.\\0123456789interfacemodebacklog[]% ", max_size=40),
            st.builds(
                "{}:{}{}".format,
                st.sampled_from(["tcp", "tcp6", "unix", "ssl"]),
                st.sampled_from(["25", "0", "65536", "-1", "/run/x", "x", ""]),
                st.sampled_from(
                    ["", ":interface=127.0.0.1", ":interface=\\:\\:1", ":backlog=5", ":mode=660", ":x=y", ":"]
                ),
            ),
        )
    )
    def test_endpoints_agree_with_twisted(self, text: str) -> None:
        """What we accept, Twisted accepts too, with the same port and interface."""
        try:
            endpoint = endpoints.endpoint(text)
        except values.Wrong:
            return
        made = serverFromString(MemoryReactor(), text)
        if endpoint.kind == "unix":
            self.assertEqual(made._address, endpoint.path)
        else:
            self.assertEqual(made._port, endpoint.port)
            if endpoint.interface:
                self.assertEqual(made._interface, endpoint.interface)

    @settings(max_examples=100, deadline=None)
    @given(st.ip_addresses(), st.integers(0, 128))
    def test_networks(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int) -> None:
        """A network is read back; one with host bits gets its remedy, which is right itself."""
        bits = min(bits, address.max_prefixlen)
        network = ipaddress.ip_network((address, bits), strict=False)
        self.assertEqual(values.network(str(network)), network)
        try:
            values.network(f"{address}/{bits}")
        except values.Wrong as wrong:
            self.assertEqual(wrong.remedy, f'write "{network}"')

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=200))
    def test_any_text_is_read(self, text: str) -> None:
        """A file of nonsense is a complaint, never a traceback."""
        config, complaints = parse(text)
        self.assertTrue(complaints or config is not None)
