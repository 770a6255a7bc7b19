"""Our own MTA-STS policy (RFC 8461 §3.2, §3.3): under the right names, at the right path, and nowhere else."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.assembly.pages import WebPages
from mailbox_appliance.config.model import Config, Listen, Tls, everywhere
from mailbox_appliance.mailauth.mtasts_policy import read_policy, read_record
from mailbox_appliance.web.mtasts import own_policy, policy_id, policy_pages, policy_text
from mailbox_appliance.web.site import SiteFactory

DOMAINS = frozenset({"example.org", "xn--bcher-kva.example"})


class PolicyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.policy = own_policy("enforce", ("mx.example.org",))
        self.site = SiteFactory(policy_pages(lambda: DOMAINS, lambda: self.policy), Clock())

    def ask(self, path: str, host: str, method: str = "GET") -> tuple[bytes, bytes, bytes]:
        channel: Any = self.site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        status, _, rest = head.partition(b"\r\n")
        return status, rest, body

    def test_served(self) -> None:
        """What is served can be read by our own reader, and has the type the RFC asks for."""
        for host in ("mta-sts.example.org", "MTA-STS.Example.org:443", "mta-sts.xn--bcher-kva.example"):
            status, head, body = self.ask("/.well-known/mta-sts.txt", host)
            self.assertEqual(status, b"HTTP/1.1 200 OK", host)
            self.assertIn(b"Content-Type: text/plain\r\n", head + b"\r\n")
            policy = read_policy(body)
            self.assertEqual((policy.mode, policy.mx), ("enforce", ("mx.example.org",)))
            self.assertTrue(policy.covers("mx.example.org"))

    def test_nowhere_else(self) -> None:
        """404 under other names and paths, for other methods, and for domains that are not ours."""
        for path, host, method in (
            ("/.well-known/mta-sts.txt", "example.org", "GET"),
            ("/.well-known/mta-sts.txt", "mx.example.org", "GET"),
            ("/.well-known/mta-sts.txt", "mta-sts.other.example", "GET"),
            ("/.well-known/mta-sts.txt", "mta-sts.", "GET"),
            ("/.well-known/mta-sts.txt", "x.mta-sts.example.org", "GET"),
            ("/.well-known/mta-sts.txt/", "mta-sts.example.org", "GET"),
            ("/.well-known/../mta-sts.txt", "mta-sts.example.org", "GET"),
            ("/", "mta-sts.example.org", "GET"),
            ("/.well-known/mta-sts.txt", "mta-sts.example.org", "POST"),
        ):
            self.assertEqual(self.ask(path, host, method)[0], b"HTTP/1.1 404 Not Found", (path, host, method))

    def test_id_follows_the_policy(self) -> None:
        """Another policy has another id, the same one the same; the record that carries it can be read."""
        first = policy_id(self.policy)
        self.assertEqual(first, policy_id(own_policy("enforce", ("mx.example.org",))))
        others = {policy_id(own_policy(mode, ("mx.example.org",))) for mode in ("testing", "none")}
        self.assertEqual(len(others | {first}), 3)
        self.assertEqual(read_record([f"v=STSv1; id={first}".encode()]), first)

    def test_lines(self) -> None:
        """The file, word for word."""
        expected = b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmax_age: 1209600\r\n"
        self.assertEqual(policy_text(self.policy), expected)


class WebPagesTests(SynchronousTestCase):
    """Only who listens on 443 promises a policy."""

    def pages(self, **changes: Any) -> WebPages:
        config = Config("mx.example.org", **changes)
        return WebPages(config, Clock(), ChallengeTokens(), lambda: DOMAINS, lambda: ("mx.example.org",))

    def test_off(self) -> None:
        """No listener, no names, no record."""
        pages = self.pages()
        self.assertEqual((pages.names(), pages.policy_id), ((), ""))

    def test_on(self) -> None:
        """With one the certificate carries a name for each domain, and the mode is the owner's."""
        pages = self.pages(listen=Listen(https=everywhere(443)), tls=Tls(mta_sts="none"))
        self.assertEqual(pages.names(), ("mta-sts.example.org", "mta-sts.xn--bcher-kva.example"))
        self.assertEqual(pages.policy().mode, "none")
        self.assertNotEqual(pages.policy_id, "")
