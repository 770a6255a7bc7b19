"""One recipient's own evidence: his lists, whom he knows, his filter, and whether a stranger must come again."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks import greylist, senders
from mailbox_appliance.checks.greylist import Greylist
from mailbox_appliance.checks.lately import Lately
from mailbox_appliance.checks.personal import Acquaintance, PersonalVerdicts
from mailbox_appliance.checks.senders import MIGRATIONS, Senders, TooMany, pattern_of
from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.checks.standing import PeoplesWords
from mailbox_appliance.database import Database
from mailbox_appliance.journal.events.checks import JudgedFor
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.client import Client, Origin, peer_address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Action, Evidence, Personal, Verdict
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.ports.delivery import Parcel
from tests.junk.letters import advertisement, content_of, note
from tests.kit.fake_directory import FakeDirectory
from tests.kit.fake_junk import FakeJunkFilter
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

ANN, BOB = Address("ann", "example.org"), Address("bob", "example.org")
EVE = Address("eve", "example.net")


class PersonalCase(SynchronousTestCase):
    """Ann, her lists and her filter."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.journal = RememberedJournal()
        self.workers = InlineWorkers()
        os.mkdir(folder := self.mktemp())
        self.senders = Senders(Database(os.path.join(folder, "s.db"), MIGRATIONS, self.workers), self.clock)
        self.addCleanup(self.senders.close)
        self.filter = FakeJunkFilter()
        self.greylist = Greylist(self.clock)
        self.written: set[Address] = set()
        self.waiting: set[Address] = set()
        self.late: list[Address] = []
        self.number = 0

    def do(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.successResultOf(Deferred.fromCoroutine(wait()))

    def judge(
        self,
        octets: bytes = b"",
        *evidence: Evidence,
        account: Address | None = ANN,
        proven: bool = True,
        trace: str = "",
        **settings: Any,
    ) -> Personal:
        async def has_written_to(account: Address, author: Address) -> bool:
            return author in self.written

        acquaintance = Acquaintance(
            self.senders, self.greylist, has_written_to, lambda one: one in self.waiting, self.late.append
        )
        given = ChecksSettings("mx.example.org", **settings)
        self.persons = PersonalVerdicts(given, self.filter, acquaintance, self.journal)
        self.number += 1
        verdict = Verdict(evidence=evidence, is_final=False, is_proven=proven, author=EVE)
        parcel = Parcel(
            trace or f"trace{self.number}",
            Origin.WAN,
            Envelope(EVE, (Recipient(ANN),)),
            self.content(octets or note()),
            verdict,
            Client(peer_address("192.0.2.9"), 4000, "smtp"),
        )
        result: Personal = self.do(self.persons.examine_for(parcel, account))
        return result

    def content(self, octets: bytes) -> Content:
        return content_of(octets)

    def teach(self, octets: bytes, times: int = 1) -> None:
        kept = b"Return-Path: <eve@example.net>\n" + octets
        self.filter.taught[ANN, kept] = True
        for number in range(times - 1):
            self.filter.taught[ANN, b"%d" % number] = True

    def found(self, personal: Personal) -> list[str]:
        return [f"{one.check} {one.result}" for one in personal.verdict.evidence]


class SourceTests(PersonalCase):
    """Each source of evidence."""

    def test_a_new_friend(self) -> None:
        """A first letter is taken; from the next day on he is somebody known, if his name is proven."""
        first = self.judge()
        self.assertEqual(
            (first.verdict.action, self.found(first)), (Action.ACCEPT, ["known first-time", "content ham"])
        )
        self.assertEqual(self.found(self.judge())[0], "known newcomer")
        self.clock.advance(86_400)
        self.assertEqual(self.found(self.judge())[0], "known sender")
        self.assertEqual(self.found(self.judge(proven=False))[0], "known first-time")
        self.assertEqual(self.found(self.judge(account=BOB))[0], "known first-time")

    def test_content(self) -> None:
        """What Ann's filter calls junk goes to her Junk, not to Bob's; other evidence makes it a refusal that rests."""
        self.teach(advertisement())
        self.assertEqual(self.judge(advertisement()).verdict.action, Action.JUNK)
        self.assertEqual(self.judge(advertisement(), account=BOB).verdict.action, Action.ACCEPT)
        more = Evidence("spf", "fail", reason="not his")
        refused = self.judge(advertisement(), more)
        self.assertEqual((refused.verdict.action, refused.verdict.rests), (Action.REJECT, True))
        self.assertEqual(refused.otherwise, Action.JUNK)
        judged = self.journal.of(JudgedFor)[-1]
        self.assertEqual((judged.account, judged.action), (str(ANN), "reject"))
        self.assertIn("without content junk it would be accepted", judged.otherwise)

    def test_the_journal_tells_no_words(self) -> None:
        """What the filter found in the text stays out of the journal."""
        self.teach(advertisement())
        self.judge(advertisement())
        self.assertNotIn("known junk", repr(self.journal.of(JudgedFor)))

    def say(self, letter: bytes, *, junk: bool, proven: bool = True) -> None:
        self.do(self.senders.said(ANN, EVE, letter, junk=junk, proven=proven))

    def test_what_was_moved(self) -> None:
        """A letter in Junk counts against the next of the same sender, two send it there; each may be taken back."""
        self.say(b"1", junk=True)
        first = self.judge()
        self.assertEqual((self.found(first)[0], first.verdict.action), ("known unwanted", Action.ACCEPT))
        self.say(b"1", junk=True)  # the same letter, by its keyword
        self.assertEqual(self.found(self.judge())[0], "known unwanted")
        self.say(b"2", junk=True)
        second = self.judge()
        self.assertEqual((self.found(second)[0], second.verdict.action), ("known unwanted often", Action.JUNK))
        self.assertIn(f"sender allow {ANN} {EVE}", self.journal.of(JudgedFor)[-1].otherwise[0])
        self.assertEqual(self.found(self.judge(account=BOB))[0], "known first-time")
        self.say(b"2", junk=False)
        self.say(b"1", junk=False)
        self.assertEqual(self.found(self.judge())[0], "known wanted")

    def test_a_forger_spoils_no_name(self) -> None:
        """What was said of letters that nobody stood behind is not held against him whose name they bore."""
        for letter in (b"1", b"2", b"3"):
            self.say(letter, junk=True, proven=False)
        self.assertEqual(self.found(self.judge())[0], "known first-time")
        self.assertEqual(self.judge(proven=False).verdict.action, Action.JUNK)
        self.do(self.senders.forget(ANN))
        self.assertEqual(self.judge(proven=False).verdict.action, Action.ACCEPT)

    def test_said_is_bounded(self) -> None:
        """The oldest words make room."""
        self.patch(senders, "MOST_SAID", 3)
        for number in range(6):
            self.say(b"%d" % number, junk=True)
            self.clock.advance(86_400)
        past = self.do(self.senders.acquainted(ANN, EVE, proven=True))
        self.assertEqual(past.junk, 3)

    def test_correspondents(self) -> None:
        """Whom Ann has written to is forgiven what looks like junk, if it is he."""
        self.teach(advertisement())
        self.written.add(EVE)
        self.assertEqual(self.judge(advertisement()).verdict.action, Action.ACCEPT)
        self.assertEqual(self.judge(advertisement(), proven=False).verdict.action, Action.JUNK)

    def test_lists(self) -> None:
        """Blocked is refused and does not rest; allowed is taken whatever it looks like, if it is proven."""
        self.do(self.senders.put(ANN, "@example.net", allowed=False))
        blocked = self.judge()
        self.assertEqual((blocked.verdict.action, blocked.verdict.rests), (Action.REJECT, False))
        self.assertEqual(blocked.verdict.reply and blocked.verdict.reply.code, 550)
        self.do(self.senders.put(ANN, "eve@example.net", allowed=True))  # the address goes before its domain
        self.teach(advertisement())
        bad = Evidence("dnsbl", "listed", 20.0)
        self.assertEqual(self.judge(advertisement(), bad).verdict.action, Action.ACCEPT)
        self.assertEqual(self.judge(advertisement(), bad, proven=False).verdict.action, Action.REJECT)
        forged = Evidence("own", "forged")
        self.assertEqual(self.judge(advertisement(), forged).verdict.action, Action.REJECT)

    def test_several_recipients_one_account(self) -> None:
        """A message is judged once for an account."""
        self.judge(trace="same")
        asked = len(self.filter.seen)
        parcel = Parcel("same", Origin.WAN, Envelope(EVE, ()), self.content(note()), Verdict(is_final=False))
        self.do(self.persons.examine_for(parcel, ANN))
        self.assertEqual(len(self.filter.seen), asked)

    def test_switched_off_and_weights(self) -> None:
        """[checks] switched_off and weights."""
        self.teach(advertisement())
        personal = self.judge(advertisement(), switched_off=frozenset({"content", "known"}))
        self.assertEqual(self.found(personal), [])
        self.assertEqual(self.judge(advertisement(), weights={"content junk": 1.0}).verdict.action, Action.ACCEPT)

    def test_checks_off(self) -> None:
        """Without checks the filter is heard of who has taught it, sends to Junk, and never refuses; the list counts."""
        self.teach(advertisement(), times=4)
        self.assertEqual(self.judge(advertisement(), enabled=False).verdict.action, Action.ACCEPT)
        self.teach(advertisement(), times=5)
        self.assertEqual(self.judge(advertisement(), enabled=False, proven=False).verdict.action, Action.JUNK)
        personal = self.judge(advertisement(), Evidence("x", "y", 9.0), enabled=False)
        self.assertEqual(personal.verdict.action, Action.JUNK)
        self.do(self.senders.put(ANN, "eve@example.net", allowed=False))
        self.assertEqual(self.judge(enabled=False).verdict.action, Action.REJECT)
        self.do(self.senders.put(ANN, "eve@example.net", allowed=True))
        self.assertEqual(self.judge(advertisement(), enabled=False, proven=False).verdict.action, Action.ACCEPT)

    def test_trouble(self) -> None:
        """A source that breaks down gives a temperror and no figure; the others are heard."""

        async def broken(*args: Any, **more: Any) -> Any:
            raise RuntimeError("x")

        self.patch(self.filter, "judge", broken)
        personal = self.judge()
        self.assertIn("content temperror", self.found(personal))
        self.assertEqual(personal.verdict.action, Action.ACCEPT)
        self.assertEqual(len(self.journal.failures), 1)
        self.journal.failures.clear()


class GreylistTests(PersonalCase):
    """451 once, for few."""

    BAD = Evidence("dnsbl", "listed", 4.0, "x")

    def action(self, *evidence: Evidence, **more: Any) -> Action:
        return self.judge(b"", *evidence, **{"greylist": True, **more}).verdict.action

    def test_off_by_default(self) -> None:
        """Nobody is put off unless the owner wants it."""
        self.assertEqual(self.judge(b"", self.BAD).verdict.action, Action.ACCEPT)

    def test_come_again(self) -> None:
        """Too early is put off again, after some minutes it is taken; another account has its own count."""
        personal = self.judge(b"", self.BAD, greylist=True)
        self.assertEqual((personal.verdict.action, personal.otherwise), (Action.DEFER, Action.ACCEPT))
        self.assertEqual(self.late, [ANN])  # so that she finds a Rejects to open
        self.clock.advance(60)
        self.assertEqual(self.action(self.BAD), Action.DEFER)
        self.clock.advance(greylist.WAIT)
        self.assertEqual(self.action(self.BAD), Action.ACCEPT)
        self.assertEqual(self.action(self.BAD, account=BOB), Action.DEFER)

    def test_who_is_not_suspicious(self) -> None:
        """Without points, or known, nobody waits."""
        self.assertEqual(self.action(), Action.ACCEPT)
        self.written.add(EVE)
        self.assertEqual(self.action(self.BAD), Action.ACCEPT)

    def test_lanes(self) -> None:
        """Who looks into Rejects or has just made an address waits for a letter: it comes through at once."""
        self.greylist.open_lane(ANN)
        self.assertEqual(self.action(self.BAD), Action.ACCEPT)
        self.do(self.senders.forget(ANN))
        self.clock.advance(greylist.LANE)
        self.assertEqual(self.action(self.BAD), Action.DEFER)
        self.waiting.add(ANN)
        self.assertEqual(self.action(self.BAD), Action.ACCEPT)

    def test_bounds(self) -> None:
        """The memory of tries has a bound; a try of long ago is a first one again; a network counts as one."""
        self.patch(greylist, "MOST", 3)
        home, far = peer_address("2001:db8::1"), peer_address("2001:db8::2")
        self.assertTrue(self.greylist.must_wait(home, "eve", ANN))
        self.clock.advance(greylist.WAIT)
        self.assertFalse(self.greylist.must_wait(far, "EVE", ANN))
        self.clock.advance(greylist.PATIENCE)
        self.assertTrue(self.greylist.must_wait(far, "eve", ANN))
        for name in "abc":
            self.greylist.must_wait(home, name, ANN)
        self.assertEqual(len(self.greylist._tried), 3)


class SendersTests(PersonalCase):
    """The file."""

    def test_patterns(self) -> None:
        """Addresses, domains with and without the sign; nonsense is refused."""
        for text, wanted in (("Eve@Example.NET", "eve@example.net"), ("@Example.net", "@example.net"), ("a.b", "@a.b")):
            self.assertEqual(pattern_of(text), wanted)
        for text in ("", "@", "x@"):
            self.assertRaises(AddressError, pattern_of, text)

    def test_domains_above(self) -> None:
        """A domain stands for those below it, the nearer one first."""
        self.do(self.senders.put(ANN, "@example.net", allowed=False))
        deep = Address("x", "mail.example.net")
        self.assertEqual(self.do(self.senders.standing(ANN, deep))[0], Standing.BLOCKED)
        self.do(self.senders.put(ANN, "@mail.example.net", allowed=True))
        self.assertEqual(self.do(self.senders.standing(ANN, deep))[0], Standing.ALLOWED)
        self.assertEqual(self.do(self.senders.standing(BOB, deep))[0], Standing.NONE)

    def test_list(self) -> None:
        """Put, list, remove, forget."""
        self.do(self.senders.put(ANN, "@example.net", allowed=False))
        self.do(self.senders.put(BOB, "eve@example.net", allowed=True))
        self.assertEqual(
            [one.pattern for one in self.do(self.senders.listing(None))], ["@example.net", "eve@example.net"]
        )
        self.assertEqual(len(self.do(self.senders.listing(ANN))), 1)
        self.assertTrue(self.do(self.senders.remove(ANN, "@example.net")))
        self.assertFalse(self.do(self.senders.remove(ANN, "@example.net")))
        self.do(self.senders.forget(BOB))
        self.assertEqual(self.do(self.senders.listing(None)), ())

    def test_bounds(self) -> None:
        """A list has an end, and so has what is remembered of senders: the oldest go."""
        self.patch(senders, "MOST_PATTERNS", 2)
        self.patch(senders, "MOST_MET", 2)
        for name in "ab":
            self.do(self.senders.put(ANN, f"{name}@example.net", allowed=True))
        self.failureResultOf(Deferred.fromCoroutine(self._put("c@example.net")), TooMany)
        self.assertEqual(len(self.do(self.senders.listing(ANN))), 2)
        for name in "abc":
            self.assertTrue(self.senders.meet(ANN, Address(name, "example.net")))
            meeting = Deferred.fromCoroutine(self.senders.write())
            self.clock.advance(86_400)
            self.successResultOf(meeting)
        met = [self.do(self.senders.standing(ANN, Address(name, "example.net")))[1] for name in "abc"]
        self.assertEqual(met, [0, 1, 1])

    def test_read_once(self) -> None:
        """A known pair costs no trip to the file until something is written; then it is read anew."""
        eve = Address("eve", "example.net")
        for _ in range(3):
            self.assertEqual(self.do(self.senders.standing(ANN, eve)), (Standing.NONE, 0))
        self.assertEqual(self.workers.doors, ["database"])
        self.do(self.senders.put(ANN, "@example.net", allowed=False))
        self.assertEqual(self.do(self.senders.standing(ANN, eve))[0], Standing.BLOCKED)
        self.do(self.senders.remove(ANN, "@example.net"))
        self.assertEqual(self.do(self.senders.standing(ANN, eve))[0], Standing.NONE)
        self.senders.meet(ANN, eve)
        written = Deferred.fromCoroutine(self.senders.write())
        self.clock.advance(1)
        self.successResultOf(written)
        self.assertEqual(self.do(self.senders.standing(ANN, eve))[1], 1)
        self.do(self.senders.forget(ANN))
        self.assertEqual(self.do(self.senders.standing(ANN, eve))[1], 0)

    def test_written_meanwhile(self) -> None:
        """What was read while somebody wrote is not kept."""
        rows: Lately[str, int] = Lately(most=2)
        began = rows.begin()
        rows.forget()
        rows.keep(began, "a", 1)
        self.assertIsNone(rows.get("a"))
        for number, name in enumerate("abc"):
            rows.keep(rows.begin(), name, number)
        self.assertEqual([rows.get(name) for name in "abc"], [None, 1, 2])
        rows.forget(lambda key: key == "b")
        self.assertEqual([rows.get(name) for name in "bc"], [None, 2])

    def test_gathered(self) -> None:
        """Letters of one second are written together; they count at once, and the last ones when the file is closed."""
        eve = Address("eve", "example.net")
        self.assertTrue(self.senders.meet(ANN, eve))
        first = Deferred.fromCoroutine(self.senders.write())
        for _ in range(2):
            self.assertFalse(self.senders.meet(ANN, eve))
        self.assertNoResult(first)
        self.assertEqual(self.do(self.senders.standing(ANN, eve))[1], 3)
        self.clock.advance(1)
        self.successResultOf(first)
        self.assertEqual(self.do(self.senders.standing(ANN, eve))[1], 3)
        self.assertTrue(self.senders.meet(ANN, eve))
        Deferred.fromCoroutine(self.senders.write())
        self.senders.close()
        self.assertEqual(self.do(self.senders.standing(ANN, eve))[1], 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many_are_not_gathered_for_long(self) -> None:
        """So many at once are written before the second is over."""
        self.patch(senders, "_MOST_GATHERED", 3)
        self.assertTrue(self.senders.meet(ANN, Address("a", "example.net")))
        first = Deferred.fromCoroutine(self.senders.write())
        for name in "bc":
            self.assertFalse(self.senders.meet(ANN, Address(name, "example.net")))
        self.successResultOf(first)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def _put(self, pattern: str) -> None:
        await self.senders.put(ANN, pattern, allowed=True)


class GreylistFileTests(PersonalCase):
    """First tries outlive the process."""

    def opened(self) -> Greylist:
        database = Database(self.path, MIGRATIONS, InlineWorkers())
        self.addCleanup(database.close)
        self.lost: list[str] = []
        made = Greylist(self.clock, database, self.lost.append)
        self.do(made.read())
        return made

    def test_restart(self) -> None:
        """Who has come again after it is let in; who is too old is not known any more; the table is bounded."""
        self.path = os.path.join(self.mktemp(), "s.db")
        os.mkdir(os.path.dirname(self.path))
        home = peer_address("192.0.2.1")
        first = self.opened()
        self.assertTrue(first.must_wait(home, "eve@far.example", ANN))
        self.do(first.settled())
        self.clock.advance(greylist.WAIT)
        second = self.opened()
        self.assertFalse(second.must_wait(peer_address("192.0.2.200"), "EVE@far.example", ANN))
        self.assertTrue(second.must_wait(home, "eve@far.example", BOB))
        self.clock.advance(greylist.PATIENCE)
        self.assertTrue(self.opened().must_wait(home, "eve@far.example", ANN))
        self.patch(greylist, "MOST", 5)
        third = self.opened()
        for number in range(20):
            self.clock.advance(1)
            third.must_wait(home, f"{number}@far.example", ANN)
        self.do(third.settled())
        fourth = self.opened()
        self.assertEqual(len(fourth._tried), 5)
        self.clock.advance(greylist.WAIT)
        self.assertFalse(fourth.must_wait(home, "19@far.example", ANN))
        self.assertEqual(self.lost, [])
        with open(self.path, "rb") as file:
            octets = file.read()
        self.assertNotIn(b"far.example", octets)

    def test_trouble(self) -> None:
        """A file that cannot be used is told of; greylisting goes on from memory."""
        self.path = os.path.join(self.mktemp(), "nowhere", "s.db")
        made = self.opened()
        self.assertTrue(made.must_wait(peer_address("192.0.2.1"), "eve", ANN))
        self.clock.advance(greylist.WAIT)
        self.assertFalse(made.must_wait(peer_address("192.0.2.1"), "eve", ANN))
        self.assertEqual(len(self.lost), 2)


class StandingTests(PersonalCase):
    """What smtp/ hears while the sender listens."""

    def test_who_is_behind_an_address(self) -> None:
        """All must have blocked him; one who allows him is enough; people elsewhere have said nothing."""
        directory = FakeDirectory(
            {"example.org": "ann@example.org"},
            ["ann@example.org", "bob@example.org"],
            {
                "family@example.org": ["ann@example.org", "bob@example.org"],
                "both@example.org": ["ann@example.org", "x@far.example"],
            },
        )
        settings = ChecksSettings("mx")
        words = PeoplesWords(self.senders, directory, lambda: settings)
        self.do(self.senders.put(ANN, "@example.net", allowed=False))

        def said(to: str, sender: Address = EVE) -> Standing:
            answer: Standing = self.do(words.standing(Address.parse(to), sender))
            return answer

        tos = ("ann@example.org", "ann+x@example.org", "family@example.org", "both@example.org", "bob@example.org")
        self.assertEqual([said(to) for to in tos], [Standing.BLOCKED] * 2 + [Standing.NONE] * 3)
        self.assertEqual([said("nobody@example.org"), said("x@far.example")], [Standing.NONE] * 2)
        self.do(self.senders.put(BOB, "@example.net", allowed=False))
        self.assertEqual(said("family@example.org"), Standing.BLOCKED)
        self.do(self.senders.put(BOB, str(EVE), allowed=True))
        self.assertEqual(said("family@example.org"), Standing.ALLOWED)
        # The owner has made another rule of it.
        settings = ChecksSettings("mx", actions={"sender blocked": Action.JUNK})
        self.assertEqual(said("ann@example.org"), Standing.NONE)
        settings = ChecksSettings("mx", switched_off=frozenset({"sender"}))
        self.assertEqual(said("ann@example.org"), Standing.NONE)
