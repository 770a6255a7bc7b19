"""The door: counting, guarding, TLS, silence, slow readers, fast writers, and the way down."""

from __future__ import annotations

import socket
import ssl
from ipaddress import ip_address, ip_network
from typing import Any
from unittest import mock

from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events import smtp as told
from mailbox_appliance.mail.client import peer_address
from mailbox_appliance.smtp.acquaintances import Acquaintances
from mailbox_appliance.smtp.limits import Room
from mailbox_appliance.smtp.listener import SmtpStation
from tests.smtp.stage import DEVICE, NOW, STRANGER, House, code, talk

TO_DATA = ("EHLO a.test", "MAIL FROM:<x@y.test>", "RCPT TO:<ann@example.org>", "DATA")
MESSAGE = b"From: x@y.test\r\n\r\nhello\r\n.\r\n"


class ConnectionTests(SynchronousTestCase):
    """Who gets in."""

    def test_per_address(self) -> None:
        """No more than the limit from one address (IPv6: one /64); others come in; a place given back is free."""
        for first, same, other in (
            ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
            ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"),
            ("203.0.113.7", "::ffff:203.0.113.7", "203.0.113.8"),
        ):
            house = House(connections_per_address=2)
            peers = [house.peer(address=first), house.peer(address=same)]
            refused = house.peer(address=same)
            self.assertEqual(refused.taken(), b"421 4.7.0 Too many connections from your address, try again later\r\n")
            self.assertTrue(refused.closed())
            self.assertTrue(house.peer(address=other).taken().startswith(b"220"))
            peers[0].hang_up()
            self.assertTrue(house.peer(address=first).taken().startswith(b"220"))
            house.close()

    def test_all_and_the_reserve(self) -> None:
        """Port 25 may not take the places kept for users, nor strangers on 587 those of whoever logged in before."""
        house = House(connections=4, reserve=2)
        for last in (1, 2):
            self.assertTrue(house.peer(address=f"203.0.113.{last}").taken().startswith(b"220"))
        self.assertTrue(house.peer(address="203.0.113.3").taken().startswith(b"421 4.7.0"))
        self.assertTrue(house.peer("submission", "203.0.113.4").taken().startswith(b"220"))
        self.assertTrue(house.peer("submission", "203.0.113.5").taken().startswith(b"421 4.7.0"))
        house.guard.succeeded(peer_address("203.0.113.5"), "imap", "ann@example.org")
        self.assertTrue(house.peer("submission", "203.0.113.5").taken().startswith(b"220"))
        self.assertTrue(house.peer("submission", "203.0.113.5").taken().startswith(b"421 4.7.0"))
        house.close()

    def test_guard(self) -> None:
        """A banned address is turned away before TLS, and told nothing in clear where TLS comes first."""
        house = House()
        house.guard.banned.add(ip_address(STRANGER))
        for service, said in (("smtp", b"421 4.7.0"), ("submission", b"421 4.7.0"), ("submissions", b"")):
            peer = house.peer(service)
            self.assertTrue(peer.taken().startswith(said) and peer.closed())
            self.assertIsNone(peer.transport.tls)
        self.assertEqual({event.reason for event in house.journal.of(told.TurnedAway)}, {"banned"})
        house.close()

    def test_submission_from(self) -> None:
        """587 and 465 may be closed to the rest of the world; 25 is not."""
        house = House()
        house.settle(submission_from=house.settings.lan)
        self.assertTrue(house.peer("submission").taken().startswith(b"554 5.7.1"))
        self.assertTrue(house.peer("submission", "192.168.1.9").taken().startswith(b"220"))
        self.assertTrue(house.peer("smtp").taken().startswith(b"220"))
        house.close()

    def test_no_delay(self) -> None:
        """Nagle's algorithm is off."""
        house = House()
        self.assertTrue(house.peer().transport.nodelay)
        house.close()

    def test_banner_waits_on_25_only(self) -> None:
        """On 25 the greeting comes a moment later; the data of who talks earlier is refused (a dialogue shows it)."""
        house = House()
        peer = house.peer(wait=False)
        self.assertEqual(peer.taken(), b"")
        house.clock.advance(house.settings.limits.banner_wait)
        self.assertTrue(peer.taken().startswith(b"220"))
        self.assertTrue(house.peer("submission", wait=False).taken().startswith(b"220"))
        house.close()

    def test_acquaintances_are_greeted_at_once(self) -> None:
        """Who has brought an accepted message need not wait for a day; who is in our networks never."""
        house = House()
        peer = house.peer()
        talk(peer, "EHLO a.test", "MAIL FROM:<x@y.test>", "RCPT TO:<ann@example.org>", "DATA")
        self.assertFalse(house.parts.acquaintances.is_known(ip_address(STRANGER), NOW))
        talk(peer, b"From: x@y.test\r\n\r\n.\r\n")
        self.assertTrue(house.peer(wait=False).taken().startswith(b"220"))
        self.assertEqual(house.peer(address="203.0.113.99", wait=False).taken(), b"")
        self.assertTrue(house.peer(address=DEVICE, wait=False).taken().startswith(b"220"))
        house.settle(trusted=(ip_network("198.51.100.0/24"),))
        self.assertTrue(house.peer(address="198.51.100.9", wait=False).taken().startswith(b"220"))
        house.clock.advance(86_401)
        self.assertEqual(house.peer(wait=False).taken(), b"")
        house.close()

    def test_strangers_who_talk_first(self) -> None:
        """Whoever was not told that he may is sent away, and is a stranger afterwards."""
        house = House()
        peer = house.peer(wait=False)
        peer.send(b"EHLO a.test\r\n")
        house.clock.advance(house.settings.limits.banner_wait)
        self.assertEqual(peer.taken(), b"554 5.5.1 You talk before the greeting, closing\r\n")
        self.assertTrue(peer.closed())
        house.close()

    def test_pipeconnect(self) -> None:
        """Whoever was offered PIPECONNECT may send a whole message before the greeting; all is answered in order."""
        house = House()
        self.assertIn("250-PIPECONNECT", talk(house.peer(), "EHLO a.test"))
        peer = house.peer(wait=False)
        peer.send(b"EHLO a.test\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n")
        house.clock.advance(house.settings.limits.banner_wait)
        codes = [line[:3] for line in peer.taken().split(b"\r\n") if line[3:4] == b" "]
        self.assertEqual(codes, [b"220", b"250", b"250", b"250", b"354"])
        house.close()

    def test_memory_is_bounded(self) -> None:
        """The least recently seen address is forgotten; an IPv6 /64 is one."""
        known = Acquaintances(most=2, seconds=10)
        for number, text in enumerate(("192.0.2.1", "2001:db8::1", "192.0.2.3")):
            known.behaved(ip_address(text), float(number))
        seen = [known.is_known(ip_address(text), 5.0) for text in ("192.0.2.1", "2001:db8::ffff", "192.0.2.3")]
        self.assertEqual(seen, [False, True, True])


class ProxyTests(SynchronousTestCase):
    """A proxy in front of us names the client; nobody else may."""

    HEADER = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\r\n"

    def setUp(self) -> None:
        self.house = House()
        self.house.settle(proxies=(ip_network("192.0.2.7/32"),))
        self.addCleanup(self.house.close)

    def test_named_client(self) -> None:
        """Policy, guard and Received see the client; the header may come in any pieces."""
        for pieces in ([self.HEADER], [self.HEADER[n : n + 1] for n in range(len(self.HEADER))]):
            peer = self.house.peer(address="192.0.2.7", wait=False)
            self.assertEqual(peer.taken(), b"")
            for piece in pieces:
                peer.send(piece)
            self.house.clock.advance(self.house.settings.limits.banner_wait)
            talk(peer, "EHLO a.test", "MAIL FROM:<x@y.test>", "RCPT TO:<ann@example.org>", "DATA")
            talk(peer, b"From: x@y.test\r\n\r\n.\r\n")
            self.assertIn(b"([203.0.113.9])", self.house.acceptance.parcels.pop().content.header)

    def test_our_network_is_judged_behind_it(self) -> None:
        """The proxy's own address grants its clients nothing."""
        self.house.settle(lan=(ip_network("192.0.2.0/24"),))
        peer = self.house.peer(address="192.0.2.7", wait=False)
        peer.send(self.HEADER)
        self.house.clock.advance(1)
        peer.taken()
        said = talk(peer, "EHLO a.test", "MAIL FROM:<ann@example.org>")
        self.assertEqual(code(said), "550 5.7.1")

    def test_no_header(self) -> None:
        """A listed proxy that says anything else, or nothing, is dropped without a word."""
        peer = self.house.peer(address="192.0.2.7", wait=False)
        peer.send(b"EHLO a.test\r\n")
        self.assertEqual((peer.taken(), peer.closed()), (b"", True))
        silent = self.house.peer(address="192.0.2.7", wait=False)
        self.house.clock.advance(self.house.settings.limits.handshake)
        self.assertTrue(silent.closed())

    def test_strangers_are_no_proxies(self) -> None:
        """The same line from anybody else is an early talker's."""
        peer = self.house.peer(wait=False)
        peer.send(self.HEADER)
        self.house.clock.advance(1)
        self.assertTrue(peer.taken().startswith(b"554"))

    def test_banned_client(self) -> None:
        """The guard hears of the client, not of the proxy."""
        self.house.guard.banned.add(ip_address("203.0.113.9"))
        peer = self.house.peer(address="192.0.2.7", wait=False)
        peer.send(self.HEADER)
        self.assertTrue(peer.taken().startswith(b"421 4.7.0"))


class TlsTests(SynchronousTestCase):
    """Handshakes that fail."""

    def test_handshake_too_long(self) -> None:
        """60 seconds, then cut off."""
        for service in ("submissions", "smtp"):
            house = House()
            peer = house.peer(service)
            if service == "smtp":
                talk(peer, "EHLO a.test", "STARTTLS")
            house.clock.advance(59)
            self.assertFalse(peer.closed())
            house.clock.advance(1)
            self.assertTrue(peer.transport.gone)
            self.assertIn("too long", house.journal.of(told.TlsFailed)[0].reason)
            house.close()

    def test_no_common_version(self) -> None:
        """TLS 1.1 is refused, and the journal says why."""
        house = House()
        peer = house.peer("submissions")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.assertRaises(ssl.SSLError, peer.start_tls, context)
        peer.hang_up()
        self.assertTrue(house.journal.of(told.TlsFailed)[0].reason)
        house.close()

    def test_hang_up_in_handshake(self) -> None:
        """A peer that leaves is told once, and nothing breaks."""
        house = House()
        peer = house.peer("submissions")
        peer.hang_up()
        self.assertEqual(len(house.journal.of(told.TlsFailed)), 1)
        self.assertEqual(house.journal.failures, [])
        house.close()

    def test_strictness(self) -> None:
        """Strict ciphers for users, whatever TLS gives for port 25."""
        house = House()
        house.peer("submissions")
        peer = house.peer()
        talk(peer, "EHLO a.test", "STARTTLS")
        self.assertEqual(house.certificates.asked, [True, False])
        house.close()

    def test_no_certificate(self) -> None:
        """Without one STARTTLS is not offered, and 465 cannot be opened."""
        house = House()
        house.station = SmtpStation(house.parts, None)
        peer = house.peer()
        self.assertNotIn("STARTTLS", talk(peer, "EHLO a.test"))
        self.assertEqual(code(talk(peer, "STARTTLS")), "454 4.7.0")
        self.assertRaises(ValueError, house.station.factory, "submissions")
        house.close()

    def test_broken_certificate(self) -> None:
        """When TLS cannot even begin, the connection ends and the journal has the reason."""
        house = House()

        def fails(*, strict: bool = True) -> object:
            raise SSL.Error([("", "", "no key")])

        house.certificates.for_server = fails  # type: ignore[method-assign]
        peer = house.peer()
        talk(peer, "EHLO a.test", "STARTTLS")
        self.assertTrue(peer.closed())
        self.assertEqual(len(house.journal.failures), 1)
        house.close()


class FlowTests(SynchronousTestCase):
    """Fast writers, slow readers, silence."""

    def test_reading_stops_while_busy(self) -> None:
        """While a message is being accepted a peer that goes on talking is not read for ever; nothing is lost."""
        house = House(strangers=Room())
        house.acceptance.slow = True
        peer = house.peer()
        talk(peer, *TO_DATA)
        peer.send(MESSAGE)
        for _ in range(10):
            peer.send(b"NOOP\r\n" * 2000)
        self.assertEqual(peer.transport.producerState, "paused")
        self.assertEqual(peer.taken(), b"")
        house.acceptance.go()
        self.assertEqual(peer.transport.producerState, "producing")
        self.assertEqual(peer.taken().count(b"250 2.0.0 "), 20_001)
        house.close()

    def test_a_peer_that_does_not_read(self) -> None:
        """When the transport's buffer is full no more commands are answered; after the idle time the peer is cut off."""
        house = House()
        peer = house.peer()
        valve: Any = peer.transport.producer
        valve.pauseProducing()
        talk(peer, "EHLO a.test")
        peer.send(b"NOOP\r\n" * 10)
        self.assertEqual(peer.taken(), b"")
        valve.resumeProducing()
        self.assertEqual(peer.taken().count(b"250 2.0.0 Ok"), 10)
        valve.pauseProducing()
        peer.send(b"NOOP\r\n")
        house.clock.advance(301)
        self.assertTrue(peer.transport.gone)
        house.close()

    def test_silence(self) -> None:
        """421 after the idle time: before EHLO, within a command, within content; octets alone are no progress."""
        for lines, octet in (((), b"N"), (TO_DATA, b"")):
            house = House()
            peer = house.peer()
            talk(peer, *lines)
            peer.taken()
            for _ in range(2):
                house.clock.advance(140)
                if octet:
                    peer.send(octet)
            house.clock.advance(21)
            self.assertTrue(peer.taken().startswith(b"421 4.4.2"), lines)
            self.assertTrue(peer.closed())
            house.close()

    def test_slow_content_is_progress(self) -> None:
        """A bad line may take long for a message: a phone's that has logged in, and a device's of the house."""
        for peer_of in (lambda house: house.user(), lambda house: house.peer(address=DEVICE)):
            house = House()
            peer = peer_of(house)
            talk(peer, "EHLO a.test", "MAIL FROM:<ann@example.org>", *TO_DATA[2:])
            for _ in range(20):
                house.clock.advance(200)
                peer.send(b"X: " + b"y" * 4000 + b"\r\n")
            self.assertFalse(peer.closed())
            house.close()

    def test_who_gathers_small_writes_does_not_wait(self) -> None:
        """While the end of a message is missing, what came is acknowledged at once; between commands it is not."""
        house = House()
        peer = house.peer()
        own = mock.Mock()
        vars(peer.transport)["socket"] = own
        talk(peer, "EHLO a.test", "MAIL FROM:<x@y.test>", "RCPT TO:<ann@example.org>")
        self.assertEqual(own.setsockopt.call_count, 0)
        self.assertEqual(code(talk(peer, "DATA")), "354 Send")
        for part in (b"From: x@y.test\r\n\r\n", b"hello\r\n"):
            own.reset_mock()
            peer.send(part)
            own.setsockopt.assert_called_once_with(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        own.setsockopt.side_effect = OSError  # a Unix socket knows no such thing
        peer.send(b"bye\r\n")
        peer.send(b".\r\n")
        self.assertIn(b"250 ", peer.taken())
        own.reset_mock()
        talk(peer, "NOOP")
        self.assertEqual(own.setsockopt.call_count, 0)
        house.close()

    def test_acceptance_is_no_silence(self) -> None:
        """However long acceptance takes, the peer is not blamed for it."""
        house = House()
        house.acceptance.slow = True
        peer = house.peer()
        talk(peer, *TO_DATA)
        peer.send(MESSAGE)
        house.clock.pump([100] * 10)
        self.assertFalse(peer.closed())
        house.acceptance.go()
        self.assertTrue(peer.taken().startswith(b"250"))
        house.close()

    def test_last_word_not_taken(self) -> None:
        """A peer that does not close after our last word is cut off."""
        house = House()
        peer = house.peer()
        talk(peer, "QUIT")
        self.assertFalse(peer.transport.gone)
        house.clock.advance(20)
        self.assertTrue(peer.transport.gone)
        house.close()

    def test_lost_while_accepting(self) -> None:
        """A message in acceptance is accepted though the peer is gone; the connection is forgotten only then."""
        house = House()
        house.acceptance.slow = True
        peer = house.peer()
        talk(peer, *TO_DATA)
        peer.send(MESSAGE)
        peer.hang_up()
        self.assertEqual(len(house.station), 1)
        house.acceptance.go()
        self.assertEqual(len(house.acceptance.parcels), 1)
        self.assertEqual(len(house.station), 0)
        self.assertEqual(len(house.journal.of(told.Accepted)), 1)
        self.assertEqual(house.journal.failures, [])
        house.close()

    def test_lost_in_content(self) -> None:
        """A message cut off in the middle is not kept, and the journal says so with its trace id."""
        house = House()
        peer = house.peer()
        talk(peer, *TO_DATA)
        peer.send(b"From: x@y.test\r\n\r\nhel")
        peer.hang_up()
        self.assertEqual(house.acceptance.parcels, [])
        (event,) = house.journal.of(told.Interrupted)
        self.assertTrue(event.trace)
        house.close()


class DrainTests(SynchronousTestCase):
    """SIGTERM."""

    def test_drain(self) -> None:
        """Who rests hears 421 at once; a message on its way is finished first; new ones are turned away."""
        house = House()
        idle, busy, content = house.peer(), house.peer(), house.peer()
        house.acceptance.slow = True
        talk(busy, *TO_DATA, MESSAGE)
        talk(content, *TO_DATA, b"From: x@y.test\r\n")
        idle.taken()
        drained = house.station.drain()
        self.assertTrue(idle.taken().startswith(b"421 4.3.2"))
        self.assertEqual((busy.taken(), content.taken()), (b"", b""))
        late = house.peer()
        self.assertTrue(late.taken().startswith(b"421 4.3.2"))
        content.send(b"\r\nhello\r\n.\r\n")
        house.acceptance.go()
        for peer in (busy, content):
            said = peer.taken().decode()
            self.assertEqual([line[:9] for line in said.splitlines()], ["250 2.0.0", "421 4.3.2"])
        self.assertNoResult(drained)
        for peer in house.peers:
            peer.hang_up()
        self.successResultOf(drained)
        self.assertEqual(len(house.acceptance.parcels), 2)
        house.close()

    def test_drain_ends(self) -> None:
        """After 30 seconds whoever is left is cut off."""
        house = House()
        peer = house.peer()
        talk(peer, *TO_DATA, b"From: x@y.test\r\n")
        drained = house.station.drain()
        house.clock.advance(29)
        self.assertNoResult(drained)
        house.clock.advance(1)
        self.successResultOf(drained)
        self.assertEqual(house.acceptance.parcels, [])
        house.close()

    def test_nobody_waits_for_a_farewell(self) -> None:
        """A peer that does not close in its turn holds a restart up for two seconds, not for twenty."""
        house = House()
        said_quit, idle = house.peer(), house.peer()
        talk(said_quit, "QUIT")
        house.clock.advance(1)
        drained = house.station.drain()
        self.assertTrue(idle.taken().startswith(b"220 ") and idle.transport.disconnecting)
        house.clock.advance(1.9)
        self.assertNoResult(drained)
        house.clock.advance(0.2)
        self.successResultOf(drained)
        self.assertTrue(said_quit.transport.gone and idle.transport.gone)
        house.close()

    def test_nobody_there(self) -> None:
        """Nothing to drain is drained at once."""
        house = House()
        self.successResultOf(house.station.drain())
        house.close()

    def test_no_timer_is_left(self) -> None:
        """After everybody is gone the clock has nothing to call."""
        house = House()
        assert isinstance(house.clock, Clock)
        peer = house.peer()
        talk(peer, *TO_DATA, MESSAGE, "QUIT")
        peer.hang_up()
        other = house.user()
        other.hang_up()
        self.assertEqual(house.clock.getDelayedCalls(), [])
        house.close()
