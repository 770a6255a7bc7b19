"""An IMAP server in memory for the tests: the real listener and sessions over the fake store, guard and log-in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock

from mailbox_appliance.imap.listener import ImapFactory, ImapHouse, ImapProtocol
from mailbox_appliance.imap.settings import ImapSettings
from mailbox_appliance.mail.address import Address
from tests.kit.fake_guard import FakeGuard
from tests.kit.fake_login import FakeLogIn
from tests.kit.fake_store import FakeMailbox, FakeMailstore, FakeStores
from tests.kit.journal import RememberedJournal
from tests.kit.tls import FakeCertificates, MemoryTransport, Peer
from tests.kit.workers import InlineWorkers

NOW = 1_708_000_000  # 15 Feb 2024 12:26:40 UTC
ANN = Address.parse("ann@example.org")

MESSAGES = {
    "plain": b"From: Fred Foobar <foobar@Blurdybloop.example>\nSubject: afternoon meeting\n"
    b"To: mooch@owatagu.siam.example\nMessage-Id: <B27397-0100000@Blurdybloop.example>\n"
    b"Date: Wed, 7 Feb 2024 21:52:25 -0800 (PST)\n\nHello Joe, do you think we can meet at 3:30 tomorrow?\n",
    "short": b"From: bob@example.net\nSubject: short\nDate: Thu, 1 Feb 2024 09:00:00 +0000\n\nhi\n",
    "parts": b"From: carol@example.net\nSubject: parts\nMIME-Version: 1.0\n"
    b'Content-Type: multipart/mixed; boundary="b1"\n\n'
    b"--b1\nContent-Type: text/plain\n\nfirst part\n--b1\nContent-Type: message/rfc822\n\n"
    b"From: dave@example.net\nSubject: inner\nX-Extra: yes\n\ninner text\n--b1--\n",
    "reply": b"From: mooch@owatagu.siam.example\nSubject: Re: afternoon meeting\n"
    b"References: <B27397-0100000@Blurdybloop.example>\nDate: Thu, 8 Feb 2024 09:00:00 +0000\n\nyes\n",
    "binary": b"Subject: binary\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    b"--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    b"Gr=C3=BC=C3=9Fe  \n--b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
    b"YQBiAGM=\n--b--\n",
    "strange": b"Subject: strange\nMIME-Version: 1.0\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n",
    "umlaut": "From: eva@example.net\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nContent-Type: text/plain; charset=utf-8\n"
    "Content-Transfer-Encoding: 8bit\n\nschöne Grüße\n".encode(),
}


class World:
    """One server; ``connect`` gives connections to it."""

    def __init__(self, settings: ImapSettings | None = None, limit: int = 0) -> None:
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.stores = FakeStores(self.clock, limit)
        self.guard = FakeGuard()
        self.users = FakeLogIn({"ann@example.org": "secret", "ben@example.org": "geheim"})
        self.journal = RememberedJournal()
        self.workers = InlineWorkers()
        self.certificates = FakeCertificates()
        self.house = ImapHouse(
            settings=settings or ImapSettings(),
            stores=self.stores,
            users=self.users,
            guard=self.guard,
            certificates=self.certificates,
            clock=self.clock,
            workers=self.workers,
            journal=self.journal,
        )

    @property
    def store(self) -> FakeMailstore:
        return self.stores.get(ANN)

    def box(self, name: str = "INBOX") -> FakeMailbox:
        return self.store.box(name)

    def connect(self, *, clear: bool = False, **where: Any) -> ImapStage:
        return ImapStage(self, clear=clear, **where)


class SecureTransport(MemoryTransport):
    """A transport whose TLS costs nothing: the handshake is over at once and the octets stay readable."""

    def startTLS(self, creator: Any, normal: bool = True) -> None:
        self.app.handshakeCompleted()  # type: ignore[attr-defined]

    def getHandle(self) -> Any:
        return None


class ImapStage:
    """tests.kit.dialogue.Stage: one connection. Unless ``clear``, TLS is on (imaps)."""

    def __init__(self, world: World, *, clear: bool = False, **where: Any) -> None:
        self.world = world
        self.protocol: ImapProtocol = ImapFactory(world.house, "imap" if clear else "imaps").buildProtocol(None)
        self.peer: Peer | None = None
        if clear:
            self.peer = Peer(self.protocol, **where)
            self.transport = self.peer.transport
        else:
            self.transport = SecureTransport(self.protocol, **where)
            self.protocol.makeConnection(self.transport)
        self.others: dict[str, ImapStage] = {}

    def send(self, octets: bytes) -> None:
        if self.peer is not None:
            self.peer.send(octets)
        else:
            self.transport.feed(octets)
        self.world.clock.advance(0)

    def taken(self) -> bytes:
        if self.peer is not None:
            return self.peer.taken()
        octets: bytes = self.transport.value()
        self.transport.clear()
        return octets

    def closed(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.gone)

    def ask(self, line: str) -> bytes:
        """Say a line, get what is answered."""
        self.send(line.encode("latin-1") + b"\r\n")
        return self.taken()

    def log_in(self, mailbox: str = "") -> ImapStage:
        """Log in as Ann, and select."""
        said = self.ask("x0 LOGIN ann@example.org secret")
        assert b"x0 OK" in said, said
        if mailbox:
            said = self.ask(f"x1 SELECT {mailbox}")
            assert b"x1 OK" in said, said
        return self

    def direct(self, word: str, rest: str) -> None:
        words = rest.split()
        match word:
            case "login":
                self.log_in(rest)
            case "deliver":  # @ deliver INBOX plain \Seen …
                self.world.box(words[0]).deliver(MESSAGES[words[1]], words[2:], date=NOW)
            case "change":
                self.world.box(words[0]).change(int(words[1]), words[2:])
            case "lose":
                self.world.box(words[0]).lose(*map(int, words[1:]))
            case "other":  # @ other a FETCH …: another session of Ann's says it
                other = self.others.get(words[0]) or self.world.connect().log_in()
                self.others[words[0]] = other
                other.ask(rest.partition(" ")[2])
            case "limit":  # @ limit 2: so many messages a command (RFC 9738)
                house = self.world.house
                house.settings = replace(house.settings, messages_per_command=int(rest))
            case "advance":
                self.world.clock.advance(float(rest))
            case "quota":
                self.world.stores.limit = self.world.store.limit = int(rest)
            case "tls":
                assert self.peer is not None
                self.peer.start_tls()
            case "drain":
                self.world.house.drain()
            case _:
                raise ValueError(word)
        self.world.clock.advance(0)
