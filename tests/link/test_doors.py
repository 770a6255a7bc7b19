"""What came over the link comes in once; what waits at the edge waits for the store and for nobody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.link.carriage import AWAY, HandOver
from mailbox_appliance.link.directory import FULL, EdgeDirectory
from mailbox_appliance.link.doors import HERE_ALREADY, NO_RELAY, NOT_PAIRED, OnceDoor, QueueDoor
from mailbox_appliance.link.facts import Facts, NoFacts, facts_of, in_our_name, once_more, take_facts, with_facts
from mailbox_appliance.link.roster import Incoming, Roster
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.verdict import Action, Evidence, Verdict
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.ports.delivery import Parcel, Receipt
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.ports.rounds import Commit
from mailbox_appliance.ports.users import Known, NotOurs, Unknown
from mailbox_appliance.wire.link import Added, Entry, LinkWrong
from tests.kit.fake_directory import FakeDirectory
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import PostOffice

ANN, BOB, FAMILY = (Address(name, "example.org") for name in ("ann", "bob", "family"))
CONTENT = Content(b"From: x@far.example\nSubject: hi\n\n", b"hello\n", 4)
CLIENT = Client(ip_address("203.0.113.7"), 50_000, "smtp", "far.example", True, "TLSv1.3", "AES")
JUNK = Verdict(Action.JUNK, "looks bad", score=7.5, is_final=False)


def now(work: Any) -> Any:
    """The result of what waits for nothing."""
    from twisted.internet.defer import Deferred

    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


class Taken:
    """ports.link.TakenOver in memory; what is in a round's rows counts when it is committed."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, Address]] = set()

    async def known(self, id: str, paths: Iterable[Address]) -> frozenset[Address]:
        return frozenset(path for path in paths if (id, path) in self.seen)

    def rows(self, id: str, paths: Iterable[Address]) -> Any:
        return [(id, path) for path in paths]

    async def forget_old(self) -> int:
        return 0


class Inner:
    """The store's door: keeps, or says ``reply``."""

    def __init__(self, taken: Taken) -> None:
        self.taken = taken
        self.reply = Reply(250, "2.1.5", "Delivered")
        self.parcels: list[Parcel] = []

    async def room_for(self, recipient: Recipient, octets: int) -> Reply | None:
        return None

    async def accept(self, parcel: Parcel) -> tuple[Receipt, ...]:
        self.parcels.append(parcel)
        if self.reply.is_positive:
            for rows in parcel.rows:
                self.taken.seen.update(rows)  # type: ignore[arg-type]
        return tuple(Receipt(one, self.reply) for one in parcel.envelope.recipients)


class Rounds:
    def __init__(self, taken: Taken) -> None:
        self.taken = taken

    async def commit(self, job: Commit) -> None:
        for rows in job.rows:
            self.taken.seen.update(rows)  # type: ignore[arg-type]


def parcel(*to: Address, content: Content = CONTENT, origin: Origin = Origin.PAIRED) -> Parcel:
    envelope = Envelope(Address("x", "far.example"), tuple(map(Recipient, to)))
    return Parcel("here", origin, envelope, content)


class FactsTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        """Client, TLS and verdict arrive as they were, and the message is what it was."""
        sent = Parcel("edge1", Origin.WAN, Envelope(None, require_tls=True), CONTENT, JUNK, CLIENT, "<1@x>")
        facts, content = take_facts(with_facts(CONTENT, facts_of(sent, 17.0)))
        self.assertEqual(content, CONTENT)
        self.assertEqual(facts, Facts("edge1", Origin.WAN, 17.0, CLIENT, JUNK, "<1@x>", True))
        self.assertTrue(take_facts(once_more(with_facts(CONTENT, facts)))[0].again)

    def test_what_was_found_out(self) -> None:
        """Evidence, author and proof travel whole: the store judges with them as if it had found them itself."""
        evidence = (Evidence("spf", "pass", 0.0, "good; and\nmore", "none"), Evidence("dkim", "fail", 0.5))
        found = Verdict(
            Action.REJECT, "perhaps", None, evidence, 9.5, b"Authentication-Results: mx.example.org; spf=pass\n",
            is_final=False, rests=True, author=Address("x", "far.example"), is_proven=True,
        )  # fmt: skip
        facts, content = take_facts(with_facts(CONTENT, Facts("e1", Origin.WAN, 1.0, CLIENT, found)))
        self.assertEqual((facts.verdict, content), (found, CONTENT))

    def test_one_name(self) -> None:
        """Results are said under the store's name, and nobody else's words are touched."""
        fields = b"Authentication-Results: mx.example.org;\n\tspf=pass smtp.mailfrom=far.example\n"
        theirs = CONTENT.with_prefix(b"Authentication-Results: other.example; spf=fail\n")
        verdict, content = in_our_name(Verdict(fields=fields), theirs.with_prefix(fields), "home.example.org")
        renamed = fields.replace(b"mx.example.org", b"home.example.org")
        self.assertEqual((verdict.fields, content), (renamed, theirs.with_prefix(renamed)))

    def test_what_a_stranger_wrote(self) -> None:
        """The topmost field is the other half's; one that was in the message is taken out unread."""
        forged = with_facts(CONTENT, Facts("forged", Origin.LOCAL, 0.0))
        facts, content = take_facts(with_facts(forged, Facts("true", Origin.WAN, 1.0)))
        self.assertEqual((facts.id, content), ("true", CONTENT))

    def test_waited_since_before(self) -> None:
        """Mail that waits at the edge while it is updated says less, and comes in all the same."""
        data = {"id": "e1", "origin": "wan", "arrived": 5.0, "action": "junk", "reason": "bad", "score": 7.0}
        data |= {"message_id": "<1@x>", "require_tls": False}
        field = b"X-Mailappliance-Link: " + base64.urlsafe_b64encode(json.dumps(data).encode()) + b"\n"
        facts, content = take_facts(CONTENT.with_prefix(field))
        verdict = Verdict(Action.JUNK, "bad", score=7.0)
        self.assertEqual((facts.verdict, facts.message_id, content), (verdict, "<1@x>", CONTENT))

    def test_damaged(self) -> None:
        """No field, or a broken one: NoFacts and nothing else."""
        self.assertRaises(NoFacts, take_facts, CONTENT)
        for value in (b"x", b"e30=", b"bnVsbA==", b"\xff", b""):
            self.assertRaises(NoFacts, take_facts, CONTENT.with_prefix(b"X-Mailappliance-Link: " + value + b"\n"))


class OnceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.taken = Taken()
        self.inner = Inner(self.taken)
        self.journal = RememberedJournal()
        directory = FakeDirectory(
            {"example.org": "ann@example.org"},
            ["ann@example.org", "bob@example.org"],
            {"family@example.org": ["ann@example.org", "bob@example.org"]},
        )
        self.found = False
        self.looked: list[str] = []

        async def was_delivered(id: str, path: Address, since: float) -> bool:
            self.looked.append(id)
            return self.found

        self.door = OnceDoor(
            self.inner,
            self.taken,
            Rounds(self.taken),
            self.journal,
            directory,
            was_delivered,
        )
        self.content = with_facts(CONTENT, Facts("e1", Origin.WAN, 5.0, CLIENT, JUNK))

    def accept(self, *to: Address, content: Content | None = None) -> Sequence[Receipt]:
        return now(self.door.accept(parcel(*to, content=content or self.content)))  # type: ignore[no-any-return]

    def test_once(self) -> None:
        """The second time it is said to be here, and nothing is delivered."""
        self.assertTrue(self.accept(ANN)[0].reply.is_positive)
        self.assertEqual(self.accept(ANN)[0].reply, HERE_ALREADY)
        self.assertEqual(len(self.inner.parcels), 1)
        self.assertTrue(self.accept(BOB)[0].reply.is_positive)
        self.assertEqual(len(self.inner.parcels), 2)

    def test_as_if_seen_here(self) -> None:
        """Delivery sees the client, origin and verdict of the edge, and a message without the field."""
        self.accept(ANN)
        (seen,) = self.inner.parcels
        self.assertEqual((seen.origin, seen.client, seen.content), (Origin.WAN, CLIENT, CONTENT))
        self.assertEqual(seen.verdict, JUNK)

    def test_refused_is_not_remembered(self) -> None:
        """A full mailbox today may take it tomorrow."""
        self.inner.reply = Reply(452, "4.2.2", "full")
        self.assertEqual(self.accept(ANN)[0].reply.code, 452)
        self.inner.reply = Reply(250, "2.1.5", "Delivered")
        self.assertEqual(self.accept(ANN)[0].reply.text, "Delivered")

    def test_two_addresses_one_account(self) -> None:
        """An alias and its member: the member gets it once, the others too."""
        self.accept(ANN)
        self.accept(FAMILY)
        to = [one.forward_path for seen in self.inner.parcels for one in seen.envelope.recipients]
        self.assertEqual(to, [ANN, BOB])

    def test_killed_in_between(self) -> None:
        """The file is there, the row is not: what may have come before is looked for in the mailbox."""
        self.found = True
        self.assertEqual(self.accept(ANN, content=once_more(self.content))[0].reply, HERE_ALREADY)
        self.assertEqual((self.looked, self.inner.parcels), (["e1"], []))
        self.assertEqual(self.accept(ANN)[0].reply, HERE_ALREADY)

    def test_first_time_is_not_looked_for(self) -> None:
        """What was never on the line costs no search."""
        self.accept(ANN)
        self.assertEqual(self.looked, [])

    def test_strangers(self) -> None:
        """No facts, or an address elsewhere: refused; the edge is no way to relay through the store."""
        self.assertEqual(self.accept(ANN, content=CONTENT)[0].reply, NOT_PAIRED)
        self.assertEqual(self.accept(Address("z", "far.example"))[0].reply, NO_RELAY)
        self.assertEqual(self.inner.parcels, [])

    def test_others_go_through(self) -> None:
        """Mail that did not come over the link is none of its business."""
        now(self.door.accept(parcel(ANN, content=CONTENT, origin=Origin.WAN)))
        self.assertEqual(len(self.inner.parcels), 1)


class NobodyToAsk:
    def __init__(self) -> None:
        self.reply: Reply | None = None
        self.asked = 0

    async def ask(self, address: Address, octets: int) -> Reply | None:
        self.asked += 1
        return self.reply


class DirectoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.asker = NobodyToAsk()
        self.roster = Roster(
            [
                Entry("domain", "example.org"),
                Entry("domain", "all.example"),
                Entry("catchall", "all.example"),
                Entry("address", "ann@example.org", "d"),
                Entry("address", "full@example.org", "f"),
                Entry("gone", "shop@example.org", text="Given up"),
            ]
        )
        self.directory = EdgeDirectory(lambda: self.roster, self.asker, self.clock)  # type: ignore[arg-type]

    def resolve(self, text: str) -> Any:
        return now(self.directory.resolve(Address(*text.split("@"))))

    def test_table(self) -> None:
        """Each kind of row, and what is on none."""
        for text in ("ann@example.org", "ANN+shop@example.org", "full@example.org", "who@all.example", "postmaster@"):
            self.assertIsInstance(self.resolve(text), Known, text)
        for text in ("bob@example.org", "full+x@example.org", "shop@example.org"):
            self.assertIsInstance(self.resolve(text), Unknown, text)
        self.assertEqual(self.resolve("shop@example.org").text, "Given up")
        for text in ("x@elsewhere.test", "nobody@"):
            self.assertIsInstance(self.resolve(text), NotOurs, text)
        self.assertEqual(self.directory.domains(), {"example.org", "all.example"})

    def test_persons(self) -> None:
        """Whom forgers imitate, for the checks."""
        self.assertEqual(now(self.directory.display_names()), {})
        self.roster = Roster([Entry("person", "ann@example.org", text="Ann Müller"), Entry("domain", "example.org")])
        self.assertEqual(now(self.directory.display_names()), {Address("ann", "example.org"): "Ann Müller"})
        self.assertEqual(Roster.from_octets(self.roster.to_octets()).digest, self.roster.digest)

    def test_full(self) -> None:
        """A full mailbox is refused while the sender listens."""
        room = now(self.directory.room(Recipient(Address("full", "example.org")), 10))
        self.assertEqual(room, FULL)
        self.assertIsNone(now(self.directory.room(Recipient(ANN), 10)))

    def test_store_is_asked(self) -> None:
        """What is on no list is the store's to say, a few times a second; its words are repeated."""
        self.asker.reply = Reply(250, "2.1.5", "yes")
        self.assertIsInstance(self.resolve("new@example.org"), Known)
        self.asker.reply = Reply(550, "5.1.1", "No longer")
        self.assertEqual(self.resolve("old@example.org"), Unknown("No longer"))
        for number in range(500):
            self.resolve(f"guess{number}@example.org")
        self.assertLess(self.asker.asked, 60)

    def test_keyed_while_away(self) -> None:
        """A bounce to forwarded mail is not refused for good while nobody can look at its key."""
        self.assertIsInstance(self.resolve("SRS0=a=b=c=d@example.org"), Known)
        room = now(self.directory.room(Recipient(Address("SRS0=a=b=c=d", "example.org")), 0))
        self.assertEqual(room.code, 451)

    def test_standing(self) -> None:
        """What one person has said of a sender: by address before domain, by whatever address he is written to."""
        self.roster = Roster(
            [
                Entry("domain", "example.org"),
                Entry("address", "ann@example.org", "d"),
                Entry("address", "info@example.org", "d", "ann@example.org"),
                Entry("address", "bob@example.org", "d"),
                Entry("address", "family@example.org", "d"),
                Entry("sender", "ann@example.org @spam.example", "b"),
                Entry("sender", "ann@example.org nice@spam.example", "a"),
            ]
        )
        for recipient, author, expected in (
            ("ann", "x@spam.example", Standing.BLOCKED),
            ("ANN+shop", "X@deep.spam.example", Standing.BLOCKED),
            ("info", "x@spam.example", Standing.BLOCKED),
            ("ann", "nice@spam.example", Standing.ALLOWED),
            ("bob", "x@spam.example", Standing.NONE),
            ("family", "x@spam.example", Standing.NONE),
            ("nobody", "x@spam.example", Standing.NONE),
            ("ann", "x@notspam.example", Standing.NONE),
        ):
            who, whom = Address(recipient, "example.org"), Address(*author.split("@"))
            self.assertEqual(self.directory.standing(who, whom), expected, (recipient, author))


class QueueDoorTests(SynchronousTestCase):
    """The edge's own door."""

    def setUp(self) -> None:
        self.office = PostOffice(self.mktemp(), start=False)
        self.addCleanup(self.office.close)
        blocked = self.blocked = {(ANN, "spam.example"): Standing.BLOCKED}

        async def room(recipient: Recipient, octets: int) -> Reply | None:
            return None

        self.journal = RememberedJournal()
        self.door = QueueDoor(
            self.office.spool,
            self.office.rounds,
            room,
            self.office.clock,
            self.journal,
            lambda recipient, author: blocked.get((recipient, author.domain), Standing.NONE),
        )

    def codes(self, *to: Address, author: str = "spam.example", each: bool = False, **more: Any) -> list[int]:
        verdict = Verdict(is_final=False, author=Address("x", author))
        made = replace(parcel(*to, origin=Origin.WAN), verdict=verdict, each_answered=each, **more)
        return [receipt.reply.code for receipt in now(self.door.accept(made))]

    def test_blocked(self) -> None:
        """Refused while he listens: alone, or where each hears an answer of his own; else the store puts it aside."""
        self.assertEqual(self.codes(ANN), [550])
        self.assertEqual(self.codes(ANN, author="far.example"), [250])
        self.assertEqual(self.codes(ANN, BOB, each=True), [550, 250])
        self.assertEqual(self.codes(ANN, BOB), [250, 250])
        self.assertEqual(len([one for one in self.journal.events if one.name == "delivery.refused"]), 2)

    def test_allowed(self) -> None:
        """What nobody would take comes in for who has allowed its author; the others hear why, where they can."""
        self.blocked[(BOB, "friend.example")] = Standing.ALLOWED
        verdict = Verdict(Action.REJECT, "31 points", Reply(550, "5.7.1", "spam"), is_final=False)
        verdict = replace(verdict, author=Address("x", "friend.example"))
        for to, each, expected in (
            ((BOB,), False, [250]),
            ((ANN,), False, [550]),
            ((ANN, BOB), True, [550, 250]),
            ((ANN, BOB), False, [250, 250]),
        ):
            made = replace(parcel(*to, origin=Origin.WAN), verdict=verdict, each_answered=each)
            self.assertEqual([one.reply.code for one in now(self.door.accept(made))], expected, to)
        # In an unclear case the store judges, by each person's own filter.
        made = replace(parcel(ANN, origin=Origin.WAN), verdict=replace(verdict, rests=True))
        self.assertEqual([one.reply.code for one in now(self.door.accept(made))], [250])

    def test_our_store(self) -> None:
        """What our store sends out is nobody's to block."""
        self.assertEqual(self.codes(ANN, origin=Origin.PAIRED), [250])


class HandOverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sent: list[Shipment] = []
        self.outcome = Outcome(Result.DELIVERED, Reply(250, "", "ok"), remote=True)

        async def way(shipment: Shipment) -> tuple[Outcome, ...]:
            self.sent.append(shipment)
            return (self.outcome,)

        self.ways: tuple[Any, ...] = (way,)
        self.hand_over = HandOver(lambda: self.ways)
        self.shipment = Shipment(
            "t1", Envelope(None, (Recipient(ANN), Recipient(BOB)), require_tls=True), CONTENT, "local"
        )

    def test_one_by_one(self) -> None:
        """Each recipient has a transaction, and so an answer, of its own."""
        outcomes = now(self.hand_over.carry(self.shipment))
        self.assertEqual(outcomes, (self.outcome, self.outcome))
        self.assertEqual([len(one.envelope.recipients) for one in self.sent], [1, 1])
        self.assertFalse(any(one.envelope.require_tls for one in self.sent))

    def test_two_ways(self) -> None:
        """The straight one first; when it fails, whatever the reason, the link, with the remark that it may be there."""
        by_door: list[Shipment] = []
        answer = Outcome(Result.TRY_AGAIN, Reply(535, "5.7.8", "who?"), remote=True)

        async def straight(shipment: Shipment) -> tuple[Outcome, ...]:
            by_door.append(shipment)
            return (answer,)

        self.ways = (straight, *self.ways)
        self.hand_over.accepted("t1")
        self.shipment = replace(self.shipment, envelope=Envelope(None, (Recipient(ANN),)))
        self.assertEqual(now(self.hand_over.carry(self.shipment)), (self.outcome,))
        marked = [b"X-Mailappliance-Again" in one.content.header for one in (*by_door, *self.sent)]
        self.assertEqual(marked, [False, True])
        for result in (Result.DELIVERED, Result.FAILED):
            answer = Outcome(result, Reply(250 if result is Result.DELIVERED else 550, "", "said"), remote=True)
            self.assertEqual(now(self.hand_over.carry(self.shipment)), (answer,))
        self.assertEqual((len(by_door), len(self.sent)), (3, 1))

    def test_may_have_come_before(self) -> None:
        """New mail has not; what was on a line once, or waited through a restart, may have."""
        self.hand_over.accepted("t1")
        ways, self.ways = self.ways, ()
        self.assertEqual(now(self.hand_over.carry(self.shipment)), (AWAY, AWAY))
        self.ways = ways
        now(self.hand_over.carry(self.shipment))
        now(self.hand_over.carry(self.shipment))
        marked = [b"X-Mailappliance-Again" in one.content.header for one in self.sent]
        self.assertEqual(marked, [False, False, True, True])


class RosterTests(SynchronousTestCase):
    def test_whole_and_change(self) -> None:
        """A list and each change of it arrive; whatever the order, the same rows have the same digest."""
        first = Roster([Entry("domain", "a"), Entry("address", "x@a", "d")])
        second = Roster([Entry("address", "y@a"), Entry("domain", "a"), Entry("address", "x@a", "df")])
        incoming = Incoming(Roster())
        for target, lines in ((first, first.whole()), (second, second.since(first)), (first, first.since(second))):
            done = [incoming.receive(said) for said in lines]
            self.assertEqual(done, [None] * (len(lines) - 1) + [True])
            self.assertEqual(incoming.roster.digest, target.digest)
            self.assertEqual(set(incoming.roster.entries()), set(target.entries()))
        self.assertEqual(Roster(reversed(list(second.entries()))).digest, second.digest)

    def test_does_not_fit(self) -> None:
        """A change of a list that we do not hold leaves ours alone."""
        first, second = Roster([Entry("domain", "a")]), Roster([Entry("domain", "b")])
        incoming = Incoming(Roster())
        self.assertIs([incoming.receive(said) for said in second.since(first)][-1], False)
        self.assertEqual(len(incoming.roster), 0)
        self.assertRaises(LinkWrong, incoming.receive, Added(Entry("domain", "a")))

    def test_disk(self) -> None:
        """There and back; a damaged file is no list."""
        roster = Roster([Entry("domain", "a"), Entry("gone", "x@a", text="no more")])
        octets = roster.to_octets()
        again = Roster.from_octets(octets)
        assert again is not None
        self.assertEqual(again.digest, roster.digest)
        for damaged in (b"", octets[:-5], octets.replace(b"x@a", b"z@a"), b"\xff\n"):
            self.assertIsNone(Roster.from_octets(damaged))
