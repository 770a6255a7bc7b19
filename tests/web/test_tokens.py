"""Port 80: the token path and nothing else."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.web.tokens import IDLE_SECONDS, LONGEST_REQUEST, token_site

TOKEN = "abcdefghijklmnopqrst"


class TokensTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.site = token_site(lambda token: b"the answer" if token == TOKEN else None, self.clock)

    def connect(self) -> tuple[Any, StringTransport]:
        channel = self.site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, request: bytes) -> tuple[bytes, bytes]:
        channel, transport = self.connect()
        channel.dataReceived(request)
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return head.partition(b"\r\n")[0], body

    def test_token(self) -> None:
        """A token that is wanted is served."""
        path = f"/.well-known/acme-challenge/{TOKEN}".encode()
        self.assertEqual(
            self.ask(b"GET " + path + b" HTTP/1.1\r\nHost: mx.example\r\n\r\n"), (b"HTTP/1.1 200 OK", b"the answer")
        )
        self.assertEqual(self.ask(b"HEAD " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"), (b"HTTP/1.1 200 OK", b""))
        self.assertEqual(self.ask(b"GET " + path + b" HTTP/1.0\r\n\r\n")[1], b"the answer")

    def test_everything_else(self) -> None:
        """404, whatever the path, method or trick."""
        for line in (
            b"GET / HTTP/1.1",
            b"GET /.well-known/acme-challenge/ HTTP/1.1",
            b"GET /.well-known/acme-challenge/zzzzzzzzzzzzzzzzzzzz HTTP/1.1",
            b"GET /.well-known/acme-challenge/../../etc/passwd HTTP/1.1",
            b"GET /.well-known/acme-challenge/%2e%2e HTTP/1.1",
            b"GET /.well-known/acme-challenge/" + TOKEN.encode() + b"/ HTTP/1.1",
            b"POST /.well-known/acme-challenge/" + TOKEN.encode() + b" HTTP/1.1",
            b"DELETE / HTTP/1.1",
            b"GET http://elsewhere.example/ HTTP/1.1",
        ):
            status, _ = self.ask(line + b"\r\nHost: x\r\n\r\n")
            self.assertEqual(status, b"HTTP/1.1 404 Not Found", line)

    def test_bounds(self) -> None:
        """Too much of anything, and silence, end the connection."""
        for request in (
            b"x" * (LONGEST_REQUEST + 1),
            b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % number for number in range(100)) + b"\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n" + b"x" * (LONGEST_REQUEST + 1),
            b"\x16\x03\x01\r\n\r\n",
        ):
            channel, transport = self.connect()
            channel.dataReceived(request)
            self.assertTrue(transport.disconnecting or b"400" in transport.value()[:20], request[:30])
        self.setUp()
        channel, transport = self.connect()
        self.clock.advance(IDLE_SECONDS + 1)
        self.assertTrue(transport.disconnecting or transport.disconnected)

    def test_pipelined(self) -> None:
        """Several small requests on one connection are answered, however many octets they sum up to."""
        channel, transport = self.connect()
        request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(LONGEST_REQUEST // len(request) + 10):
            channel.dataReceived(request)
        self.assertFalse(transport.disconnecting)
