"""Both ends of the link in one process: pairing, the control channel, mail both ways, a cut line."""

from __future__ import annotations

import os
import stat
from typing import Any

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.link.keys import LinkFolder
from mailbox_appliance.link.pairing import CODE_SECONDS, MOST_TRIES
from mailbox_appliance.link.pool import LineAway
from mailbox_appliance.link.roster import Roster
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.link import Entry
from mailbox_appliance.wire.pairing import Code, PairingWrong
from tests.link.pair import Recorder, TwoHalves


class LinkCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.two = TwoHalves()
        self.addCleanup(self.two.stop)

    def names(self, journal: Any) -> list[str]:
        return [event.name for event in journal.events]


class PairingTests(LinkCase):
    def test_paired(self) -> None:
        """One code makes a pair: each keeps the other's certificate, in files for its own eyes only."""
        self.two.pair()
        edge, store = self.two.edge.pairing, self.two.store.pairing
        assert edge is not None and store is not None
        self.assertEqual(
            (edge.role, edge.name, store.role, store.name), ("edge", "home.example.org", "store", "mx.example.org")
        )
        self.assertEqual((store.host, store.port), ("mx.example.org", 4025))
        for folder in self.two.folders:
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode) & 0o077, 0)
            for name in os.listdir(folder):
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode), 0o600, name)
            self.assertIsNotNone(LinkFolder(folder).pairing())
        secrets = [
            repr(event) for journal in (self.two.edge_journal, self.two.store_journal) for event in journal.events
        ]
        self.assertNotIn("PRIVATE", "".join(secrets))

    def test_good_once(self) -> None:
        """A code that was used is void."""
        self.two.pair()
        code = Code("mx.example.org", 4025, b"0123456789")
        self.two.edge.code.make(code.secret)
        self.assertEqual(self.two.run(self.two.store.pair(code))[0].role, "store")
        results = self.two.run(self.two.store.pair(code))
        results[0].trap(PairingWrong)
        self.assertIn("no pairing code", str(results[0].value))

    def test_wrong_code(self) -> None:
        """A wrong code is refused, a few times; then the right one is void too."""
        self.two.start()
        secret = self.two.edge.code.make()
        for _ in range(MOST_TRIES):
            results = self.two.run(self.two.store.pair(Code("mx.example.org", 4025, b"wrong secr")))
            results[0].trap(PairingWrong)
        results = self.two.run(self.two.store.pair(Code("mx.example.org", 4025, secret)))
        results[0].trap(PairingWrong)
        self.assertIsNone(self.two.edge.pairing)
        self.assertEqual(self.names(self.two.edge_journal).count("link.pairing_refused"), MOST_TRIES + 1)

    def test_too_late(self) -> None:
        """After a quarter of an hour it is void."""
        self.two.start()
        secret = self.two.edge.code.make()
        self.two.pass_time(CODE_SECONDS + 10, 10)
        self.two.run(self.two.store.pair(Code("mx.example.org", 4025, secret)))[0].trap(PairingWrong)

    def test_edge_that_does_not_know(self) -> None:
        """An edge without the code cannot make a store believe it: who stands between learns nothing."""
        self.two.start()
        self.two.edge.code.make(b"a" * 10)
        self.two.run(self.two.store.pair(Code("mx.example.org", 4025, b"b" * 10)))[0].trap(PairingWrong)
        self.assertIsNone(self.two.store.pairing)

    def test_stranger(self) -> None:
        """A store that is not the paired one is hung up on, whatever it wants to speak."""
        self.two.pair()
        other = TwoHalves()
        self.addCleanup(other.stop)
        other.edge = self.two.edge
        other.net = self.two.net
        other.start = lambda: other  # type: ignore[method-assign]
        self.two.run(other.store.start())
        other.store.pairing = self.two.store.pairing
        self.two.run(other.store._connect_control())
        self.two.pass_time(2)
        self.assertIn("link.stranger", self.names(self.two.edge_journal))
        self.assertTrue(self.two.edge.is_up)
        self.assertEqual(self.two.edge.pairing.fingerprint, self.two.store._own.fingerprint)  # type: ignore[union-attr]

    def test_edge_changed(self) -> None:
        """A store does not speak with an edge that shows another certificate."""
        self.two.pair()
        self.two.run(self.two.edge.stop())
        for name in ("own.pem", "own.key"):
            os.unlink(os.path.join(self.two.folders[0], name))
        self.two.edge = self.two.new_edge()
        self.two.run(self.two.edge.start())
        self.two.pass_time(5)
        self.assertFalse(self.two.store.is_up)
        self.assertIn("pair again", self.two.store.trouble)


class ControlTests(LinkCase):
    def setUp(self) -> None:
        super().setUp()
        self.two.pair()

    def test_list_arrives(self) -> None:
        """The edge holds the list, and on its disk too: after a restart it knows it before the store comes."""
        self.assertEqual(self.two.edge.roster.digest, self.two.people.digest)
        self.two.run(self.two.edge.stop())
        again = self.two.new_edge()
        self.two.run(again.start())
        self.assertEqual(again.roster.digest, self.two.people.digest)
        self.two.run(again.stop())

    def test_change_within_seconds(self) -> None:
        """Somebody new, somebody gone, a full mailbox: known at the edge within seconds."""
        self.two.people = Roster(
            [
                Entry("domain", "example.org"),
                Entry("address", "bob@example.org", "df"),
                Entry("gone", "shop@example.org", text="Given up"),
            ]
        )
        self.two.pass_time(4)
        self.assertEqual(self.two.edge.roster.digest, self.two.people.digest)
        self.assertIsNone(self.two.edge.roster.get("address", "ann@example.org"))
        self.assertGreaterEqual(self.two.changes.count("list"), 2)

    def test_nothing_new_nothing_said(self) -> None:
        """An edge that holds the list already is not sent it again."""
        self.two.run(self.two.store.stop())
        self.two.store = self.two.new_store()
        before = self.two.changes.count("list")
        self.two.run(self.two.store.start())
        self.two.pass_time(4)
        self.assertTrue(self.two.edge.is_up)
        self.assertEqual(self.two.changes.count("list"), before)

    def test_ask(self) -> None:
        """An address that is on no list is asked for; without an answer in time there is none."""
        address = Address("SRS0=x=y=z=ann", "example.org")
        results: list[Any] = []
        self.two.judgement = Reply(250, "2.1.5", "yes")
        self.two.edge.ask(address, 100).addCallback(results.append)
        self.two.net.pump()
        self.assertEqual(self.two.asked, [(address, 100)])
        self.assertTrue(results[0].is_positive)
        self.two.net.cut()
        self.two.edge.ask(address, 100).addCallback(results.append)
        self.two.pass_time(6)
        self.assertIsNone(results[1])

    def test_silence(self) -> None:
        """A line that died without a word is given up by both, and dialled again when it can be."""
        self.two.net.cut()
        self.two.pass_time(70)
        self.assertFalse(self.two.edge.is_up or self.two.store.is_up)
        self.assertEqual(self.two.changes[-1], "down")
        self.two.net.reachable = True
        self.two.pass_time(40)
        self.assertTrue(self.two.edge.is_up and self.two.store.is_up)
        self.assertEqual(self.two.changes[-1], "up")

    def test_nonsense(self) -> None:
        """Who says what is in no table is hung up on, and the journal says so."""
        control: Any = self.two.store._control
        for nonsense in (b"list me\n", b"end " + b"0" * 32 + b"\n", b"x" * 5000, b"have - 0\n", b"\xff\n"):
            control = self.two.store._control
            control._connection.say(nonsense)
            self.two.pass_time(1)
            self.assertTrue(control._connection.lost, nonsense)
            self.two.pass_time(5)
            self.assertTrue(self.two.edge.is_up, nonsense)

    def test_store_redials(self) -> None:
        """A store that comes again before its old line was missed replaces it."""
        old = self.two.edge._control
        for pipe in self.two.net.pipes:
            pipe.cut = True
        self.two.run(self.two.store._connect_control())  # not while one is there
        self.two.store._control = None
        self.two.run(self.two.store._connect_control())
        self.two.pass_time(2)
        self.assertIsNot(self.two.edge._control, old)
        self.assertTrue(self.two.edge.is_up)


class MailTests(LinkCase):
    def setUp(self) -> None:
        super().setUp()
        self.two.pair()

    def test_roles_turn(self) -> None:
        """The store has dialled, and yet the edge is the client: it hears the store's greeting."""
        client = Recorder()
        self.two.run(self.two.edge.connect_down(Factory.forProtocol(lambda: client), 5.0))
        self.assertEqual(client.got, b"220 store\r\n")
        client.transport.write(b"EHLO mx.example.org\r\n")  # type: ignore[union-attr]
        self.two.net.pump()
        self.assertEqual(self.two.down_servers[0].got, b"EHLO mx.example.org\r\n")

    def test_pool_is_filled(self) -> None:
        """What is taken is replaced, so that many messages go at once."""
        clients = [Recorder() for _ in range(8)]
        for client in clients:
            results = self.two.run(self.two.edge.connect_down(Factory.forProtocol(lambda one=client: one), 5.0))
            self.assertEqual(results, [client])
        self.assertEqual([client.got for client in clients], [b"220 store\r\n"] * 8)

    def test_away(self) -> None:
        """Without a link there is no connection, and that is said at once."""
        self.two.run(self.two.store.stop())
        results = self.two.run(self.two.edge.connect_down(Factory.forProtocol(Recorder), 5.0))
        results[0].trap(LineAway)

    def test_up(self) -> None:
        """The store sends through the edge."""
        client = Recorder()
        self.two.run(self.two.store.connect_up(Factory.forProtocol(lambda: client)))
        self.assertEqual(client.got, b"220 edge\r\n")
        client.transport.write(b"QUIT\r\n")  # type: ignore[union-attr]
        self.two.net.pump()
        self.assertEqual(self.two.up_servers[0].got, b"QUIT\r\n")

    def test_cut_ends_all(self) -> None:
        """When the line dies, what was under way ends on both sides, and is not waited for."""
        client = Recorder()
        self.two.run(self.two.edge.connect_down(Factory.forProtocol(lambda: client), 5.0))
        self.two.net.cut()
        self.two.pass_time(70)
        self.assertTrue(client.gone and self.two.down_servers[0].gone)

    def test_resting_connections_are_asked(self) -> None:
        """A connection at rest that no longer answers is thrown away before anybody is given it."""
        rested = len(self.two.edge.down)
        self.assertGreaterEqual(rested, 2)
        control: Any = self.two.edge._control
        for pipe in self.two.net.pipes:
            inside = pipe.right.protocol.wrappedProtocol
            pipe.cut = inside is not control
        self.two.pass_time(45)
        self.assertTrue(self.two.edge.is_up)
        client = Recorder()
        results = self.two.run(self.two.edge.connect_down(Factory.forProtocol(lambda: client), 5.0))
        self.two.pass_time(20)
        self.assertEqual(client.got, b"220 store\r\n", results)
