"""Ways out besides the straight one: fallback to the smarthost, learned routes, senders' hosts, SOCKS5, IPv6 by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.journal.events.relay import FellBack, Ipv6Nameless, ProviderRefusesUs
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.outcome import Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.relay.ipv6 import Ipv6Way
from mailbox_appliance.relay.learning import is_reputation, provider_of
from mailbox_appliance.relay.memory import MIGRATIONS, RelayMemory
from mailbox_appliance.relay.settings import Host, Proxy, Security
from mailbox_appliance.relay.socks import is_near
from tests.kit.authority import authority
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import now
from tests.kit.workers import InlineWorkers
from tests.relay.scene import ZONE, Scene

D, T, F = Result.DELIVERED, Result.TRY_AGAIN, Result.FAILED
SMART = Host("smart.example", 587, Security.NONE)
DAY = 86_400.0


class FallbackTests(SynchronousTestCase):
    def scene(self, **more: Any) -> Scene:
        return Scene(direct=True, smarthost=SMART, **{"fallback_after": 2, **more})

    def test_after_failures(self) -> None:
        """Direct at first; after so many failures by the smarthost, and the journal says so."""
        scene = self.scene()
        direct, smart = scene.host("192.0.2.1", answers={"MAIL": "451 4.7.1 later"}), scene.host("192.0.2.9", 587)
        for tries, by_smart in ((0, 0), (1, 0), (2, 1), (5, 2)):
            (outcome,) = scene.carry(tries=tries)
            self.assertEqual((outcome.result, len(smart.mails)), (D if tries >= 2 else T, by_smart))
        self.assertEqual((direct.connections > 0, len(scene.journal.of(FellBack))), (True, 2))

    def test_never(self) -> None:
        """0: failures alone change nothing."""
        scene = self.scene(fallback_after=0)
        smart = scene.host("192.0.2.9", 587)
        self.assertEqual((scene.carry(tries=50)[0].result, smart.connections), (T, 0))

    def test_destination(self) -> None:
        """The queue still groups by domain, since a domain has failures of its own."""
        self.assertEqual(self.scene().relay.destination(None, Address("x", "b.example")), "b.example")


class LearningTests(SynchronousTestCase):
    """A provider that refuses our address."""

    REFUSAL = "550 5.7.1 Service unavailable, Client host [192.0.2.77] blocked using Spamhaus"

    def scene(self, smarthost: Host | None = SMART, memory: RelayMemory | None = None) -> Scene:
        self.letters: list[tuple[str, str]] = getattr(self, "letters", [])

        async def notice(subject: str, text: str) -> None:
            self.letters.append((subject, text))

        return Scene(direct=True, smarthost=smarthost, memory=memory, more={"notice": notice})

    def test_learned(self) -> None:
        """Refused at RCPT: the same message goes by the smarthost at once, later ones straight to it, for a week."""
        scene = self.scene()
        direct = scene.host("192.0.2.1", answers={"RCPT": self.REFUSAL})
        smart = scene.host("192.0.2.9", 587)
        self.assertEqual(scene.carry()[0].result, D)
        connections = direct.connections
        self.assertEqual(scene.carry()[0].result, D)
        self.assertEqual((len(smart.mails), direct.connections), (2, connections))
        (event,) = scene.journal.of(ProviderRefusesUs)
        self.assertEqual((event.provider, event.smarthost, event.days), ("b.example", "smart.example:587", 7))
        ((subject, text),) = self.letters
        self.assertIn("b.example", subject)
        self.assertIn("Spamhaus", text)
        scene.clock.advance(7 * DAY + 1)
        scene.net.pump()
        direct.answers.clear()
        self.assertEqual((scene.carry()[0].result, len(direct.mails)), (D, 1))

    def test_at_each_step(self) -> None:
        """Refused at the greeting, at MAIL, after the content: nobody is lost and nobody gets it twice."""
        for verb in ("greeting", "MAIL", "DATA", "."):
            scene = self.scene()
            for address in ("192.0.2.1", "192.0.2.2"):
                scene.host(address, answers={verb: self.REFUSAL})
            smart = scene.host("192.0.2.9", 587)
            outcomes = scene.carry("bob@b.example", "cy@b.example")
            self.assertEqual([one.result for one in outcomes], [D, D], verb)
            self.assertEqual(len(smart.mails), 1, verb)

    def test_only_who_was_refused(self) -> None:
        """Who has been served, or does not exist, stays so."""
        scene = self.scene()
        answers = {"no@b.example": "550 5.1.1 no such user", "cy@b.example": self.REFUSAL}
        direct, smart = scene.host("192.0.2.1", answers=answers), scene.host("192.0.2.9", 587)
        outcomes = scene.carry("bob@b.example", "no@b.example", "cy@b.example")
        self.assertEqual([one.result for one in outcomes], [D, F, D])
        self.assertEqual((direct.mails[0][1], smart.mails[0][1]), (("bob@b.example",), ("cy@b.example",)))

    def test_smarthost_is_down(self) -> None:
        """Then it waits; it is not bounced for what the provider said."""
        scene = self.scene()
        scene.host("192.0.2.1", answers={"RCPT": self.REFUSAL})
        self.assertEqual(scene.carry()[0].result, T)

    def test_over_restarts(self) -> None:
        path = os.path.abspath(self.mktemp())
        memory = RelayMemory(Database(path, MIGRATIONS, InlineWorkers()), RememberedJournal())
        scene = self.scene(memory=memory)
        scene.host("192.0.2.1", answers={"RCPT": self.REFUSAL})
        scene.host("192.0.2.9", 587)
        scene.carry()
        now(memory.close())
        scene = self.scene(memory=RelayMemory(Database(path, MIGRATIONS, InlineWorkers()), RememberedJournal()))
        smart = scene.host("192.0.2.9", 587)
        self.assertEqual((scene.carry()[0].result, len(smart.mails), len(self.letters)), (D, 1, 1))

    def test_without_smarthost(self) -> None:
        """The owner hears of it, once, and the sender gets the refusal."""
        scene = self.scene(None)
        scene.host("192.0.2.1", answers={"RCPT": self.REFUSAL})
        for _ in range(3):
            self.assertEqual(scene.carry()[0].result, F)
        self.assertEqual((len(self.letters), scene.journal.of(ProviderRefusesUs)[0].smarthost), (1, ""))

    def test_texts(self) -> None:
        """Real refusals of large providers, and refusals that are about something else."""
        gmail = "This message does not meet authentication requirements (SPF, DKIM). https://support.google.com/mail"
        for code, enhanced, text, learned in (
            (550, "5.7.26", gmail, True),
            (550, "5.7.1", "[198.51.100.7] The IP you're using to send mail is not authorized to send email directly "
             "to our servers. Please use the SMTP relay at your service provider instead.", True),
            (550, "5.7.1", "Our system has detected that this message is suspicious due to the very low reputation of "
             "the sending IP address.", True),
            (550, "5.7.1", "Unfortunately, messages from [x] weren't sent. Please contact your Internet service "
             "provider since part of their network is on our block list (S3150).", True),
            (550, "5.7.606", "Access denied, banned sending IP [x].", True),
            (554, "", "mta.yahoo.example [TSS09] yahoo: all messages from x permanently deferred", True),
            (554, "", "IP=192.0.2.7 - A problem occurred. (Ask your postmaster for help or to contact "
             "tosa@rx.t-online.de to clarify.)", True),
            (554, "", "gmx.net (mxgmx) Nemesis ESMTP Service not available\nNo SMTP service\nBad DNS PTR resource record.",
             True),
            (554, "5.7.1", "Service unavailable; Client host [x] blocked using zen.spamhaus.org", True),
            (550, "5.7.1", "Mail from dynamic IP addresses is not accepted", True),
            (421, "4.7.0", "part of their network is on our block list (S3150)", False),
            (550, "5.1.1", "The email account that you tried to reach does not exist", False),
            (550, "5.7.1", "Our system has detected that this message is likely unsolicited mail (content)", False),
            (552, "5.2.2", "The mailbox is full", False),
            (550, "5.7.1", "Relaying denied", False),
            (554, "5.7.1", "Message rejected: contains a virus", False),
        ):  # fmt: skip
            self.assertIs(is_reputation(Reply(code, enhanced, text)), learned, text)

    def test_providers(self) -> None:
        for host, provider in (
            ("alt1.gmail-smtp-in.l.google.com", "google.com"),
            ("a-example.mail.protection.outlook.com", "outlook.com"),
            ("mx.provider.co.uk", "provider.co.uk"),
            ("mx.example.de", "example.de"),
            ("example", "example"),
        ):
            self.assertEqual(provider_of(host), provider)

    @given(st.text(max_size=300), st.integers(200, 599))
    @settings(max_examples=200, deadline=None)
    def test_fuzz(self, text: str, code: int) -> None:
        self.assertIn(is_reputation(Reply(code, "", text * 20)), (True, False))


class SenderTests(SynchronousTestCase):
    def test_log_ins_are_kept_apart(self) -> None:
        """Two senders' domains at one host: each on a connection of its own log-in."""
        os.makedirs(folder := self.mktemp())
        hosts = {}
        for name in ("a", "club"):
            path = Path(folder) / name
            path.write_text(f"pw of {name}\n")
            hosts[f"{name}.example"] = Host("smart.example", 587, Security.NONE, name, str(path))
        scene = Scene(direct=True, senders=hosts)
        host = scene.host("192.0.2.9", 587, login=("a", "pw of a"))
        self.assertEqual(scene.carry()[0].result, D)
        host.login = ("club", "pw of club")
        self.assertEqual(scene.carry(reverse_path=Address("x", "club.example"))[0].result, D)
        self.assertEqual((host.connections, len(host.mails)), (2, 2))


class SocksHost(Protocol):
    """A proxy of the test's own: checks the log-in, then joins both ends (or answers ``refuse``)."""

    def __init__(self, scene: Scene, log_in: bytes = b"", refuse: int = 0) -> None:
        self.scene, self.log_in, self.refuse = scene, log_in, refuse
        self.far: Any = None
        self.buffer, self.stage = b"", "method"

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        if self.stage == "open":
            self.far.write(data)
            return
        self.buffer += data
        if self.stage == "method" and len(self.buffer) > 1 and len(self.buffer) >= 2 + self.buffer[1]:
            self.buffer, self.stage = b"", "log-in" if self.log_in else "request"
            self.transport.write(b"\x05\x02" if self.log_in else b"\x05\x00")
        elif self.stage == "log-in" and len(self.buffer) >= len(self.log_in):
            good = self.buffer == self.log_in
            self.buffer, self.stage = b"", "request"
            self.transport.write(b"\x01\x00" if good else b"\x01\x01")
        elif self.stage == "request" and len(self.buffer) == 10:
            if self.refuse:
                self.transport.write(bytes([5, self.refuse, 0, 1]) + bytes(6))
                self.transport.loseConnection()
                return
            address = ".".join(map(str, self.buffer[4:8]))
            self.stage = "open"
            self.transport.write(b"\x05\x00\x00\x01" + bytes(6))
            near = self

            class Far(Protocol):
                def connectionMade(self) -> None:
                    near.far = self.transport

                def dataReceived(self, data: bytes) -> None:
                    near.transport.write(data)  # type: ignore[union-attr]

                def connectionLost(self, reason: Any = None) -> None:
                    near.transport.loseConnection()  # type: ignore[union-attr]

            class Way:
                host, port = address, int.from_bytes(self.buffer[8:10], "big")

            Way.address = address  # type: ignore[attr-defined]
            self.scene.net.connect(Way, type("F", (), {"buildProtocol": lambda self, _: Far()})())

    def connectionLost(self, reason: Any = None) -> None:
        if self.far is not None:
            self.far.loseConnection()


class SocksTests(SynchronousTestCase):
    def scene(self, *, log_in: bool = False, refuse: int = 0, wrong: bool = False) -> Scene:
        os.makedirs(folder := self.mktemp())
        Path(folder, "pw").write_text("secret\n")
        proxy = Proxy("192.0.2.50", 1080, "ann" if log_in else "", os.path.join(folder, "pw") if log_in else "")
        scene = Scene(socks=proxy, trust_anchor=authority().write(folder))
        expected = b"\x01\x03ann\x06secre" + (b"!" if wrong else b"t") if log_in else b""
        scene.net.listen("192.0.2.50", 1080, lambda: SocksHost(scene, expected, refuse))
        return scene

    def test_through(self) -> None:
        """With and without log-in, clear and TLS, whole and octet by octet: the mail arrives by way of the proxy."""
        for log_in in (False, True):
            for tls in (None, authority().server("mx1.b.example")):
                for cut in (0, 1):
                    scene = self.scene(log_in=log_in)
                    scene.net.cut = cut
                    host = scene.host("192.0.2.1", tls=tls)
                    (outcome,) = scene.carry()
                    self.assertEqual((outcome.result, len(host.mails)), (D, 1))
                    self.assertEqual(outcome.tls, "TLSv1.3 verified" if tls else "")
                    self.assertEqual(scene.net.dialled, [("192.0.2.50", 1080), ("192.0.2.1", 25)])
                    scene.clock.advance(60)
                    scene.net.pump()
                    self.assertEqual((scene.net.ends, scene.clock.getDelayedCalls()), ([], []))

    def test_refused(self) -> None:
        """Each refusal of the proxy waits, with a reason; no way round it is taken."""
        for how, words in (
            ({"refuse": 2}, "rules"),
            ({"refuse": 5}, "refused"),
            ({"log_in": True, "wrong": True}, "user name or password"),
        ):
            scene = self.scene(**how)
            host = scene.host("192.0.2.1")
            (outcome,) = scene.carry()
            self.assertEqual((outcome.result, host.connections), (T, 0))
            self.assertIn(words, outcome.reason)
            self.assertNotIn("secret", repr(outcome))
            self.assertEqual((scene.net.ends, scene.clock.getDelayedCalls()), ([], []))

    def test_down(self) -> None:
        """A proxy that is away, silent or hangs up."""
        scene = self.scene()
        del scene.net.places["192.0.2.50", 1080]
        self.assertIn("proxy", scene.carry()[0].reason)
        scene = self.scene()
        scene.net.listen("192.0.2.50", 1080, Protocol)
        going = scene.start()
        for _ in range(3):
            scene.clock.advance(31)
            scene.net.pump()
        self.assertIn("no answer in time", scene.result(going)[0].reason)
        self.assertEqual((scene.net.ends, scene.clock.getDelayedCalls()), ([], []))

    def test_near(self) -> None:
        """Hosts of our own network are reached without it."""
        for address, near in (
            ("127.0.0.1", True),
            ("192.168.1.2", True),
            ("fd00::1", True),
            ("192.0.2.1", False),
            ("2001:db8::1", False),
        ):
            self.assertIs(is_near(address), near, address)


class Ipv6Tests(SynchronousTestCase):
    """No IPv6 mail from an address without a name."""

    OWN = "2001:db8::7"
    PTR = "7" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa."

    def test_named(self) -> None:
        for zone, named in (
            (f"{self.PTR} PTR us.example.\nus.example. AAAA {self.OWN}\n", True),
            (f"{self.PTR} PTR us.example.\nus.example. AAAA 2001:db8::8\n", False),
            (f"{self.PTR} PTR us.example.\n", False),
            ("", False),
            (f";! servfail {self.PTR}\n", False),
        ):
            journal = RememberedJournal()
            way = Ipv6Way(FakeDns(zone), Clock(), journal, lambda: self.OWN)
            for _ in range(2):
                self.assertEqual((now(way.is_named()), way.exists()), (named, True), zone)
            self.assertEqual(len(journal.of(Ipv6Nameless)), int(not named))
        self.assertFalse(now(Ipv6Way(FakeDns(""), Clock(), RememberedJournal(), lambda: "").is_named()))

    def test_direct(self) -> None:
        """By MX only with a name; a configured host is the owner's own choice."""
        zone = ZONE + "six.example. AAAA 2001:db8::25\n"
        named = zone + f"{self.PTR} PTR us.example.\nus.example. AAAA {self.OWN}\n"
        for text, result in ((zone, F), (named, D)):
            scene = Scene(text, more={"ipv6": lambda: self.OWN})
            scene.host("2001:db8::25")
            self.assertEqual(scene.carry("bob@six.example")[0].result, result)
        scene = Scene(zone, smarthost=Host("six.example", 25, Security.NONE), more={"ipv6": lambda: self.OWN})
        scene.host("2001:db8::25")
        self.assertEqual(scene.carry("bob@six.example")[0].result, D)
