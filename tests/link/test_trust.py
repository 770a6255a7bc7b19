"""What the edge found out counts at the store: return paths, bounces and ARC seals stand on it, and forgers gain nothing."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.sealing import Sealer
from mailbox_appliance.checks.signing import DkimKeys
from mailbox_appliance.link.doors import OnceDoor
from mailbox_appliance.link.facts import facts_of, with_facts
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.verdict import Action, Evidence, Personal, Verdict
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.users import Known, LocalMailbox, Resolution
from mailbox_appliance.queue.taken import CameOver
from mailbox_appliance.smtp.fields import strip_paired_fields
from mailbox_appliance.smtp.policy import Sender
from mailbox_appliance.smtp.recipients import rule
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import HOST, NOW, PostOffice, message, now
from tests.kit.workers import InlineWorkers

EDGE = "mx.example.org"
STRANGER = "x@far.example"


def found(result: str, **more: Any) -> Verdict:
    """The edge's verdict over a stranger."""
    fields = f"Authentication-Results: {EDGE}; spf={result} smtp.mailfrom=far.example\n".encode()
    return Verdict(evidence=(Evidence("spf", result),), fields=fields, is_final=False, **more)


class TrustTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        keys = DkimKeys(self.mktemp(), InlineWorkers(), self.clock, RememberedJournal())
        self.successResultOf(Deferred.fromCoroutine(keys.make("example.org")))
        sealer = Sealer(keys, InlineWorkers(), self.clock, RememberedJournal())
        self.office = PostOffice(self.mktemp(), clock=self.clock, sealing=sealer)
        self.addCleanup(self.office.close)
        taken = CameOver(self.office.spool, self.clock)
        self.door = OnceDoor(
            self.office.door, taken, self.office.rounds, RememberedJournal(), self.office.addresses, authserv_id=HOST
        )

    def bring(self, to: str, verdict: Verdict, sender: str | None = STRANGER) -> list[int]:
        """As the edge does: results on top, facts above them."""
        made = self.office.parcel([to], sender=sender, origin=Origin.WAN, verdict=verdict)
        content = with_facts(made.content.with_prefix(verdict.fields), facts_of(made, self.clock.seconds()))
        parcel = Parcel("here", Origin.PAIRED, made.envelope, content)
        return [receipt.reply.code for receipt in now(self.door.accept(parcel))]

    def test_proven_sender(self) -> None:
        """A pass at the edge: the forward bears a return path, its bounce goes back, and the seal carries the results."""
        self.assertEqual(self.bring("away@example.org", found("pass")), [250])
        (sent,) = self.office.relay.shipments
        path = sent.envelope.reverse_path
        assert path is not None
        self.assertEqual(path.domain, "example.org")
        header = sent.content.header
        self.assertRegex(header, rb"ARC-Authentication-Results: i=1;\s*mail\.example\.org;\s*spf=pass")
        self.assertIn(b"ARC-Seal: i=1;", header)
        self.assertNotIn(EDGE.encode(), header)
        self.assertEqual(self.bring(str(path), found("none"), None), [250])
        back = self.office.relay.shipments[-1].envelope
        self.assertIsNone(back.reverse_path)
        self.assertEqual([str(one.forward_path) for one in back.recipients], [STRANGER])

    def test_unproven_sender(self) -> None:
        """Without a pass nothing is ever returned to whoever was named: no backscatter by way of the edge."""
        self.assertEqual(self.bring("away@example.org", found("fail")), [250])
        path = self.office.relay.shipments[-1].envelope.reverse_path
        before = len(self.office.relay.shipments)
        self.assertEqual(self.bring(str(path), found("none"), None), [550])
        self.assertEqual(len(self.office.relay.shipments), before)

    def test_taken_already(self) -> None:
        """What a person refuses is put aside: the edge's client has been told that it was taken, and hears no more."""

        class Refusing:
            def __init__(self) -> None:
                self.asked: list[Verdict] = []

            async def examine_for(self, parcel: Parcel, account: Any) -> Personal:
                self.asked.append(parcel.verdict)
                return Personal(Verdict(Action.REJECT, "his filter says so"))

        persons = Refusing()
        self.office.routing._persons = persons  # type: ignore[assignment]
        verdict = found("pass", rests=True)
        self.assertEqual(self.bring("ann@example.org", verdict), [250])
        self.assertEqual(persons.asked[0].evidence, verdict.evidence)
        self.assertEqual([place.mailbox for place in self.office.depot.there], ["Junk"])

    def test_full_mailbox(self) -> None:
        """Nobody hears of it any more, so it is taken and waits here, once, as what it is; a restart changes nothing."""

        class Junk:
            async def examine_for(self, parcel: Parcel, account: Any) -> Personal:
                return Personal(Verdict(Action.JUNK))

        class GivenToShop:
            async def met(self, address: Address, sender: str, *, trusted: bool) -> str:
                return "shop.example"

        ann = Address("ann", "example.org")
        known = Known((LocalMailbox(ann),), "throwaway")
        others = self.office.directory.resolve

        async def resolve(address: Address) -> Resolution:
            return known if address.local == "shop-x1" else await others(address)

        self.patch(self.office.directory, "resolve", resolve)
        self.office.depot.limits[ann] = 10
        self.office.routing._throwaways = GivenToShop()
        self.office.routing._persons = Junk()  # type: ignore[assignment]
        self.assertEqual(self.bring("ann@example.org", found("pass")), [250])
        self.assertEqual(self.bring("shop-x1@example.org", found("pass")), [250])
        self.assertEqual((self.office.depot.there, self.office.rows()), ([], 2))
        self.office.close()
        again = PostOffice(self.office.root, clock=self.clock)
        self.addCleanup(again.close)
        again.later(400)
        self.assertEqual([place.mailbox for place in again.depot.there], ["Junk", "Junk"])
        self.assertEqual(sorted(map(sorted, again.depot.flags.values())), [["$Junk"], ["$Junk", "$Leak"]])
        self.assertEqual(again.rows(), 0)

    def test_full_at_rcpt(self) -> None:
        """Over the link a full mailbox is no reason to refuse, a full disk is; anybody else hears of both."""

        async def ruled(origin: Origin, sender: Sender, reply: Reply) -> Reply | None:
            async def room_for(recipient: Recipient, octets: int) -> Reply | None:
                return reply

            self.office.door.room_for = room_for  # type: ignore[method-assign]
            to = Recipient(Address("ann", "example.org"))
            return (await rule(self.office.addresses, self.office.door, origin, sender, to, 0)).reply

        full, disk = Reply(552, "5.2.2", "full"), Reply(452, "4.3.1", "no room")
        self.assertIsNone(now(ruled(Origin.PAIRED, Sender.THEIRS, full)))
        self.assertEqual(now(ruled(Origin.PAIRED, Sender.THEIRS, disk)), disk)
        self.assertEqual(now(ruled(Origin.WAN, Sender.THEIRS, full)), full)

    def test_forged_results(self) -> None:
        """Results in the store's own name that a stranger wrote are taken out where his mail comes over."""
        forged = f"Authentication-Results: {HOST}; dmarc=pass\n".encode()
        kept = b"Authentication-Results: other.example; dmarc=fail\nX-Mailappliance-Link: abc\n"
        header = message(more=(forged + kept).decode()).header
        self.assertEqual(strip_paired_fields(header, HOST), header.replace(forged, b""))
