"""One message, one transaction, five people: with PRDR each hears what his own lists and filter make of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.greylist import Greylist
from mailbox_appliance.checks.personal import Acquaintance, PersonalVerdicts
from mailbox_appliance.checks.senders import MIGRATIONS, Senders
from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.checks.standing import PeoplesWords
from mailbox_appliance.database import Database
from mailbox_appliance.delivery.routing import Routing, RoutingSettings
from mailbox_appliance.journal.events.delivery import Kept, Refused
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Evidence, Verdict
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.junk import Judgement
from tests.kit.fake_junk import FakeJunkFilter
from tests.kit.post_office import HOST, PostOffice, now
from tests.kit.workers import InlineWorkers
from tests.smtp.stage import House, talk

AUTHOR = Address("eve", "shop.example")
# What each person's filter says: logits.
TASTES = {"bob": 30.0, "cleo": 30.0, "dora": -30.0, "emil": 0.5}
PEOPLE = ("ann", "bob", "cleo", "dora", "emil")


class Tastes(FakeJunkFilter):
    async def judge(
        self, account: Address | None, content: Content, seen: Iterable[str] = (), *, explain: bool = False
    ) -> Judgement:
        score = TASTES.get(account.local if account is not None else "", 0.0)
        return Judgement(1.0 if score > 0 else 0.0, score, (), 100)


class Found:
    """ports.checks.Checks: some points against everybody's copy, not enough for anything by themselves."""

    async def examine(self, parcel: Parcel) -> Verdict:
        return Verdict(evidence=(Evidence("spf", "fail"),), is_final=False, author=AUTHOR, is_proven=True)


class PrdrTests(SynchronousTestCase):
    """The real session, door, lists and verdicts; the filter's taste is written down."""

    def setUp(self) -> None:
        self.office = office = PostOffice(self.mktemp())
        self.addCleanup(office.close)
        office.directory.mailboxes += [Address(name, "example.org") for name in ("dora", "emil")]
        senders = Senders(Database(os.path.join(office.root, "s.db"), MIGRATIONS, InlineWorkers()), office.clock)
        self.addCleanup(senders.close)
        now(senders.put(Address("ann", "example.org"), "@shop.example", allowed=False))
        now(senders.put(Address("cleo", "example.org"), str(AUTHOR), allowed=True))

        async def never(account: Address, author: Address) -> bool:
            return False

        settings = ChecksSettings("mx.example.org")
        acquaintance = Acquaintance(senders, Greylist(office.clock), never)
        persons = PersonalVerdicts(settings, Tastes(), acquaintance, office.journal)
        office.door._routing = Routing(office.directory, office.stores, RoutingSettings(HOST), persons=persons)
        self.house = house = House(checks=Found())
        self.addCleanup(house.close)
        words = PeoplesWords(senders, office.directory, lambda: settings)
        house.station.parts = house.parts = replace(
            house.parts, acceptance=office.door, directory=office.directory, lists=words
        )

    def said(self, prdr: bool, sender: str) -> list[str]:
        peer = self.house.peer()
        talk(peer, "EHLO a.test", f"MAIL FROM:<{sender}>{' PRDR' * prdr}")
        answers = talk(peer, *(f"RCPT TO:<{name}@example.org>" for name in PEOPLE)).splitlines()
        talk(peer, "DATA")
        return answers + talk(peer, f"From: {AUTHOR}\r\nSubject: x\r\n\r\nBuy.\r\n.\r\n".encode()).splitlines()

    def folders(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for place in self.office.depot.there:
            found.setdefault(place.account.local, []).append(place.mailbox)
        return found

    def test_each_his_own(self) -> None:
        """Ann has blocked the author, Bob's filter and the points refuse, Cleo allows, Dora's filter likes it, Emil's
        sends it to Junk: one answer each, and nothing in the queue."""
        said = self.said(True, "bounce@mailer.example")
        codes = [line[:9] for line in said]
        self.assertEqual([code[:3] for code in codes[:6]], ["250"] * 5 + ["353"])
        self.assertEqual([code[:3] for code in codes[6:]], ["550", "550", "250", "250", "250", "250"])
        self.assertIn("does not take mail from this sender", said[6])
        self.assertIn("looks like spam", said[7])
        self.assertEqual(self.folders(), {"bob": ["Rejects"], "cleo": ["INBOX"], "dora": ["INBOX"], "emil": ["Junk"]})
        self.assertEqual((self.office.rows(), self.office.queue_files()), (0, []))
        self.assertEqual({event.recipient.split("@")[0] for event in self.office.journal.of(Refused)}, {"ann", "bob"})

    def test_blocked_already_at_rcpt(self) -> None:
        """Where the envelope names the blocked domain, Ann is out before the content; the others go on as before."""
        said = self.said(True, "news@shop.example")
        self.assertEqual([line[:3] for line in said], ["550", *["250"] * 4, "353", "550", *["250"] * 4])
        self.assertNotIn("ann", self.folders())

    def test_without_prdr(self) -> None:
        """One answer for all: whoever would refuse has it in Junk, nobody else's copy is touched."""
        said = self.said(False, "bounce@mailer.example")
        self.assertEqual([line[:3] for line in said[5:]], ["250"])
        self.assertEqual(
            self.folders(),
            {"ann": ["Junk"], "bob": ["Junk"], "cleo": ["INBOX"], "dora": ["INBOX"], "emil": ["Junk"]},
        )
        self.assertEqual(len(self.office.journal.of(Kept)), 5)
