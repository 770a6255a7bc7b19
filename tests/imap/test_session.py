"""Sessions at their limits: log-in, floods, slow readers, large messages, faults, the end."""

from __future__ import annotations

import dataclasses
import os
import socket
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.imap.commands import TABLE
from mailbox_appliance.imap.settings import ImapSettings, Trouble
from mailbox_appliance.journal.events.imap import ImapEnded, ImapLoggedIn, ImapLogInFailed, ImapRefused
from mailbox_appliance.mail.client import peer_address
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.wire.imap.server import Limits
from tests.imap.stage import MESSAGES, ImapStage, World
from tests.kit.tls import Peer


class PiecesTests(SynchronousTestCase):
    """A command that comes in several packets."""

    def test_who_gathers_small_writes_does_not_wait(self) -> None:
        """While a message or the end of its command is missing, what came is acknowledged at once; else it is not."""
        stage = World().connect().log_in()
        own = mock.Mock()
        vars(stage.transport)["socket"] = own
        stage.ask("a NOOP")
        self.assertEqual(own.setsockopt.call_count, 0)
        message = MESSAGES["short"].replace(b"\n", b"\r\n")
        stage.send(b"b APPEND INBOX {%d}\r\n" % len(message))
        self.assertRegex(stage.taken(), rb"^\+ ")
        for part in (message[:10], message[10:]):
            own.reset_mock()
            stage.send(part)
            own.setsockopt.assert_called_once_with(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        own.setsockopt.side_effect = OSError  # a Unix socket knows no such thing
        stage.send(b"\r\n")
        self.assertRegex(stage.taken(), rb"b OK \[APPENDUID")
        own.reset_mock()
        stage.ask("c NOOP")
        self.assertEqual(own.setsockopt.call_count, 0)


class LogInTests(SynchronousTestCase):
    """Who comes in."""

    def test_a_web_browser(self) -> None:
        """Sent away at its first line: what stands in the rest of its request is not said back as tags."""
        stage = World().connect(clear=True)
        stage.taken()
        stage.send(b"POST / HTTP/1.1\r\nHost: mx.example.org\r\n\r\n<script>alert(1)</script> NOOP\r\n")
        said = stage.taken()
        self.assertNotIn(b"script", said)
        self.assertNotIn(b"Host", said)
        self.assertTrue(stage.closed())

    def test_octets_behind_starttls_are_never_run(self) -> None:
        """What was sent in clear behind STARTTLS is discarded, in the same packet or half a command of it."""
        stage = World().connect(clear=True)
        stage.taken()
        stage.send(b'a1 STARTTLS\r\na2 ID ("name" "evil")\r\na3 LOGIN {3+}\r\nann')
        self.assertEqual(stage.taken(), b"a1 OK Begin TLS now.\r\n")
        assert isinstance(stage.peer, Peer)
        stage.peer.start_tls()
        self.assertEqual(stage.ask("a4 NOOP"), b"a4 OK Done.\r\n")

    def test_a_changed_password_ends_sessions(self) -> None:
        """Whoever could not log in any more hears BYE at once, even while it idles; the others stay."""
        world = World()
        world.users.devices["device"] = ("ann@example.org", "phone")
        by_hand, phone, ben = (world.connect() for _ in range(3))
        for stage, words in (
            (by_hand, "ann@example.org secret"),
            (phone, "ann@example.org device"),
            (ben, "ben@example.org geheim"),
        ):
            self.assertIn(b"a OK", stage.ask(f"a LOGIN {words}"))
            self.assertIn(b"+ ", stage.ask("b IDLE"))
        world.house.look_at_log_ins()
        self.assertEqual([stage.closed() for stage in (by_hand, phone, ben)], [False, False, False])
        world.users.passwords["ann@example.org"] = "another"
        world.house.look_at_log_ins()
        world.clock.advance(0)
        self.assertEqual([stage.closed() for stage in (by_hand, phone, ben)], [True, False, False])
        self.assertRegex(by_hand.taken(), rb"^\* BYE Your password has changed")
        (ended,) = world.journal.of(ImapEnded)
        self.assertEqual(ended.reason, "withdrawn")

    def test_failures_are_counted(self) -> None:
        """The guard hears of each failure; after a few the connection is closed, known and unknown alike."""
        world = World()
        stage = world.connect()
        stage.taken()
        said = [stage.ask(f"a LOGIN {name} wrong") for name in ("ann@example.org", "nobody", "ben", "x", "y")]
        self.assertEqual(len(set(said[:4])), 1)
        self.assertIn(b"* BYE", said[4])
        self.assertTrue(stage.closed())
        self.assertEqual(len(world.guard.failures), 5)
        self.assertEqual([e.reason for e in world.journal.of(ImapLogInFailed)], ["password"] * 5)

    def test_success_is_told(self) -> None:
        """The guard and the journal hear of a good log-in."""
        world = World()
        world.connect().log_in()
        self.assertEqual(world.guard.successes, [(peer_address("192.0.2.9"), "imaps", "ann@example.org")])
        self.assertEqual([e.account for e in world.journal.of(ImapLoggedIn)], ["ann@example.org"])

    def test_refused_by_the_guard(self) -> None:
        """At the door with BYE, on imaps without a word; with the right password too."""
        world = World()
        world.guard.banned.add(peer_address("192.0.2.9"))
        stage = world.connect(clear=True, peer="::ffff:192.0.2.9")
        self.assertTrue(stage.taken().startswith(b"* BYE "))
        self.assertTrue(stage.closed())
        stage = world.connect()
        self.assertEqual(stage.taken(), b"")
        self.assertTrue(stage.closed())
        self.assertEqual([e.reason for e in world.journal.of(ImapRefused)], ["guard", "guard"])

    def test_banned_meanwhile(self) -> None:
        """A ban counts for connections that are open already."""
        world = World()
        stage = world.connect()
        world.guard.banned.add(peer_address("192.0.2.9"))
        said = stage.ask("a LOGIN ann@example.org secret")
        self.assertIn(b"a NO [LIMIT]", said)
        self.assertTrue(stage.closed())
        self.assertEqual(world.users.asked, [])

    def test_later(self) -> None:
        """When passwords cannot be checked it is nobody's failure."""
        world = World()
        world.users.busy = True
        self.assertIn(b"a NO [UNAVAILABLE]", world.connect().ask("a LOGIN ann@example.org secret"))
        self.assertEqual(world.guard.failures, [])

    def test_besieged(self) -> None:
        """While strangers guess at an account its main password is put off; after some tries the connection ends."""
        world = World()
        world.guard.besieged.add("ann@example.org")
        world.users.devices["k7f2"] = ("ann@example.org", "phone")
        stage = world.connect()
        for _ in range(5):
            self.assertIn(b"a NO [UNAVAILABLE]", stage.ask("a LOGIN ann@example.org secret"))
        self.assertTrue(stage.closed())
        self.assertEqual(world.guard.failures, [])
        self.assertIn(b"a OK", world.connect().ask("a LOGIN ann@example.org k7f2"))

    def test_the_answer_is_held_back(self) -> None:
        """The guard may delay a refusal."""
        world = World()
        world.guard.delay = lambda peer, service: 3.0  # type: ignore[method-assign]
        stage = world.connect()
        stage.taken()
        self.assertEqual(stage.ask("a LOGIN ann@example.org wrong"), b"")
        world.clock.advance(3)
        self.assertIn(b"a NO [AUTHENTICATIONFAILED]", stage.taken())

    def test_hidden_capabilities(self) -> None:
        """A client that told its name is not shown what it cannot live with; the owner may hide more from all."""
        world = World(
            ImapSettings(hidden=frozenset({"QUOTA"}), troubles=(Trouble("bad mail*", frozenset({"MOVE"}), before="2"),))
        )
        stage = world.connect()
        stage.ask('a ID ("name" "Bad Mail" "version" "1")')
        said = stage.ask("b LOGIN ann@example.org secret")
        self.assertNotIn(b" MOVE ", said)
        self.assertNotIn(b" QUOTA ", said)
        self.assertIn(b" MOVE ", world.connect().ask("b LOGIN ann@example.org secret"))
        stage = world.connect().log_in()
        self.assertNotIn(b"CAPABILITY", stage.ask('a ID ("name" "Bad Mail" "version" "2.0")'))
        said = stage.ask('b ID ("name" "Bad Mailer" "version" "1.9")')
        self.assertRegex(said, rb"^\* CAPABILITY [^\r]*\r\n\* ID ")
        self.assertNotIn(b" MOVE", said)
        self.assertIn(b"c BAD", stage.ask("c MOVE 1 Trash"))  # understood: only there is nothing selected

    def test_hidden_from_an_account(self) -> None:
        """What the owner hides from one account is neither told nor enabled, and others are told of it."""
        world = World()
        world.users.hidden["ann@example.org"] = frozenset({"QRESYNC", "UIDONLY"})
        said = world.connect().ask("a LOGIN ann@example.org secret")
        self.assertNotIn(b"QRESYNC", said)
        self.assertIn(b"CONDSTORE", said)
        self.assertIn(b"QRESYNC", world.connect().ask("a LOGIN ben@example.org geheim"))
        stage = world.connect().log_in()
        self.assertIn(b"* ENABLED CONDSTORE\r\n", stage.ask("b ENABLE QRESYNC CONDSTORE UIDONLY"))

    def test_idle_apart(self) -> None:
        """News at the beginning of IDLE in a packet of its own, for a program that reads one line there."""
        world = World(ImapSettings(troubles=(Trouble("one line", behaves=frozenset({"idle-apart"})),)))
        stage = world.connect().log_in("INBOX")
        stage.ask('a ID ("name" "One Line")')
        world.box().deliver(b"Subject: x\n\n", (), date=0)
        world.clock.advance(0)
        stage.transport.feed(b"b IDLE\r\n")
        self.assertEqual(stage.taken(), b"+ idling\r\n")
        world.clock.advance(0)
        self.assertIn(b"* 1 EXISTS", stage.taken())


class LimitsTests(SynchronousTestCase):
    """The table of limits, one row after another."""

    def test_connections(self) -> None:
        """So many from one address, so many in all, the last ones only for those who log in."""
        world = World(ImapSettings(connections_per_address=3, connections=6, reserved=2))
        stages = [world.connect() for _ in range(4)]
        self.assertEqual([s.closed() for s in stages], [False, False, False, True])
        others = [world.connect(peer=f"192.0.2.{n}") for n in range(20, 24)]
        self.assertEqual([s.closed() for s in others], [False, True, True, True])
        stages[0].log_in()
        stages[1].log_in()
        others = [world.connect(peer=f"192.0.2.{n}") for n in range(30, 34)]
        self.assertEqual([s.closed() for s in others], [False, False, True, True])
        for stage in stages:
            stage.transport.lose()
        self.assertEqual(world.house.connections, 3)
        self.assertFalse(world.connect().closed())

    def test_places_for_known_addresses(self) -> None:
        """Strangers who fill every place keep nobody out who has logged in from his address before."""
        world = World(ImapSettings(connections=6, reserved=4))
        world.connect(peer="192.0.2.1").log_in().ask("z LOGOUT")
        flood = [world.connect(peer=f"192.0.2.{n}") for n in range(20, 25)]
        self.assertEqual([s.closed() for s in flood].count(False), 2)
        phone = world.connect(peer="192.0.2.1")
        self.assertFalse(phone.closed())
        phone.log_in()

    def test_connections_of_an_ipv6_network(self) -> None:
        """A /64 counts as one address."""
        world = World(ImapSettings(connections_per_address=2))
        stages = [world.connect(peer=f"2001:db8::{n}") for n in range(1, 4)]
        self.assertEqual([s.closed() for s in stages], [False, False, True])
        self.assertFalse(world.connect(peer="2001:db8:0:1::1").closed())

    def test_close_where_nothing_can_be_removed(self) -> None:
        """CLOSE has no NO (RFC 3501 §6.4.2): a folder that keeps what is in it is left all the same."""
        world = World()
        world.box().deliver(b"Subject: x\n\n", ("\\Deleted",), date=0)
        stage = world.connect().log_in()
        stage.ask("a SELECT INBOX")
        problem = StoreError(Problem.NOT_ALLOWED, "what is in this folder cannot be removed")
        with mock.patch.object(type(world.box()), "expunge", side_effect=problem):
            self.assertIn(b"b NO [CANNOT]", stage.ask("b EXPUNGE"))
            self.assertIn(b"c OK", stage.ask("c CLOSE"))
        self.assertIn(b"d BAD", stage.ask("d FETCH 1 FLAGS"))
        stage.ask("e SELECT INBOX")
        with mock.patch.object(type(world.box()), "expunge", side_effect=StoreError(Problem.DISK, "the disk")):
            self.assertIn(b"f NO", stage.ask("f CLOSE"))

    def test_words_before_log_in_win_no_time(self) -> None:
        """Who drips octets or says NOOP keeps no place for ever; whoever has logged in may take his time."""
        for words in (b"a NOOP\r\n", b"x"):
            world = World(ImapSettings(login_timeout=180, bad_commands=1000))
            dripping, person = world.connect(), world.connect().log_in()
            for _ in range(17):
                dripping.send(words)
                person.ask("p NOOP")
                world.clock.advance(10)
                self.assertFalse(dripping.closed())
            world.clock.advance(10)
            dripping.send(words)
            world.clock.advance(20.1)
            self.assertTrue(dripping.closed())
            self.assertFalse(person.closed())

    def test_a_log_in_given_back(self) -> None:
        """After UNAUTHENTICATE the wait for a log-in begins anew."""
        world = World(ImapSettings(login_timeout=180))
        stage = world.connect().log_in()
        world.clock.advance(500)
        self.assertIn(b"a OK", stage.ask("a UNAUTHENTICATE"))
        world.clock.advance(170)
        self.assertFalse(stage.closed())
        world.clock.advance(31)
        self.assertTrue(stage.closed())

    def test_sessions_of_an_account(self) -> None:
        """One account holds so many sessions; one that ends makes room."""
        world = World(ImapSettings(sessions_per_account=2))
        first = world.connect().log_in()
        world.connect().log_in()
        third = world.connect()
        self.assertIn(b"a NO [LIMIT]", third.ask("a LOGIN ann@example.org secret"))
        self.assertIn(b"a OK", third.ask("a LOGIN ben@example.org geheim"))
        first.ask("z LOGOUT")
        first.transport.lose()
        world.connect().log_in()

    def test_before_log_in(self) -> None:
        """A line of 64 KiB, a literal of 8 KiB, 20 bad commands."""
        stage = World().connect()
        stage.taken()
        self.assertIn(b"a BAD [TOOBIG]", stage.ask("a NOOP " + "x" * 70_000))
        self.assertIn(b"b BAD [TOOBIG]", stage.ask("b LOGIN {8193}"))
        self.assertIn(b"+ OK", stage.ask("c LOGIN {8192}"))
        stage.send(b"x" * 8192 + b" y\r\n")
        self.assertIn(b"c NO [AUTHENTICATIONFAILED]", stage.taken())
        for _ in range(17):
            self.assertFalse(stage.closed())
            stage.ask("d FROBNICATE")
        self.assertIn(b"* BYE", stage.ask("e FROBNICATE"))
        self.assertTrue(stage.closed())

    def test_a_huge_literal_before_log_in(self) -> None:
        """It is not even swallowed."""
        stage = World().connect()
        self.assertIn(b"* BYE", stage.ask("a LOGIN {4294967296+}"))
        self.assertTrue(stage.closed())

    def test_time_outs(self) -> None:
        """Three minutes to log in, a minute to shake hands, thirty minutes of silence."""
        world = World()
        stranger, handshake = world.connect(), world.connect(clear=True)
        ann = world.connect().log_in()
        handshake.ask("a STARTTLS")
        world.clock.advance(61)
        world.clock.advance(0)
        self.assertTrue(handshake.closed())
        world.clock.advance(120)
        self.assertIn(b"* BYE", stranger.taken())
        self.assertTrue(stranger.closed())
        self.assertFalse(ann.closed())
        world.clock.advance(1500)
        ann.ask("a NOOP")
        world.clock.advance(1799)
        self.assertFalse(ann.closed())
        world.clock.advance(1)
        self.assertIn(b"* BYE", ann.taken())
        self.assertTrue(ann.closed())
        self.assertEqual([e.reason for e in world.journal.of(ImapEnded)], ["login timeout", "login timeout", "idle"])

    def test_deep_searches(self) -> None:
        """Ten thousand parentheses or NOTs are BAD, and the session lives."""
        world = World(dataclasses.replace(ImapSettings(), after_login=Limits(1 << 20, 1 << 20, 1 << 21)))
        stage = world.connect().log_in("INBOX")
        self.assertIn(b"a BAD", stage.ask("a SEARCH " + "(" * 10_000 + "ALL" + ")" * 10_000))
        self.assertIn(b"b BAD", stage.ask("b SEARCH " + "NOT " * 10_000 + "ALL"))
        self.assertIn(b"c OK", stage.ask("c NOOP"))

    def test_every_command_in_every_state(self) -> None:
        """Without arguments each verb gets exactly one tagged answer, and no fault of ours."""
        for mailbox in (None, "", "INBOX"):
            for verb in TABLE:
                if verb in ("IDLE", "LOGOUT", "STARTTLS", "AUTHENTICATE"):
                    continue
                world = World()
                stage = world.connect()
                if mailbox is not None:
                    stage.log_in(mailbox)
                stage.taken()
                said = stage.ask(f"t1 {verb}")
                self.assertEqual(said.count(b"t1 "), 1, (verb, said))
                self.assertEqual(world.journal.failures, [])


class AppendTests(SynchronousTestCase):
    """Messages in."""

    def append(self, stage: ImapStage, octets: bytes, sign: str = "+", piece: int = 50_000) -> bytes:
        stage.send(b"a APPEND Sent {%d%b}\r\n" % (len(octets), sign.encode()))
        if not sign:
            said = stage.taken()
            if said != b"+ OK\r\n":
                return said
        for start in range(0, len(octets), piece):
            stage.send(octets[start : start + piece])
        stage.send(b"\r\n")
        return stage.taken()

    def test_octets_are_kept(self) -> None:
        """Line ends become CRLF, everything else stays: bare CR, 8 bits, no end of line, CR at a chunk's end."""
        for octets, kept in (
            (b"a: b\r\n\r\nx\ry\r\r\nz", b"a: b\r\n\r\nx\ry\r\nz"),
            (b"a: b\n\nx\n", b"a: b\r\n\r\nx\r\n"),
            (bytes(range(1, 256)), bytes(range(1, 256)).replace(b"\n", b"\r\n")),
            (b"\r\n\r\n", b"\r\n\r\n"),
            (b"x\r", b"x\r"),
        ):
            for piece in (1, 2, 1000):
                world = World()
                said = self.append(world.connect().log_in(), octets, piece=piece)
                self.assertIn(b"a OK [APPENDUID 1002 1]", said)
                self.assertEqual(world.box("Sent").messages[0].octets, kept)

    def test_large_ones_go_to_the_disk(self) -> None:
        """Above the bound for memory the message lies in a spool file, which is gone afterwards."""
        folder = self.mktemp()
        os.mkdir(folder)
        world = World(ImapSettings(spool=folder, in_memory=1000))
        stage = world.connect().log_in()
        octets = b"Subject: long\r\n\r\n" + b"0123456789\r\n" * 30_000
        said = self.append(stage, octets)
        self.assertIn(b"a OK [APPENDUID 1002 1]", said)
        self.assertEqual(world.box("Sent").messages[0].octets, octets)
        self.assertIn("disk", world.workers.doors)
        self.assertEqual(os.listdir(folder), [])

    def test_no_folder_for_large_ones(self) -> None:
        """A disk that does not take the message is NO, the rest is swallowed, the session lives."""
        world = World(ImapSettings(spool=f"{__file__}/folder", in_memory=1000))
        stage = world.connect().log_in()
        self.assertIn(b"a NO [UNAVAILABLE]", self.append(stage, b"x" * 100_000))
        self.assertEqual(stage.ask("b NOOP"), b"b OK Done.\r\n")

    def test_the_peer_leaves_in_the_middle(self) -> None:
        """Nothing is stored, and the spool file goes."""
        folder = self.mktemp()
        os.mkdir(folder)
        world = World(ImapSettings(spool=folder, in_memory=1000))
        stage = world.connect().log_in()
        stage.send(b"a APPEND Sent {100000+}\r\n" + b"x" * 50_000)
        self.assertEqual(len(os.listdir(folder)), 1)
        stage.transport.lose()
        world.clock.advance(0)
        self.assertEqual(os.listdir(folder), [])
        self.assertEqual(world.box("Sent").messages, [])
        self.assertEqual(world.journal.failures, [])

    def test_full(self) -> None:
        """Over quota is said before "+"; one that comes all the same is refused after it."""
        world = World(limit=1000)
        stage = world.connect().log_in()
        self.assertIn(b"a NO [OVERQUOTA]", self.append(stage, b"x" * 2000, ""))
        self.assertIn(b"a NO [OVERQUOTA]", self.append(stage, b"x" * 2000))
        self.assertIn(b"b OK", stage.ask("b NOOP"))


class FaultTests(SynchronousTestCase):
    """What goes wrong on our side."""

    def test_a_fault_costs_one_command(self) -> None:
        """An unexpected exception is journaled and answered with NO; the session lives."""
        world = World()
        stage = world.connect().log_in()

        async def broken(name: str) -> Any:
            raise ZeroDivisionError("a secret path")

        world.store.status = broken  # type: ignore[method-assign]
        said = stage.ask("a STATUS INBOX (MESSAGES)")
        self.assertIn(b"a NO [SERVERBUG]", said)
        self.assertNotIn(b"secret", said)
        self.assertEqual(len(world.journal.failures), 1)
        self.assertIn(b"b OK", stage.ask("b NOOP"))

    def test_keywords_that_cannot_be_said(self) -> None:
        """What other programs left in the list of keywords and is none is passed over."""
        world = World()
        world.box().keywords += ["two words", "$Fine", "gr\u00fcn", ")"]
        world.box().deliver(MESSAGES["short"])
        world.box()._set(world.box().messages, 15 << 6, None)
        stage = world.connect().log_in()
        self.assertIn(b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Fine)\r\n", stage.ask("a SELECT INBOX"))
        self.assertIn(b"FLAGS (\\Recent $Fine)", stage.ask("b FETCH 1 FLAGS"))

    def test_refusals_have_codes(self) -> None:
        """The store's problems become response codes (RFC 5530)."""
        world = World()
        stage = world.connect().log_in()
        for problem, code in (
            (Problem.OVER_QUOTA, b"OVERQUOTA"),
            (Problem.LIMIT, b"LIMIT"),
            (Problem.BUSY, b"INUSE"),
            (Problem.DISK, b"UNAVAILABLE"),
            (Problem.NOT_ALLOWED, b"CANNOT"),
        ):
            world.store.refuse = StoreError(problem, "no\r\nnever")
            self.assertEqual(stage.ask("a CREATE x"), b"a NO [%b] no??never\r\n" % code)

    def test_a_file_that_shrinks(self) -> None:
        """Half a literal cannot be taken back: the connection ends."""
        world = World()
        box = world.box()
        box.deliver(b"a: b\n\n" + b"x" * 1_000_000)
        stage = world.connect().log_in("INBOX")
        files = box.files

        async def shrunk(uids: Sequence[int]) -> AsyncIterator[Any]:
            async for batch in files(uids):
                for file in batch:
                    file._octets = file._octets[:500_000]
                yield batch

        box.files = shrunk  # type: ignore[method-assign, assignment]
        stage.ask("a FETCH 1 BODY.PEEK[]")
        self.assertTrue(stage.closed())


class FlowTests(SynchronousTestCase):
    """Clients that do not read, that leave, that wait."""

    def test_a_client_that_does_not_read(self) -> None:
        """The answer stops while the transport is full, and goes on when it is not."""
        world = World()
        for _ in range(40):
            world.box().deliver(b"a: b\n\n" + b"x" * 100_000)
        stage = world.connect().log_in("INBOX")
        transport = stage.transport
        transport.producer.pauseProducing()
        stage.ask("a FETCH 1:* BODY.PEEK[]")
        self.assertLess(len(transport.value()), 400_000)
        stage.send(b"b NOOP\r\n" * 30_000)
        self.assertEqual(transport.producerState, "paused")
        got = 0
        while not stage.closed():
            said = stage.taken()
            got += len(said)
            if b"a OK" in said:
                break
            transport.producer.resumeProducing()
            world.clock.advance(0)
        self.assertGreater(got, 4_000_000)
        self.assertEqual(transport.producerState, "producing")

    def test_a_client_that_never_reads(self) -> None:
        """After the time-out the connection is cut."""
        world = World()
        world.box().deliver(b"a: b\n\n" + b"x" * 1_000_000)
        stage = world.connect().log_in("INBOX")
        stage.transport.producer.pauseProducing()
        stage.send(b"a FETCH 1 BODY.PEEK[]\r\n")
        world.clock.advance(1800)
        world.clock.advance(1800)
        self.assertTrue(stage.transport.gone)
        world.clock.advance(0)
        self.assertEqual(world.house.connections, 0)
        self.assertEqual(world.box().watchers, [])

    def test_leaving_during_a_search(self) -> None:
        """A search is cancelled when its client goes away."""
        world = World()
        cancelled: list[object] = []
        never: Deferred[list[int]] = Deferred(cancelled.append)

        async def search(*arguments: object) -> list[int]:
            return await never

        stage = world.connect().log_in("INBOX")
        world.box().search = search  # type: ignore[method-assign, assignment]
        stage.send(b"a SEARCH TEXT x\r\n")
        stage.transport.lose()
        world.clock.advance(0)
        self.assertEqual(cancelled, [never])
        self.assertEqual(world.box().watchers, [])
        self.assertEqual([e.reason for e in world.journal.of(ImapEnded)], ["closed"])

    def test_the_mailbox_is_released(self) -> None:
        """A session that ends, in whatever way, no longer watches."""
        for end in ("a LOGOUT", "a UNSELECT", "a CLOSE", "a SELECT Sent"):
            world = World()
            stage = world.connect().log_in("INBOX")
            self.assertEqual(len(world.box().watchers), 1)
            stage.ask(end)
            self.assertEqual(world.box().watchers, [], end)

    def test_drain(self) -> None:
        """SIGTERM: BYE to all who wait, nobody new."""
        world = World()
        stages = [world.connect(), world.connect().log_in("INBOX")]
        stages[1].ask("a IDLE")
        world.house.drain()
        world.clock.advance(0)
        for stage in stages:
            self.assertIn(b"* BYE", stage.taken())
            self.assertTrue(stage.closed())
        self.assertIn(b"* BYE", world.connect(clear=True).taken())

    def test_a_flood_of_changes(self) -> None:
        """Thousands of flags changed by others are told by their modification sequences, none is lost."""
        world = World()
        box = world.box()
        for _ in range(5000):
            box._add(MESSAGES["short"], 0, 0, 0)
        stage = world.connect().log_in("INBOX")
        for start in range(1, 5001, 2500):
            box._set(box.messages[start - 1 : start + 2499], 1, None)
        said = stage.ask("a NOOP")
        self.assertEqual(said.count(b"FETCH"), 5000)
        self.assertIn(b"* 5000 FETCH (UID 5000 FLAGS (\\Seen \\Recent))\r\n", said)

    def test_nagle_is_off(self) -> None:
        """Answers are not held back by the system."""
        self.assertTrue(World().connect().transport.nodelay)


class CompressTests(SynchronousTestCase):
    """COMPRESS=DEFLATE (RFC 4978)."""

    def begin(self, world: World | None = None) -> tuple[ImapStage, Any, Any]:
        stage = (world or World()).connect().log_in("INBOX")
        self.assertIn(b"c1 OK", stage.ask("c1 COMPRESS DEFLATE"))
        return stage, zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def ask(self, stage: ImapStage, deflate: Any, inflate: Any, octets: bytes) -> bytes:
        stage.send(deflate.compress(octets) + deflate.flush(zlib.Z_SYNC_FLUSH))
        said: bytes = inflate.decompress(stage.taken())
        return said

    def test_both_ways(self) -> None:
        """Commands and answers go compressed; each answer can be read at once; a second COMPRESS is refused."""
        world = World()
        world.box().deliver(MESSAGES["plain"])
        stage, deflate, inflate = self.begin(world)
        self.assertIn(b"c2 OK", self.ask(stage, deflate, inflate, b"c2 NOOP\r\n"))
        said = self.ask(stage, deflate, inflate, b"c3 FETCH 1 BODY.PEEK[]\r\nc4 COMPRESS DEFLATE\r\n")
        self.assertIn(b"afternoon meeting", said)
        self.assertIn(b"c4 NO [COMPRESSIONACTIVE]", said)
        self.assertEqual(world.journal.failures, [])

    def test_unknown(self) -> None:
        """Another mechanism is NO."""
        self.assertIn(b"c1 NO", World().connect().log_in().ask("c1 COMPRESS LZMA"))

    def test_in_one_packet(self) -> None:
        """What follows the command in the same packet is compressed already."""
        stage = World().connect().log_in("INBOX")
        deflate, inflate = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        tail = deflate.compress(b"c2 NOOP\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH)
        stage.send(b"c1 COMPRESS DEFLATE\r\n" + tail)
        plain, _, compressed = stage.taken().partition(b"\r\n")
        self.assertTrue(plain.startswith(b"c1 OK"))
        self.assertEqual(inflate.decompress(compressed), b"c2 OK Done.\r\n")

    def test_the_window_is_let_go(self) -> None:
        """After IDLE, and after some seconds without a word, the stream goes on with an empty window."""
        world = World()
        stage, deflate, inflate = self.begin(world)
        self.ask(stage, deflate, inflate, b"c2 IDLE\r\n")
        self.assertTrue(_deflate_of(stage).resting)
        world.box().deliver(MESSAGES["plain"])
        world.clock.advance(0)
        self.assertIn(b"* 1 EXISTS", inflate.decompress(stage.taken()))
        self.assertTrue(_deflate_of(stage).resting)
        self.assertIn(b"c2 OK", self.ask(stage, deflate, inflate, b"DONE\r\n"))
        self.ask(stage, deflate, inflate, b"c4 FETCH 1 BODY.PEEK[]\r\n" * 4)
        self.assertFalse(_deflate_of(stage).resting)
        world.clock.pump([5.0, 5.0, 5.0])
        self.assertTrue(_deflate_of(stage).resting)
        self.assertIn(b"c3 OK", self.ask(stage, deflate, inflate, b"c3 NOOP\r\n"))
        stage.transport.loseConnection()

    def test_idle_is_not_compressed(self) -> None:
        """News told together with "+ idling" take no fewer octets than they have: a peer that counts them reads all."""
        world = World()
        world.box().deliver(MESSAGES["plain"])
        stage, deflate, inflate = self.begin(world)
        self.ask(stage, deflate, inflate, b"c2 FETCH 1 (UID FLAGS BODY.PEEK[])\r\n" * 4)
        self.assertFalse(_deflate_of(stage).resting)
        world.box().change(1, ["\\Flagged", "\\Seen"])
        stage.send(deflate.compress(b"c3 IDLE\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH))
        octets = stage.taken()
        said = inflate.decompress(octets)
        self.assertIn(b"+ idling\r\n* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen", said)
        self.assertGreaterEqual(len(octets), len(said))
        stage.transport.loseConnection()

    def test_bomb(self) -> None:
        """A hundred megabytes in a hundred kilobytes: read a piece at a time, as a line that is too long."""
        stage, deflate, inflate = self.begin()
        bomb = deflate.compress(b"a" * 100_000_000) + deflate.flush(zlib.Z_SYNC_FLUSH)
        for start in range(0, len(bomb), 16_384):
            stage.send(bomb[start : start + 16_384])
            self.assertLess(stage.protocol._session.reader.buffered, 400_000)  # type: ignore[union-attr]
        for _ in range(3000):
            stage.world.clock.advance(0)
        said = self.ask(stage, deflate, inflate, b"\r\nc9 NOOP\r\n")
        self.assertIn(b"BAD [TOOBIG]", said)
        self.assertIn(b"c9 OK", said)

    def test_rubbish(self) -> None:
        """What is no deflate stream ends the session, and nothing else."""
        stage, _, inflate = self.begin()
        stage.send(b"\xff\xff\xff\xff")
        self.assertIn(b"* BYE", inflate.decompress(stage.taken()))
        self.assertTrue(stage.closed())
        self.assertEqual(stage.world.journal.failures, [])


def _deflate_of(stage: ImapStage) -> Any:
    return stage.protocol._session._compression  # type: ignore[union-attr]


class ResyncTests(SynchronousTestCase):
    """QRESYNC when the store has forgotten what vanished (RFC 7162 §3.2.5.2)."""

    def test_the_pairs_that_hold_spare_the_rest(self) -> None:
        """All UIDs that are not there are told, but only above the last pair of number and UID that still holds."""
        world = World()
        box = world.box()
        for _ in range(9):
            box.deliver(MESSAGES["short"])
        box.lose(2, 5, 7)

        async def forgotten(modseq: int) -> None:
            return None

        self.patch(box, "vanished_since", forgotten)
        stage = world.connect().log_in()
        stage.ask("a ENABLE QRESYNC")
        uidvalidity = box.uidvalidity
        said = stage.ask(f"b SELECT INBOX (QRESYNC ({uidvalidity} 90))")
        self.assertIn(b"* VANISHED (EARLIER) 2,5,7\r\n", said)
        said = stage.ask(f"c SELECT INBOX (QRESYNC ({uidvalidity} 90 1:9 (1,3,6 1,4,8)))")
        self.assertIn(b"* VANISHED (EARLIER) 5,7\r\n", said)
        said = stage.ask(f"d SELECT INBOX (QRESYNC ({uidvalidity} 90 1:9 (1,3 1,9)))")
        self.assertIn(b"* VANISHED (EARLIER) 2,5,7\r\n", said)


class ProgressTests(SynchronousTestCase):
    """A long search."""

    def test_still_at_it(self) -> None:
        """Every ten seconds the client hears that we are still at it (RFC 9585); not after the answer."""
        world = World()
        box = world.box()
        waiting: Deferred[list[int]] = Deferred()
        self.patch(box, "search", lambda *_: waiting)
        stage = world.connect().log_in("INBOX")
        self.assertEqual(stage.ask("s1 SEARCH BODY x"), b"")
        world.clock.advance(10)
        self.assertEqual(stage.taken(), b'* OK [INPROGRESS ("s1" NIL NIL)] Still at it.\r\n')
        world.clock.advance(10)
        self.assertIn(b"INPROGRESS", stage.taken())
        waiting.callback([])
        self.assertEqual(stage.taken(), b"* SEARCH\r\ns1 OK Searched.\r\n")
        world.clock.advance(10)
        self.assertEqual(stage.taken(), b"")
