"""What the journal is told, how log-ins end, how strangers are judged, and which limits hold."""

from __future__ import annotations

import base64
from dataclasses import fields as fields_of
from dataclasses import replace
from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events import smtp as told
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.verdict import Action, Verdict
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.smtp.limits import Limits, Room
from tests.smtp.stage import DEVICE, STRANGER, House, code, talk

MAIL = ("EHLO a.test", "MAIL FROM:<x@y.test>", "RCPT TO:<ann@example.org>")


def message(author: str = "x@y.test", extra: bytes = b"") -> bytes:
    return b"From: " + author.encode() + b"\r\n" + extra + b"\r\nhello\r\n.\r\n"


class JournalTests(SynchronousTestCase):
    """One event for each thing the owner may ask about."""

    def setUp(self) -> None:
        self.house = House()
        self.addCleanup(self.house.close)

    def test_accepted(self) -> None:
        """Who, to whom, how large, how long, and the trace id that the peer was told."""
        peer = self.house.peer()
        talk(peer, *MAIL, "RCPT TO:<bob@example.org>", "DATA")
        self.house.clock.advance(2)
        said = talk(peer, message(extra=b"Message-ID: <1@y.test>\r\n"))
        (event,) = self.house.journal.of(told.Accepted)
        self.assertIn(event.trace, said)
        self.assertEqual((event.peer, event.helo, event.sender), (STRANGER, "a.test", "x@y.test"))
        self.assertEqual(event.recipient, ("ann@example.org", "bob@example.org"))
        self.assertEqual((event.message_id, event.size, event.seconds), ("<1@y.test>", 49, 2.0))
        self.assertEqual(self.house.acceptance.parcels[0].trace, event.trace)
        self.assertEqual(self.house.acceptance.parcels[0].message_id, "<1@y.test>")

    def test_refusals(self) -> None:
        """Each refusal carries a trace id and what the peer was told."""
        peer = self.house.peer()
        talk(peer, "EHLO a.test", "MAIL FROM:<ann@example.org>")
        talk(peer, "MAIL FROM:<x@y.test>", "RCPT TO:<nobody@example.org>", "RCPT TO:<v@elsewhere.test>")
        talk(peer, "RCPT TO:<ann@example.org>", "DATA", message("nobody"))
        (sender,) = self.house.journal.of(told.SenderRefused)
        recipients = self.house.journal.of(told.RecipientRefused)
        (content,) = self.house.journal.of(told.MessageRefused)
        self.assertEqual([event.told[:9] for event in recipients], ["550 5.1.1", "550 5.7.1"])
        self.assertEqual([event.recipient for event in recipients], ["nobody@example.org", "v@elsewhere.test"])
        self.assertEqual((sender.told[:9], content.told[:9]), ("550 5.7.1", "550 5.6.0"))
        self.assertNotEqual(sender.trace, content.trace)
        self.assertEqual({event.trace for event in recipients}, {content.trace})
        self.assertTrue(all(event.trace and event.reason for event in recipients))
        self.assertTrue(sender.trace and sender.reason and content.trace and content.reason)

    def test_a_changed_password_ends_sessions(self) -> None:
        """What is under way goes through; the next message of a log-in that would fail now is refused."""
        house = House()
        peer = house.user()
        self.assertEqual(code(talk(peer, "MAIL FROM:<ann@example.org>")), "250 2.1.0")
        house.log_in.passwords["ann@example.org"] = "another"
        self.assertEqual(code(talk(peer, "RCPT TO:<ann@example.org>")), "250 2.1.5")
        self.assertEqual(code(talk(peer, "RSET")), "250 2.0.0")
        self.assertEqual(code(talk(peer, "MAIL FROM:<ann@example.org>")), "421 4.7.0")

    def test_weak_password(self) -> None:
        """Nothing is sent by it from outside, from the next MAIL on; from home, and by others, all is as before."""
        peer = self.house.user()
        self.assertEqual(code(talk(peer, "MAIL FROM:<ann@example.org>", "RSET")), "250 2.0.0")
        self.house.log_in.weak.add("ann@example.org")
        said = talk(peer, "MAIL FROM:<ann@example.org>")
        self.assertIn("550 5.7.1 Your password is guessed easily", said)
        self.assertIn("weak", self.house.journal.of(told.SenderRefused)[-1].reason)
        home = self.house.user(address=DEVICE)
        self.assertEqual(code(talk(home, "MAIL FROM:<ann@example.org>")), "250 2.1.0")
        bob = self.house.user("bob@example.org", "hidden")
        self.assertEqual(code(talk(bob, "MAIL FROM:<bob@example.org>")), "250 2.1.0")

    def test_log_ins(self) -> None:
        """Good and bad ones; never a password."""
        peer = self.house.user()
        talk(peer, "QUIT")
        (event,) = self.house.journal.of(told.LoggedIn)
        self.assertEqual((event.account, event.mechanism, event.tls), ("ann@example.org", "PLAIN", "TLSv1.3"))
        self.assertEqual(self.house.guard.successes, [(ip_address(STRANGER), "submissions", "ann@example.org")])
        self.assertRaises(AssertionError, self.house.user, "ann@example.org", "wr0ng-pass")
        (failed,) = self.house.journal.of(told.LogInFailed)
        self.assertEqual((failed.username, failed.told), ("ann@example.org", "535 5.7.8 Wrong user name or password"))
        for one in self.house.journal.events:
            self.assertNotIn("secret", repr(one))
            self.assertNotIn("wr0ng", repr(one))

    def test_guard_hears(self) -> None:
        """Wrong passwords, unknown recipients and abuse of the protocol."""
        self.assertRaises(AssertionError, self.house.user, "ann@example.org", "wrong")
        peer = self.house.peer()
        talk(peer, *MAIL, "RCPT TO:<nobody@example.org>", "GET / HTTP/1.0")
        self.assertEqual(
            [(service, what) for _, service, _, what in self.house.guard.failures],
            [("submissions", "password"), ("smtp", "recipient"), ("smtp", "protocol")],
        )


class LogInTests(SynchronousTestCase):
    """RFC 4954 around the port."""

    def test_guard_refuses(self) -> None:
        """After too many failures even the right password is refused, in the same words, without being looked at."""
        house = House()
        peer = house.peer("submissions")
        peer.start_tls()
        talk(peer, "EHLO a")
        for number in range(10):
            self.assertEqual(code(talk(peer, "AUTH LOGIN YW5u", f"d3Jvbmc{number}")), "535 5.7.8", number)
        asked = len(house.log_in.asked)
        self.assertEqual(code(talk(peer, "AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=")), "535 5.7.8")
        self.assertEqual(len(house.log_in.asked), asked)
        house.close()

    def test_later(self) -> None:
        """When passwords cannot be checked now: 454, and nothing is counted."""
        house = House()
        house.log_in.busy = True
        peer = house.peer("submissions")
        peer.start_tls()
        self.assertEqual(code(talk(peer, "EHLO a", "AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=")), "454 4.7.0")
        self.assertEqual(house.guard.failures, [])
        house.close()

    def test_besieged(self) -> None:
        """While strangers guess at an account its main password is put off, which nobody counts; an app password is taken."""
        house = House()
        house.guard.besieged.add("ann@example.org")
        house.log_in.devices["k7f2"] = ("ann@example.org", "phone")
        peer = house.peer("submissions")
        peer.start_tls()
        main, device = (
            base64.b64encode(f"\0ann@example.org\0{password}".encode()).decode() for password in ("secret", "k7f2")
        )
        self.assertEqual(code(talk(peer, "EHLO a", f"AUTH PLAIN {main}")), "454 4.7.0")
        self.assertEqual(house.guard.failures, [])
        self.assertEqual(code(talk(peer, f"AUTH PLAIN {device}")), "235 2.7.0")
        house.close()

    def test_delay(self) -> None:
        """The guard may have a refusal held back; meanwhile nothing else is answered."""
        house = House()
        house.guard.delay = lambda peer, service: 3.0  # type: ignore[method-assign]
        peer = house.peer("submissions")
        peer.start_tls()
        talk(peer, "EHLO a")
        self.assertEqual(talk(peer, "AUTH PLAIN AGFubgB4", "NOOP"), "")
        house.clock.advance(3)
        self.assertEqual([line[:3] for line in peer.taken().decode().splitlines()], ["535", "250"])
        house.close()


class JudgementTests(SynchronousTestCase):
    """Strangers are judged; our own people are not."""

    class Checks:
        def __init__(self, verdict: Verdict) -> None:
            self.verdict = verdict
            self.seen: list[Parcel] = []

        async def examine(self, parcel: Parcel) -> Verdict:
            self.seen.append(parcel)
            return self.verdict

    def test_own_domain_from_outside(self) -> None:
        """Our name in From without evidence goes to Junk, and the journal says why; a forwarder's does not."""
        house = House()
        talk(house.peer(), *MAIL, "DATA", message("Ann <ann@example.org>"))
        self.assertIs(house.acceptance.parcels[0].verdict.action, Action.JUNK)
        self.assertIn("ann@example.org", house.journal.of(told.Accepted)[0].junk)
        talk(house.peer(), *MAIL, "DATA", message("x@y.test"))
        self.assertIs(house.acceptance.parcels[1].verdict.action, Action.ACCEPT)
        fwd = house.peer(address="198.51.100.77")
        talk(
            fwd,
            "EHLO f",
            "MAIL FROM:<bob@example.org>",
            "RCPT TO:<ann@example.org>",
            "DATA",
            message("bob@example.org"),
        )
        self.assertIs(house.acceptance.parcels[2].verdict.action, Action.ACCEPT)
        house.close()

    def test_checks(self) -> None:
        """Verdicts become replies; checks see the message as it arrived, and what they found goes on top of it."""
        for verdict, answer, kept in (
            (Verdict(), "250 2.0.0", 1),
            (Verdict(Action.JUNK, "smells", fields=b"X-Found: smell\n"), "250 2.0.0", 1),
            (Verdict(Action.REJECT, "spam"), "550 5.7.1", 0),
            (Verdict(Action.REJECT, "dmarc", Reply(550, "5.7.26", "DMARC")), "550 5.7.26", 0),
            (Verdict(Action.DEFER, "dns"), "451 4.7.1", 0),
        ):
            checks = self.Checks(verdict)
            house = House(checks=checks)
            content = message(extra=b"Return-Path: <a@b.test>\r\n")
            self.assertEqual(code(talk(house.peer(), *MAIL, "DATA", content)), answer)
            self.assertEqual(len(house.acceptance.parcels), kept)
            self.assertEqual(checks.seen[0].content.header, b"From: x@y.test\nReturn-Path: <a@b.test>\n\n")
            for parcel in house.acceptance.parcels:
                self.assertTrue(parcel.content.header.startswith(verdict.fields + b"Received: from a.test"))
                self.assertNotIn(b"Return-Path", parcel.content.header)
                octets = parcel.content.header + house.acceptance.bodies[-1]
                self.assertEqual(parcel.content.lines, octets.count(b"\n"))
            user = house.user()
            talk(user, "MAIL FROM:<ann@example.org>", "RCPT TO:<v@elsewhere.test>", "DATA", message("ann@example.org"))
            self.assertEqual(len(checks.seen), 1)
            house.close()


class SigningTests(SynchronousTestCase):
    """Our own name under our own mail, and under nothing else."""

    class Signing:
        def __init__(self) -> None:
            self.asked: list[tuple[str, bytes]] = []

        async def sign(self, content: Content, domain: str) -> bytes:
            self.asked.append((domain, content.header))
            return b"DKIM-Signature: d=" + domain.encode() + b"\n"

    def house(self) -> tuple[House, Signing]:
        signing = self.Signing()
        house = House()
        house.station.parts = replace(house.parts, signing=signing)
        self.addCleanup(house.close)
        return house, signing

    def test_ours(self) -> None:
        """Submitted mail and a device's is signed as its author's domain, over the header it leaves with."""
        house, signing = self.house()
        outside = "RCPT TO:<v@elsewhere.test>"
        talk(house.user(), "MAIL FROM:<ann@example.org>", outside, "DATA", message("ann@example.org"))
        device = house.peer(address=DEVICE)
        talk(device, "EHLO printer", "MAIL FROM:<bob@example.org>", outside, "DATA", message("bob@example.org"))
        self.assertEqual([domain for domain, _ in signing.asked], ["example.org", "example.org"])
        for (_, seen), parcel in zip(signing.asked, house.acceptance.parcels, strict=True):
            self.assertEqual(parcel.content.header, b"DKIM-Signature: d=example.org\n" + seen)
            self.assertIn(b"\nMessage-ID: ", seen)

    def test_not_ours(self) -> None:
        """A stranger's mail is not signed, whatever it claims; nor is a device's under somebody else's name."""
        house, signing = self.house()
        talk(house.peer(), *MAIL, "DATA", message("ann@example.org"))
        device = house.peer(address=DEVICE)
        talk(device, "EHLO printer", "MAIL FROM:<bob@example.org>", "RCPT TO:<v@elsewhere.test>", "DATA", message())
        self.assertEqual(len(house.acceptance.parcels), 2)
        self.assertEqual(signing.asked, [])


class FaultTests(SynchronousTestCase):
    """A fault of any port is 451 for that command, journaled, and the session lives."""

    def test_ports_that_raise(self) -> None:
        """Directory, room, ownership, log-in, guard."""

        async def fails(*args: object) -> None:
            raise RuntimeError("broken port")

        for break_it, lines in (
            (lambda house: setattr(house.directory, "resolve", fails), MAIL),
            (lambda house: setattr(house.acceptance, "room_for", fails), MAIL),
            (lambda house: setattr(house.acceptance, "accept", fails), (*MAIL, "DATA", message())),
        ):
            house = House()
            break_it(house)
            peer = house.peer()
            self.assertEqual(code(talk(peer, *lines)), "451 4.3.0")
            self.assertEqual(len(house.journal.failures), 1)
            self.assertEqual(code(talk(peer, "NOOP")), "250 2.0.0")
            house.close()
        house = House()
        peer = house.peer("submissions")
        peer.start_tls()
        house.log_in.log_in = fails  # type: ignore[method-assign,assignment]
        self.assertEqual(code(talk(peer, "EHLO a", "AUTH PLAIN AGFubgB4")), "451 4.3.0")
        self.assertEqual(code(talk(peer, "NOOP")), "250 2.0.0")
        house.close()

    def test_intake_that_raises(self) -> None:
        """A fault while content comes: the content is read to its end and answered once."""
        house = House(in_memory=10, spool_piece=10)

        class Broken:
            def run(self, *args: object) -> object:
                raise RuntimeError("no workers")

        object.__setattr__(house.parts, "workers", Broken())
        peer = house.peer()
        talk(peer, *MAIL, "DATA")
        said = talk(peer, b"From: x@y.test\r\n\r\nhello", b"hello hello hello\r\n", b"MAIL FROM:<>\r\n.\r\n", "NOOP")
        self.assertEqual([line[:9] for line in said.splitlines()], ["451 4.3.0", "250 2.0.0"])
        house.close()


class LimitTests(SynchronousTestCase):
    """Every field of Limits has a place where it is tested."""

    # field: the test or dialogue that would fail without it
    TESTED = {
        "message_size": "sizes.txt",
        "command_line": "long-line.txt",
        "auth_line": "test_auth_line_lengths",
        "recipients": "too-many-recipients.txt",
        "header_block": "header-too-large.txt",
        "header_lines": "test_limits",
        "received_fields": "loop.txt",
        "errors": "too-many-errors.txt",
        "unknown_recipients": "too-many-unknown.txt",
        "connections": "test_all_and_the_reserve",
        "reserve": "test_all_and_the_reserve",
        "connections_per_address": "test_per_address",
        "idle": "test_silence",
        "strangers": "test_patience",
        "known": "test_patience",
        "handshake": "test_handshake_too_long",
        "banner_wait": "early-talker.txt",
        "hold": "future-release.txt",
        "linger": "test_last_word_not_taken",
        "linger_at_stop": "test_nobody_waits_for_a_farewell",
        "drain": "test_drain_ends",
        "in_memory": "test_large",
        "memory_budget": "test_budget",
        "spool_piece": "test_memory_is_given_back_while_spooling",
        "arrivals": "test_pace",
        "longest_wait": "test_pace",
        "waiting_octets": "test_reading_stops_while_busy",
    }

    def test_every_limit_is_tested(self) -> None:
        """The table is whole."""
        self.assertEqual({field.name for field in fields_of(Limits)}, set(self.TESTED))

    def test_defaults(self) -> None:
        """The figures that were promised."""
        limits = Limits()
        self.assertEqual((limits.command_line, limits.auth_line), (2048, 12_288))
        self.assertEqual((limits.recipients, limits.header_block, limits.received_fields), (1000, 262_144, 50))
        self.assertEqual((limits.errors, limits.unknown_recipients), (20, 100))
        self.assertEqual((limits.connections, limits.connections_per_address), (400, 50))
        self.assertEqual((limits.handshake, limits.idle, limits.drain), (60, 300, 30))

    def test_pace(self) -> None:
        """Who opens connections too fast waits for the greeting, each longer; others, and the LAN, are not affected."""
        house = House(arrivals=6, longest_wait=25.0, banner_wait=0.0)
        addresses = [f"203.0.113.{number}" for number in range(12)]
        peers = [house.peer(address=address) for address in addresses]  # one /24
        greeted = [bool(peer.taken()) for peer in peers]
        self.assertEqual(greeted, [True] * 6 + [False] * 6)
        self.assertTrue(house.peer(address="198.51.100.9").taken().startswith(b"220"))
        self.assertTrue(all(house.peer(address=DEVICE).taken().startswith(b"220") for _ in range(9)))
        house.clock.advance(10)
        self.assertEqual([bool(peer.taken()) for peer in peers[6:]], [True] + [False] * 5)
        house.clock.advance(15)  # nobody waits longer than that
        self.assertEqual([bool(peer.taken()) for peer in peers[7:]], [True] * 5)
        slow = [event.seconds for event in house.journal.events if isinstance(event, told.SlowedDown)]
        self.assertEqual(slow, [10.0, 20.0, 25.0, 25.0, 25.0, 25.0])
        house.clock.advance(60)
        self.assertTrue(house.peer(address=addresses[0]).taken())
        house.close()

    def test_pace_at_home(self) -> None:
        """This machine, a container's gateway and a private network may come as fast as they like."""
        house = House(arrivals=2, longest_wait=60.0, banner_wait=0.0, connections=0, connections_per_address=0)
        for address in ("127.0.0.1", "::1", "172.17.0.1", "192.168.1.2", "10.1.2.3", "fd00::5", "fe80::1"):
            for _ in range(5):
                self.assertTrue(house.peer(address=address).taken().startswith(b"220"), address)
        house.close()

    def test_pace_of_an_account(self) -> None:
        """Log-ins of one account from everywhere; the answer to AUTH waits."""
        house = House(arrivals=2, longest_wait=60.0)
        token = base64.b64encode(b"\0ann@example.org\0secret").decode()
        said = []
        for number in range(3):
            peer = house.peer("submissions", f"198.51.{number}.9", wait=False)
            peer.start_tls()
            peer.taken()
            said.append(talk(peer, "EHLO laptop.test", f"AUTH PLAIN {token}").splitlines()[-1][:3])
        self.assertEqual(said, ["235", "235", "250"])
        house.clock.advance(31)
        self.assertEqual(peer.taken()[:3], b"235")
        house.close()

    def test_hundred_recipients(self) -> None:
        """At least 100 recipients are taken in one message, each once."""
        house = House()
        peer = house.peer()
        talk(peer, "EHLO a.test", "MAIL FROM:<x@y.test>")
        said = talk(peer, b"".join(b"RCPT TO:<ann+%d@example.org>\r\n" % (number % 150) for number in range(300)))
        self.assertEqual(said.count("250 2.1.5"), 300)
        talk(peer, "DATA", message())
        self.assertEqual(len(house.acceptance.parcels[0].envelope.recipients), 150)
        self.assertNotIn(b"for <", house.acceptance.parcels[0].content.header)
        house.close()

    def test_turns(self) -> None:
        """A long burst of commands is worked off in slices, others getting their turn; every command has its reply."""
        house = House(strangers=Room())
        peer = house.peer()
        ticks = iter(range(10_000_000))
        begin = house.clock.seconds()
        house.clock.seconds = lambda: begin + next(ticks) * 0.0015  # type: ignore[method-assign]
        peer.taken()
        peer.send(b"EHLO a\r\n" + b"NOOP\r\n" * 8000)
        self.assertEqual(peer.taken(), b"")
        turns: list[float] = []
        later = house.clock.callLater
        house.clock.callLater = lambda wait, *rest: turns.append(wait) or later(wait, *rest)  # type: ignore
        house.clock.advance(0)
        self.assertEqual(peer.taken().count(b"250 2.0.0"), 8000)
        self.assertGreater(turns.count(0), 2)
        house.close()

    def test_starttls_at_the_edge_of_a_slice(self) -> None:
        """Octets behind STARTTLS are seen also where a slice of commands ends."""
        house = House()
        peer = house.peer()
        talk(peer, "EHLO a.test")
        start = b"NOOP " + b"x" * (2048 - 7) + b"\r\n" + b"NOOP " + b"x" * (2048 - 7 - 10) + b"\r\n"
        said = talk(peer, start + b"STARTTLS\r\n" + b"MAIL FROM:<evil@y.test>\r\n")
        self.assertEqual([line[:3] for line in said.splitlines()], ["250", "250", "554"])
        self.assertTrue(peer.closed())
        self.assertIsNone(peer.transport.tls)
        house.close()

    def test_flat_memory(self) -> None:
        """Twenty large messages at once hold little of the budget."""
        house = House()
        peers = [house.peer(address=f"203.0.113.{number}") for number in range(20)]
        for peer in peers:
            talk(peer, *MAIL, "DATA")
            peer.send(b"From: x@y.test\r\n\r\n")
        least = house.parts.budget.left
        for _ in range(20):
            for peer in peers:
                peer.send(b"x" * 65_000 + b"\r\n")
                least = min(least, house.parts.budget.left)
        self.assertGreater(least, house.settings.limits.memory_budget - 20 * 400_000)
        for peer in peers:
            self.assertEqual(code(talk(peer, b"\r\n.\r\n")), "250 2.0.0")
        self.assertEqual({len(body) for body in house.acceptance.bodies}, {20 * 65_001 + 1})
        house.close()
