"""The page where people change their own password, behind the real site."""

from __future__ import annotations

from urllib.parse import urlencode

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.ports.users import NotChanged
from mailbox_appliance.web.password import PasswordPages
from mailbox_appliance.web.site import SiteFactory


class Door:
    """Knows one link and one password."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []
        self.misses: list[str] = []

    def holder(self, token: str) -> str:
        return "ann@example.org" if token == "good" else ""

    def missed(self, peer: str) -> None:
        self.misses.append(peer)

    async def by_link(self, token: str, new: str, peer: str) -> None:
        if new == "weak":
            raise NotChanged("The password is <weak>.", ("one-two-three",))
        self.done.append((token, new, peer))

    async def by_password(self, user: str, old: str, new: str, peer: str) -> None:
        if old != "old one":
            raise NotChanged("Wrong mail address or password.")
        self.done.append((user, old, new, peer))


class PasswordPageTests(SynchronousTestCase):
    """PasswordPages."""

    def setUp(self) -> None:
        self.door = Door()
        pages = PasswordPages(self.door)
        self.site = SiteFactory(pages.page, Clock(), pages.post)

    def ask(self, method: str, path: str, **fields: str) -> str:
        protocol = self.site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 1))
        protocol.makeConnection(transport)
        body = urlencode(fields)
        kind = "Content-Type: application/x-www-form-urlencoded\r\n" if body else ""
        request = f"{method} {path} HTTP/1.1\r\nHost: mx\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        protocol.dataReceived(request.encode())
        return transport.value().decode()

    def test_a_look_changes_nothing(self) -> None:
        """GET shows a form, and the page is kept, framed and told nowhere."""
        for path in ("/password", "/password/good"):
            said = self.ask("GET", path)
            self.assertIn(" 200 ", said.split("\r\n")[0])
            self.assertIn("<form method=post>", said)
            for header in ("Cache-Control: no-store", "Referrer-Policy: no-referrer", "frame-ancestors 'none'"):
                self.assertIn(header, said)
        self.assertIn("ann@example.org", said)
        self.assertIn("not good any more", self.ask("GET", "/password/bad"))
        for path in ("/passwords", "/password/", "/x/password/good", "/"):
            self.assertIn(" 404 ", self.ask("GET", path))
        self.assertEqual((self.door.done, self.door.misses), ([], []))

    def test_by_link(self) -> None:
        """The deed, with the address of whoever asks; a link that is none is counted."""
        self.assertIn("has been changed", self.ask("POST", "/password/good", new="n ü", again="n ü"))
        self.assertEqual(self.door.done, [("good", "n ü", "192.0.2.1")])
        self.assertIn("not good any more", self.ask("POST", "/password/bad", new="n", again="n"))
        self.assertEqual(self.door.misses, ["192.0.2.1"])

    def test_by_password(self) -> None:
        """With the current password; what was typed comes back escaped, passwords never."""
        self.assertIn("has been changed", self.ask("POST", "/password", user="ann", old="old one", new="n", again="n"))
        self.assertEqual(self.door.done, [("ann", "old one", "n", "192.0.2.1")])
        said = self.ask("POST", "/password", user="'><script>", old="secret7", new="secret8", again="secret8")
        self.assertIn("Wrong mail address or password.", said)
        self.assertIn("&#x27;&gt;&lt;script&gt;", said)
        for secret in ("<script>", "secret7", "secret8"):
            self.assertNotIn(secret, said)

    def test_refused(self) -> None:
        """Typed differently, or weak: the form again, with the reason and good ones to take."""
        for fields in ({"new": "a", "again": "b"}, {"new": "a"}, {}, {"new": "", "again": ""}):
            self.assertIn("differ", self.ask("POST", "/password/good", **fields))
        said = self.ask("POST", "/password/good", new="weak", again="weak")
        for words in ("The password is &lt;weak&gt;.", "one-two-three", "<form method=post>"):
            self.assertIn(words, said)
        self.assertEqual(self.door.done, [])

    def test_nonsense(self) -> None:
        """Bodies that are no form, and other places."""
        pages = PasswordPages(self.door)
        for body in (b"\xff\xfe", b"a=" * 5000, b"&" * 50, b"new=%ff&again=%ff"):
            answer = self.successResultOf(_run(pages, body))
            self.assertIsNotNone(answer)
        self.assertIn(" 404 ", self.ask("POST", "/elsewhere", new="a", again="a"))


def _run(pages: PasswordPages, body: bytes):  # type: ignore[no-untyped-def]
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(pages.post("mx", "/password/good", body, "192.0.2.1"))
