"""Fetching an MTA-STS policy over HTTPS: what is taken, and everything that is not (RFC 8461 §3.3)."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.relay.mtasts import FetchTrouble
from mailbox_appliance.relay.mtasts_fetch import PolicyFetcher
from mailbox_appliance.relay.tls import ClientTls
from tests.kit.authority import Authority, authority
from tests.kit.fake_dns import FakeDns
from tests.kit.net import Net
from tests.kit.workers import InlineWorkers

POLICY = b"version: STSv1\nmode: none\nmax_age: 60\n"
HOST = "mta-sts.b.example"
ZONE = f"{HOST}. A 9.9.9.1\nmta-sts.two.example. A 9.9.9.8\nmta-sts.two.example. A 9.9.9.1\n;! servfail bad.example.\n"


def answer(body: bytes, status: str = "200 OK", kind: str = "text/plain; charset=utf-8", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


class WebHost(Protocol):
    """Says ``octets`` after the first request, whatever it is."""

    def __init__(self, tls: Any, octets: bytes, close: bool, heard: list[bytes]) -> None:
        self._tls, self._octets, self._close, self._heard = tls, octets, close, heard
        self._request = b""

    def connectionMade(self) -> None:
        self.transport.startTLS(self._tls)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self._heard.append(data)
        self._request += data
        if self._request.endswith(b"\r\n\r\n") and self.transport is not None:
            self.transport.write(self._octets)
            if self._close:
                self.transport.loseConnection()


class FetchTests(SynchronousTestCase):
    def setUp(self) -> None:
        os.makedirs(folder := self.mktemp())
        self.clock, self.net = Clock(), Net()
        self.heard: list[bytes] = []
        self.tls = ClientTls(InlineWorkers(), authority().write(folder))

    def begin(self, domain: str = "b.example", *, zone: str = ZONE, **how: Any) -> Deferred[bytes]:
        fetcher = PolicyFetcher(self.clock, FakeDns(zone), self.tls, self.net.endpoint, **how)
        going = fetcher.fetch(domain)
        self.net.pump()
        return going

    def serve(self, octets: bytes, tls: Any = None, *, close: bool = False) -> None:
        tls = tls or authority().server(HOST, "mta-sts.two.example")
        self.net.listen("9.9.9.1", 443, lambda: WebHost(tls, octets, close, self.heard))

    def trouble(self, going: Deferred[bytes]) -> FetchTrouble:
        failure = self.failureResultOf(going, FetchTrouble)
        error = failure.value
        assert isinstance(error, FetchTrouble)
        self.assertEqual((self.net.ends, self.clock.getDelayedCalls()), ([], []))
        return error

    def test_good(self) -> None:
        """One GET of the well-known path; the body comes back, whole or octet by octet."""
        for cut in (0, 1):
            self.heard.clear()
            self.net.cut = cut
            self.serve(answer(POLICY))
            self.assertEqual(self.successResultOf(self.begin()), POLICY)
            said = b"".join(self.heard)
            self.assertTrue(said.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n"), said)
            self.assertIn(b"\r\nHost: mta-sts.b.example\r\n", said)
        self.serve(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"26\r\n" + POLICY + b"\r\n0\r\n\r\n")  # fmt: skip
        self.assertEqual(self.successResultOf(self.begin()), POLICY)

    def test_next_address(self) -> None:
        """An address that does not answer is passed over."""
        self.serve(answer(POLICY))
        self.assertEqual(self.successResultOf(self.begin("two.example")), POLICY)
        self.assertEqual(self.net.dialled, [("9.9.9.8", 443), ("9.9.9.1", 443)])

    def test_certificates(self) -> None:
        """A bad certificate is never asked for anything."""
        for tls in (
            authority().server("b.example"),
            Authority().server(HOST),
            authority().server(HOST, days=-1),
        ):
            self.serve(answer(POLICY), tls)
            self.assertEqual(self.trouble(self.begin()).kind, "sts-webpki-invalid")
            self.assertEqual(self.heard, [])

    def test_bad_answers(self) -> None:
        """Redirects, errors, other types, long bodies, endless headers, broken ends: no policy."""
        moved = answer(b"", "301 Moved", more="Location: https://mta-sts.b.example/other\r\n")
        for octets, words in (
            (moved, "301"),
            (answer(POLICY, "404 Not Found"), "404"),
            (answer(POLICY, kind="text/html"), "text/html"),
            (answer(b"x" * 65_537), "64 KiB"),
            (b"HTTP/1.1 200 OK\r\n" + b"X-Long: y\r\n" * 20_000, "too long"),
            (answer(POLICY).replace(b"Length: 38", b"Length: 99"), "broke off"),
            (answer(POLICY).replace(b"Content-Length: 38\r\n", b""), "broke off"),
            (b"SSH-2.0\r\n", ""),
            (b"", ""),
        ):
            self.serve(octets, close=True)
            error = self.trouble(self.begin())
            self.assertEqual(error.kind, "sts-policy-fetch-error", octets[:40])
            self.assertIn(words, str(error))

    def test_no_tls(self) -> None:
        """A port that speaks no TLS."""

        class Clear(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        self.net.listen("9.9.9.1", 443, Clear)
        self.assertEqual(self.trouble(self.begin()).kind, "sts-policy-fetch-error")

    def test_names(self) -> None:
        """No address, no answer, or an address of our own network: nobody is asked."""
        for zone, domain in (
            (ZONE, "none.example"),
            (ZONE, "bad.example"),
            (f"{HOST}. A 127.0.0.1\n{HOST}. A 192.168.1.1\n{HOST}. A 169.254.169.254\n", "b.example"),
        ):
            self.trouble(self.begin(domain, zone=zone))
        self.assertEqual(self.net.dialled, [])

    def test_slow(self) -> None:
        """A minute is all there is, whatever drips."""
        self.serve(answer(POLICY)[:-5])
        going = self.begin()
        self.clock.advance(61)
        self.net.pump()
        self.assertIn("60 s", str(self.trouble(going)))
        self.net.silent.add(("9.9.9.1", 443))
        going = self.begin()
        self.clock.advance(61)
        self.assertIn("60 s", str(self.trouble(going)))
