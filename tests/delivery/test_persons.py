"""Verdicts of single recipients: folders, refusals in the session, what rests in Rejects."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.delivery.rests import DAYS, MOST, MOST_A_DAY, Resting, clear_rests
from mailbox_appliance.delivery.routing import Routing, RoutingSettings
from mailbox_appliance.journal.events.delivery import Kept, Refused, Rested, RestsRemoved
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.verdict import Action, Personal, Verdict
from mailbox_appliance.ports.delivery import Parcel
from tests.kit.post_office import HOST, PostOffice
from tests.store.kit import ANN as STORE_ANN
from tests.store.kit import StoreCase

SPAM = Reply(550, "5.7.1", "spam")
LATER = Reply(451, "4.7.1", "later")
GOOD = Personal(Verdict())
JUNK = Personal(Verdict(Action.JUNK))
REFUSED = Personal(Verdict(Action.REJECT, reply=SPAM, rests=True))
BLOCKED = Personal(Verdict(Action.REJECT, reply=SPAM))
GREY = Personal(Verdict(Action.DEFER, reply=LATER), Action.ACCEPT)
OPEN = Verdict(is_final=False)
ANN, BOB = "ann@example.org", "bob@example.org"


class FakePersons:
    """Fits ports.checks.PersonalChecks: verdicts as written down."""

    def __init__(self, verdicts: dict[str, Personal]) -> None:
        self.verdicts = verdicts
        self.asked: list[str] = []

    async def examine_for(self, parcel: Parcel, account: Address | None) -> Personal:
        self.asked.append(str(account))
        return self.verdicts.get(str(account), GOOD)


class PersonTests(SynchronousTestCase):
    """Ann and Bob do not think alike."""

    def office(self, **verdicts: Personal) -> PostOffice:
        office = PostOffice(self.mktemp())
        self.addCleanup(office.close)
        named = {f"{name}@example.org" if name != "nobody" else "None": one for name, one in verdicts.items()}
        self.persons = FakePersons(named)
        routing = Routing(office.directory, office.stores, RoutingSettings(HOST), persons=self.persons)
        office.door._routing = routing
        return office

    def codes(self, office: PostOffice, *to: str, **more: object) -> list[int]:
        given = {"sender": "eve@example.net", "origin": Origin.WAN, "verdict": OPEN, **more}
        return office.codes(list(to), **given)

    def folders(self, office: PostOffice, account: str) -> list[str]:
        return sorted(place.mailbox for place in office.depot.there if str(place.account) == account)

    def test_each_his_own_folder(self) -> None:
        """Junk for Ann, INBOX for Bob; the keyword is on her copy only, and both share one file."""
        office = self.office(ann=JUNK)
        self.assertEqual(self.codes(office, ANN, BOB), [250, 250])
        self.assertEqual((self.folders(office, ANN), self.folders(office, BOB)), (["Junk"], ["INBOX"]))
        self.assertEqual([kept.why for kept in office.journal.of(Kept)], ["junk", ""])

    def test_refused_alone(self) -> None:
        """The only recipient refuses: 550 in the session, a copy rests in Rejects, nothing is queued or bounced."""
        office = self.office(bob=REFUSED)
        self.assertEqual(self.codes(office, BOB), [550])
        self.assertEqual(self.folders(office, BOB), ["Rejects"])
        self.assertEqual(len(office.journal.of(Rested)), 1)
        self.assertEqual([event.recipient for event in office.journal.of(Refused)], [BOB])
        self.assertEqual((office.rows(), office.queue_files()), (0, []))

    def test_blocked_does_not_rest(self) -> None:
        """Whom the recipient has blocked leaves nothing behind."""
        office = self.office(bob=BLOCKED)
        self.assertEqual(self.codes(office, BOB), [550])
        self.assertEqual(office.depot.there, [])

    def test_refused_among_others(self) -> None:
        """One 250 for all: whoever would have refused finds it in Junk; no bounce to a sender who may be forged."""
        office = self.office(bob=REFUSED)
        self.assertEqual(self.codes(office, ANN, BOB), [250, 250])
        self.assertEqual((self.folders(office, ANN), self.folders(office, BOB)), (["INBOX"], ["Junk"]))
        self.assertEqual(office.rows(), 0)

    def test_prdr(self) -> None:
        """With PRDR each recipient answers for himself (and nobody is answered for another)."""
        office = self.office(bob=REFUSED, cleo=GREY)
        self.assertEqual(self.codes(office, ANN, BOB, "cleo@example.org", each_answered=True), [250, 550, 451])
        self.assertEqual((self.folders(office, ANN), self.folders(office, BOB)), (["INBOX"], ["Rejects"]))
        self.assertEqual(self.folders(office, "cleo@example.org"), [])

    def test_junk_that_waits_for_room(self) -> None:
        """His mailbox is full, others take it, the machine begins anew: it still comes to Junk, and nobody else's does."""
        for ann, folder in ((JUNK, "Junk"), (REFUSED, "Junk"), (GOOD, "INBOX")):
            with self.subTest(ann=ann):
                office = self.office(ann=ann)
                for account in (ANN, "cleo@example.org"):
                    office.depot.limits[Address.parse(account)] = 10
                self.assertEqual(self.codes(office, ANN, BOB, "cleo@example.org"), [250, 250, 250])
                self.assertEqual((self.folders(office, ANN), office.rows()), ([], 2))
                office.close()
                again = PostOffice(office.root, clock=office.clock)
                self.addCleanup(again.close)
                again.later(400)
                self.assertEqual((self.folders(again, ANN), again.rows()), ([folder], 0))
                self.assertEqual(self.folders(again, "cleo@example.org"), ["INBOX"])
                self.assertEqual(
                    [kept.why for kept in again.journal.of(Kept) if kept.account == ANN],
                    ["junk" if folder == "Junk" else ""],
                )

    def test_junk_behind_an_alias_waits(self) -> None:
        """Of two behind one address each has his own verdict, also when one of them must wait."""
        office = self.office(ann=JUNK)
        office.depot.limits[Address.parse(ANN)] = 10
        self.assertEqual(self.codes(office, "family@example.org"), [250])
        office.depot.limits[Address.parse(ANN)] = 0
        office.later(400)
        self.assertEqual((self.folders(office, ANN), self.folders(office, BOB)), (["Junk"], ["INBOX"]))

    def test_all_refuse(self) -> None:
        """All refuse, each for his own reason: later beats never for who may come again."""
        office = self.office(ann=GREY, bob=REFUSED)
        self.assertEqual(self.codes(office, ANN, BOB), [451, 550])
        self.assertEqual(office.depot.there, [], "the message comes again, then it rests")

    def test_greylisted_among_others(self) -> None:
        """Who cannot be told to come again is taken as if nothing had been put off."""
        office = self.office(bob=GREY)
        self.assertEqual(self.codes(office, ANN, BOB), [250, 250])
        self.assertEqual(self.folders(office, BOB), ["INBOX"])

    def test_an_alias_of_two(self) -> None:
        """Behind one address the one takes it, the other finds it in Junk; when both refuse, it is refused."""
        office = self.office(bob=REFUSED)
        self.assertEqual(self.codes(office, "family@example.org"), [250])
        self.assertEqual((self.folders(office, ANN), self.folders(office, BOB)), (["INBOX"], ["Junk"]))
        office = self.office(ann=REFUSED, bob=REFUSED)
        self.assertEqual(self.codes(office, "family@example.org"), [550])
        self.assertEqual((self.folders(office, ANN), self.folders(office, BOB)), (["Rejects"], ["Rejects"]))

    def test_forwards(self) -> None:
        """What looks like junk to nobody in particular is not forwarded, and nobody but the peer hears it."""
        office = self.office(nobody=JUNK)
        self.assertEqual(self.codes(office, "away@example.org"), [550])
        self.assertEqual(self.codes(self.office(), "away@example.org"), [250])

    def test_final_verdicts(self) -> None:
        """Our own people's mail, and what is decided for all, is not asked about."""
        office = self.office(bob=REFUSED)
        self.assertEqual(office.codes([BOB]), [250])
        self.assertEqual(self.codes(office, BOB, verdict=Verdict(Action.JUNK)), [250])
        self.assertEqual(self.persons.asked, [])

    def test_flood(self) -> None:
        """So many a day rest, the others are refused all the same; tomorrow is another day."""
        office = self.office(bob=REFUSED)
        for _ in range(MOST_A_DAY + 3):
            self.assertEqual(self.codes(office, BOB), [550])
        self.assertEqual(len(self.folders(office, BOB)), MOST_A_DAY)
        clock = Clock()
        resting = Resting(clock)
        count = [resting.may_rest(STORE_ANN) for _ in range(MOST_A_DAY + 1)]
        self.assertEqual(count.count(True), MOST_A_DAY)
        clock.advance(86_400)
        self.assertTrue(resting.may_rest(STORE_ANN))


class ClearingTests(StoreCase):
    """Rejects does not grow for ever."""

    def test_old_ones_go(self) -> None:
        """After two weeks, and the oldest when there are too many; without the folder there is nothing to do."""
        shop, clock = self.shop, self.shop.clock
        clear = lambda: shop.do(clear_rests(shop.stores, STORE_ANN, clock, shop.journal))  # noqa: E731
        self.assertEqual(clear(), 0)
        shop.do(shop.store.create("Rejects"))
        moment = clock.seconds()
        shop.append("Subject: old\n\nx\n", name="Rejects", date=moment - DAYS * 86_400 - 60)
        shop.append("Subject: new\n\nx\n", name="Rejects", date=moment - DAYS * 86_400 + 60)
        self.assertEqual(clear(), 1)
        self.assertEqual(len(shop.open("Rejects").uids), 1)
        self.assertEqual([event.messages for event in shop.journal.of(RestsRemoved)], [1])
        for _ in range(MOST + 1):
            shop.append("Subject: new\n\nx\n", name="Rejects", date=moment)
        self.assertEqual(clear(), 2)
        self.assertEqual(len(shop.open("Rejects").uids), MOST)
