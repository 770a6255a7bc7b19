"""What is known of main passwords: found weak by night or at a log-in, excused, forgotten; and links to change them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events.users import PasswordWeak
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import LogInRefused, PasswordCredentials, Principal
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.desks.links import LIFE
from mailbox_appliance.users.records import AccountRecord
from mailbox_appliance.users.station import Users
from mailbox_appliance.users.strength.judge import judge
from mailbox_appliance.users.strength.spawned import NotJudged
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers
from tests.users.household import CHEAP, Household, UsersSettings, now

ANN = Address("ann", "example.org")
WEAK = "sunshine1"


class Late:
    """Judges when told to; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.waiting: list[Deferred[str]] = []
        self.at_once = True

    async def judge(self, password: str, words: Any) -> str:
        self.asked.append(password)
        if self.at_once:
            return judge(password, words)
        answer: Deferred[str] = Deferred()
        self.waiting.append(answer)
        return await answer


class AuditCase(SynchronousTestCase):
    """Ann with a weak password that was set before there was a judge, and Bob with a good one."""

    def setUp(self) -> None:
        path = self.mktemp()
        before = Household(path)
        now(before.users.domains.add("example.org"))
        now(before.users.accounts.add("ann@example.org", WEAK))
        now(before.users.accounts.add("bob@example.org", "kupfer lampe regen"))
        now(before.users.stop())
        self.clock = before.clock
        self.journal = RememberedJournal()
        self.judge = Late()
        settings = UsersSettings(hashing=CHEAP)
        self.users = Users.at(path, InlineWorkers(), self.clock, self.journal, settings, self.judge)
        now(self.users.start())
        self.addCleanup(self.users.database.close)
        self.told: list[tuple[str, str]] = []
        self.users.audits.on_weak = lambda account, kind: self.told.append((str(account), kind))

    def log_in(self, name: str = "ann", password: str = WEAK) -> Principal:
        return now(self.users.log_in.log_in(PasswordCredentials(name, password)))

    def record(self, address: Address = ANN) -> AccountRecord:
        return self.users.directory.snapshot.accounts[address]

    def shown(self) -> dict[str, str]:
        return {one.account: one.password for one in now(self.users.accounts.listing())}


class LogInTests(AuditCase):
    """The password in hand."""

    def test_weak(self) -> None:
        """It is in; then it is known to be weak, which is told once."""
        principal = self.log_in()
        self.assertTrue(self.users.log_in.is_weak(principal))
        self.assertTrue(self.users.log_in.still_admits(principal))
        self.assertEqual((self.told, self.judge.asked), ([("ann@example.org", "judged")], [WEAK]))
        self.clock.advance(100_000)
        self.log_in()
        self.assertEqual((len(self.told), len(self.journal.of(PasswordWeak)), self.judge.asked), (1, 1, [WEAK]))
        self.assertEqual(self.shown(), {"ann@example.org": "weak", "bob@example.org": ""})

    def test_good(self) -> None:
        """Is judged once, for all times."""
        for _ in range(3):
            self.assertFalse(self.users.log_in.is_weak(self.log_in("bob", "kupfer lampe regen")))
            self.clock.advance(100_000)
        self.assertEqual(len(self.judge.asked), 1)
        self.assertEqual(self.shown()["bob@example.org"], "good")

    def test_nobody_waits(self) -> None:
        """The log-in is over before the judgement; others wait for their turn; a change in between makes it void."""
        self.judge.at_once = False
        ann = self.log_in()
        self.log_in("bob", "kupfer lampe regen")
        self.assertEqual(len(self.judge.asked), 1)
        self.judge.at_once = True
        now(self.users.accounts.set_password("ann@example.org", "tuba gurke wagen"))
        self.judge.waiting[0].callback("weak")
        self.assertEqual((self.told, self.users.log_in.is_weak(ann)), ([], False))
        self.assertEqual(self.shown()["bob@example.org"], "good")

    def test_no_judge(self) -> None:
        """A judge that is ill is asked again at the next log-ins, but not for ever."""
        self.judge.at_once = False
        for number in range(6):
            self.log_in()
            if number < 3:
                self.judge.waiting[number].errback(NotJudged("no memory"))
            self.clock.advance(100_000)
        self.assertEqual((len(self.judge.asked), self.told), (3, []))

    def test_wrong_and_app_passwords(self) -> None:
        """Are nobody's business here; a device of an account with a weak password is not weak."""
        secret = now(self.users.app_passwords.new("ann@example.org", "phone")).secret
        phone = self.log_in("ann", secret)
        self.assertRaises(LogInRefused, self.log_in, "ann", "wrong one")
        self.assertEqual(self.judge.asked, [])
        self.log_in()
        self.assertFalse(self.users.log_in.is_weak(phone))


class GuessTests(AuditCase):
    """What a pass of guessing reads and writes."""

    def test_goes_on(self) -> None:
        """How far it came is read again for the same password, and forgotten with it."""
        first = now(self.users.audits.to_guess())
        self.assertEqual(
            [(str(one.account), one.tried) for one in first], [("ann@example.org", 0), ("bob@example.org", 0)]
        )
        self.assertNotIn(first[0].hash, repr(first))
        now(self.users.audits.has_tried({(first[1].number, 1): ("abc", 77)}))
        self.assertEqual(
            [(one.order, one.tried) for one in now(self.users.audits.to_guess("bob@example.org"))], [("abc", 77)]
        )
        now(self.users.accounts.set_password("bob@example.org", "tuba gurke wagen"))
        now(self.users.audits.has_tried({(first[1].number, 1): ("abc", 99)}))
        self.assertEqual(
            [(one.order, one.tried) for one in now(self.users.audits.to_guess("bob@example.org"))], [("", 0)]
        )

    def test_found(self) -> None:
        """It is weak, and not guessed at again; a guess at the password before is void; nonsense has a kind, too."""
        number = self.record().number
        self.assertFalse(now(self.users.audits.is_weak(number, 7, "common")))
        self.assertTrue(now(self.users.audits.is_weak(number, 1, "common")))
        self.assertFalse(now(self.users.audits.is_weak(number, 1, "common")))
        self.assertFalse(now(self.users.audits.is_weak(999, 1, "common")))
        self.assertEqual([str(one.account) for one in now(self.users.audits.to_guess())], ["bob@example.org"])
        self.assertEqual(self.users.audits.weak(), ((ANN, "common", False),))
        self.assertRaises(UsersError, now, self.users.audits.to_guess("carl@example.org"))

    def test_allowed(self) -> None:
        """The owner's leave holds until the password changes, or he takes it back."""
        principal = self.log_in()
        weak = self.users.log_in.is_weak
        now(self.users.audits.allow("ann@example.org", allowed=True))
        self.assertEqual((weak(principal), self.shown()["ann@example.org"]), (False, "weak, allowed"))
        now(self.users.audits.allow("ann@example.org", allowed=False))
        self.assertTrue(weak(principal))
        now(self.users.audits.allow("ann@example.org", allowed=True))
        now(self.users.accounts.set_password("ann@example.org", "tuba gurke wagen"))
        self.assertEqual((self.users.audits.weak(), self.shown()["ann@example.org"]), ((), "good"))

    def test_survives_a_restart(self) -> None:
        """It stands in the file, and goes with the account."""
        self.log_in()
        now(self.users.directory.start())
        self.assertEqual(len(self.users.audits.weak()), 1)
        number = self.record().number
        now(self.users.accounts.remove("ann@example.org"))
        now(self.users.accounts.forget("ann@example.org"))
        self.assertEqual(self.users.audits.weak(), ())
        self.assertNotIn(number, self.users.directory.snapshot.audits)


class LinkTests(AuditCase):
    """Links to choose another password."""

    def link(self) -> str:
        return now(self.users.links.make("ann@example.org")).token

    def test_once(self) -> None:
        """It sets a good password, once; a weak one is refused and does not spend it."""
        token = self.link()
        self.assertEqual(self.users.links.holder(token), ANN)
        self.assertRaises(UsersError, now, self.users.links.use(token, "annexample1"))
        self.assertEqual(now(self.users.links.use(token, "tuba gurke wagen")), ANN)
        self.log_in("ann", "tuba gurke wagen")
        self.assertIsNone(self.users.links.holder(token))
        self.assertRaises(UsersError, now, self.users.links.use(token, "tuba gurke hafen"))

    def test_void(self) -> None:
        """After a day, after any other change, after another link, after the account; and what never was one."""
        token = self.link()
        self.clock.advance(LIFE)
        self.assertIsNone(self.users.links.holder(token))
        token = self.link()
        now(self.users.accounts.set_password("ann@example.org"))
        self.assertIsNone(self.users.links.holder(token))
        first, second = self.link(), self.link()
        self.assertEqual((self.users.links.holder(first), self.users.links.holder(second)), (None, ANN))
        now(self.users.accounts.remove("ann@example.org"))
        self.assertIsNone(self.users.links.holder(second))
        for nonsense in ("", "x", "ü", "x" * 10_000, "\0"):
            self.assertIsNone(self.users.links.holder(nonsense))

    def test_kept_as_a_digest(self) -> None:
        """Nothing that is kept or shown by accident opens it."""
        made = now(self.users.links.make("ann@example.org"))
        self.assertNotIn(made.token, repr(made))
        rows = now(
            self.users.database.run(lambda connection: connection.execute("SELECT * FROM password_links").fetchall())
        )
        self.assertNotIn(made.token.encode(), repr(rows).encode())
        self.assertNotIn(made.token, repr(self.journal.events))

    def test_race(self) -> None:
        """Two uses at once: one of them wins."""
        token = self.link()
        self.judge.at_once = False
        results: list[Any] = []
        for password in ("tuba gurke wagen", "tuba gurke hafen"):
            Deferred.fromCoroutine(self.users.links.use(token, password)).addBoth(results.append)
        for waiting in self.judge.waiting:
            waiting.callback("")
        self.assertEqual(results[0], ANN)
        self.assertIsInstance(results[1].value, UsersError)
        self.log_in("ann", "tuba gurke wagen")
