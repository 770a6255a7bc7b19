"""Leaving a list by one click: what a mail program posts, and what a person sees."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.web.leaving import PATH, LeavePages
from mailbox_appliance.web.site import SiteFactory


class OneList:
    """Knows one token."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def unsubscribe(self, token: str) -> str:
        self.asked.append(token)
        if token == "broken":
            raise ValueError(token)
        return "Family" if token == "family.example.org/7-abc" else ""


class LeavingTests(SynchronousTestCase):
    """LeavePages behind the real site."""

    def setUp(self) -> None:
        self.list = OneList()
        self.broken: list[BaseException] = []
        pages = LeavePages(self.list)
        self.site = SiteFactory(pages.page, Clock(), pages.post, self.broken.append)

    def ask(self, method: str, path: str, body: str = "") -> str:
        protocol = self.site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        transport = StringTransport()
        protocol.makeConnection(transport)
        kind = "Content-Type: application/x-www-form-urlencoded\r\n" if body else ""
        request = f"{method} {path} HTTP/1.1\r\nHost: mx\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        protocol.dataReceived(request.encode())
        return transport.value().decode()

    def test_a_look_changes_nothing(self) -> None:
        """Scanners follow every link."""
        said = self.ask("GET", PATH + "family.example.org/7-abc")
        self.assertIn(" 200 ", said.split("\r\n")[0])
        self.assertIn("<form method=post>", said)
        self.assertEqual(self.list.asked, [])

    def test_one_click(self) -> None:
        """The word of RFC 8058 takes the member off; without it, or elsewhere, nothing happens."""
        word = "List-Unsubscribe=One-Click"
        self.assertIn("no more mail", self.ask("POST", PATH + "family.example.org/7-abc", word))
        self.assertIn("not good any more", self.ask("POST", PATH + "family.example.org/7-xyz", word))
        self.assertIn(" 404 ", self.ask("POST", PATH + "family.example.org/7-abc", "x=y"))
        self.assertIn(" 404 ", self.ask("POST", "/elsewhere", word))
        self.assertEqual(self.list.asked, ["family.example.org/7-abc", "family.example.org/7-xyz"])

    def test_a_fault(self) -> None:
        """Is journaled, and answered."""
        self.assertIn(" 404 ", self.ask("POST", PATH + "broken", "List-Unsubscribe=One-Click"))
        self.assertEqual(len(self.broken), 1)
