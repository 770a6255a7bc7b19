"""Passwords joined: the page's door to users and guard, the night's pass, the letters, the line of status."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.passwords import page_base
from mailbox_appliance.assembly.own_password import OwnPasswords
from mailbox_appliance.assembly.passwords import PasswordsPart, until_hour
from mailbox_appliance.config.model import Config, Guard, Listen, Networks, everywhere, tcp
from mailbox_appliance.journal.events.users import PasswordsGuessed
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import NotChanged, PasswordCredentials
from mailbox_appliance.users.strength.judge import judge
from mailbox_appliance.users.strength.spawned import NotJudged
from tests.kit.fake_guard import FakeGuard
from tests.users.household import Household, now

ANN = Address("ann", "example.org")
OUTSIDE, HOME = "203.0.113.9", "192.168.1.7"
GOOD = "tuba gurke wagen"
CONFIG = Config(
    "mail.example.org",
    listen=replace(Listen(), https=everywhere(443)),
    networks=Networks(lan=(ip_network("192.168.1.0/24"),)),
)


class FakeChildren:
    """Judges here, and guesses what it was told to find."""

    def __init__(self) -> None:
        self.asked: list[tuple[Mapping[str, Any], float]] = []
        self.lines: list[dict[str, Any]] = []
        self.fails = False
        self.waits: Deferred[None] | None = None
        self.stopped = False

    async def judge(self, password: str, words: Sequence[str]) -> str:
        return judge(password, words)

    async def suggest(self, count: int) -> list[str]:
        if self.fails:
            raise NotJudged("no memory")
        return ["one-two-three"] * count

    async def ask(self, question: Mapping[str, Any], heard: Callable[[dict[str, Any]], None], seconds: float) -> None:
        self.asked.append((question, seconds))
        if self.fails:
            raise NotJudged("no process could be started")
        for line in self.lines:
            heard(line)
        if self.waits is not None:
            await self.waits

    def stop(self) -> None:
        self.stopped = True
        if self.waits is not None:
            self.waits.callback(None)


class FakeNotices:
    """Remembers letters."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str, str]] = []

    async def send(self, to: Address, subject: str, text: str) -> bool:
        self.letters.append((str(to), subject, text))
        return True


class FakePages:
    """Takes the door."""

    door: Any = None

    def serve_passwords(self, door: Any) -> None:
        self.door = door

    def mail_hosts(self) -> tuple[str, ...]:
        return ("edge.example.org",)


class JoinedCase(SynchronousTestCase):
    """Ann owns the domain, Bob lives there."""

    def setUp(self) -> None:
        self.house = Household().fill(["example.org"], ["ann@example.org", "bob@example.org"])
        self.users = self.house.users
        self.children = FakeChildren()
        self.notices = FakeNotices()
        self.guard = FakeGuard(limit=3)
        self.pages = FakePages()
        self.part = self.make(CONFIG)

    def make(self, config: Config) -> PasswordsPart:
        loose = cast(Any, self)
        return PasswordsPart(
            config, self.house.clock, loose.house.journal, self.users, loose.children, loose.notices, self.guard,
            loose.pages,
        )  # fmt: skip

    def weaken(self, name: str) -> None:
        record = self.users.directory.snapshot.accounts[Address(name, "example.org")]
        self.assertTrue(now(self.users.audits.is_weak(record.number, record.hash_version, "names")))


class NightTests(JoinedCase):
    """The pass at three."""

    def test_until(self) -> None:
        """At three by the machine's own time, which is never more than a day away."""
        for moment in (1_700_000_000.0, 1_700_040_000.0, 1_710_000_017.0):
            then = time.localtime(moment + until_hour(moment, 3))
            self.assertIn((then.tm_hour, then.tm_min), ((3, 0), (3, 1)))

    @given(st.floats(0, 4e9), st.integers(0, 23))
    def test_always_later(self, moment: float, hour: int) -> None:
        """Never at once, never more than a day."""
        self.assertTrue(60 <= until_hour(moment, hour) <= 86_400)

    def night(self, part: PasswordsPart) -> None:
        now(part.start())
        self.house.clock.advance(until_hour(self.house.clock.seconds(), 3) + 1)

    def test_a_night(self) -> None:
        """What was found is written and told by letter, how far it came is kept, and nothing secret is told."""
        numbers = [one.number for one in now(self.users.audits.to_guess())]
        self.children.lines = [
            {"say": "progress", "guesses": 5, "tried": {str(number): ["abc", 3] for number in numbers}},
            {"say": "found", "account": numbers[1], "how": "common"},
            {"say": "end", "guesses": 9, "tried": {str(number): ["abc", 4] for number in numbers}},
        ]
        self.night(self.part)
        ((question, seconds),) = self.children.asked
        self.assertEqual((question["seconds"], seconds > 600, len(question["works"])), (600.0, True, 2))
        (told,) = self.house.journal.of(PasswordsGuessed)
        self.assertEqual((told.accounts, told.guesses, told.weak), (2, 9, 1))
        self.assertEqual([to for to, _, _ in sorted(self.notices.letters)], ["ann@example.org", "bob@example.org"])
        self.assertIn("https://mail.example.org/password", self.notices.letters[0][2])
        (left,) = now(self.users.audits.to_guess())
        self.assertEqual((left.account, left.order, left.tried), (ANN, "abc", 4))
        finding = now(self.part.checks()[0]())
        self.assertFalse(finding.good)
        self.assertIn("bob@example.org", finding.words)
        self.assertEqual(self.house.journal.failures, [])
        now(self.part.stop())

    def test_switched_off(self) -> None:
        """No process is started; the next night is waited for all the same, since the file may be read anew."""
        part = self.make(replace(CONFIG, guard=Guard(password_audit=0.0)))
        self.night(part)
        self.assertEqual(self.children.asked, [])
        part.take_over(CONFIG)
        self.house.clock.advance(86_400)
        self.assertEqual(len(self.children.asked), 1)
        now(part.stop())

    def test_trouble(self) -> None:
        """No process to be had: journaled, and tried the next night."""
        self.children.fails = True
        self.night(self.part)
        self.house.clock.advance(86_400)
        self.assertEqual((len(self.children.asked), len(self.house.journal.failures)), (2, 2))
        now(self.part.stop())

    def test_stopped(self) -> None:
        """A stop ends the child and writes how far it came; a night that lasts is not begun twice."""
        self.children.waits = Deferred()
        numbers = [one.number for one in now(self.users.audits.to_guess())]
        self.children.lines = [{"say": "progress", "guesses": 5, "tried": {str(numbers[0]): ["abc", 3]}}]
        self.night(self.part)
        self.house.clock.advance(86_400)
        self.assertEqual(len(self.children.asked), 1)
        now(self.part.stop())
        self.assertEqual((self.children.stopped, now(self.users.audits.to_guess())[0].tried), (True, 3))
        self.assertEqual(self.house.clock.getDelayedCalls(), [])

    def test_status(self) -> None:
        """Good while none is known, or all are allowed; an edge has no such line."""
        (check,) = self.part.checks()
        self.assertTrue(now(check()).good)
        self.weaken("bob")
        self.assertFalse(now(check()).good)
        now(self.users.audits.allow("bob@example.org", allowed=True))
        self.assertTrue(now(check()).good)
        self.assertEqual(list(self.make(replace(CONFIG, role="edge")).checks()), [])


class DoorTests(JoinedCase):
    """The page's door."""

    def setUp(self) -> None:
        super().setUp()
        self.door: OwnPasswords = self.pages.door

    def refused(self, user: str, old: str, new: str = GOOD, peer: str = OUTSIDE) -> NotChanged:
        """After the guard's delay."""
        results: list[Any] = []
        Deferred.fromCoroutine(self.door.by_password(user, old, new, peer)).addBoth(results.append)
        self.house.clock.advance(60)
        error = results[0].value
        self.assertIsInstance(error, NotChanged)
        return cast(NotChanged, error)

    def logs_in(self, password: str) -> bool:
        try:
            now(self.users.log_in.log_in(PasswordCredentials("bob", password)))
        except Exception:  # noqa: BLE001 - whatever it is, he is not in
            return False
        return True

    def test_changed(self) -> None:
        """With the current password; both are told by letter, with the address."""
        now(self.door.by_password("bob", "open sesame", GOOD, OUTSIDE))
        self.assertEqual((self.logs_in(GOOD), self.logs_in("open sesame")), (True, False))
        self.assertEqual({to for to, _, _ in self.notices.letters}, {"ann@example.org", "bob@example.org"})
        self.assertIn(OUTSIDE, self.notices.letters[0][2])
        self.assertEqual(self.guard.successes, [(ip_address(OUTSIDE), "https", "bob@example.org")])

    def test_guessing(self) -> None:
        """Counts with the guard, whoever the name is of; who is shut out hears the same words."""
        texts = {str(self.refused(name, f"wrong {name}")) for name in ("bob", "nobody", "carl", "bob")}
        self.assertEqual(texts, {"Wrong mail address or password."})
        self.assertEqual(len(self.guard.failures), 3)
        self.assertEqual(str(self.refused("bob", "open sesame")), "Wrong mail address or password.")
        self.assertTrue(self.logs_in("open sesame"))

    def test_app_password(self) -> None:
        """A device cannot take the account over."""
        secret = now(self.users.app_passwords.new("bob@example.org", "phone")).secret
        self.assertIn("device", str(self.refused("bob", secret)))

    def test_weak(self) -> None:
        """Known to be weak: from home it goes, from elsewhere by a link only."""
        self.weaken("bob")
        self.assertIn("from the network at home", str(self.refused("bob", "open sesame")))
        link = now(self.users.links.make("bob@example.org")).token
        now(self.door.by_link(link, GOOD, OUTSIDE))
        self.assertTrue(self.logs_in(GOOD))
        self.assertEqual(self.door.holder(link), "")
        self.weaken("ann")
        now(self.door.by_password("ann", "open sesame", GOOD, f"::ffff:{HOME}"))

    def test_not_good(self) -> None:
        """The reason in a sentence, with good ones to take; without them when no child is to be had."""
        error = self.refused("bob", "open sesame", "short")
        self.assertEqual(str(error), "The password is too short: use at least 8 characters.")
        self.assertEqual(error.suggestions, ("one-two-three",) * 3)
        self.children.fails = True
        self.assertEqual(self.refused("bob", "open sesame", "short").suggestions, ())

    def test_links_nobody_made(self) -> None:
        """Are counted; a banned address changes nothing by a good one either; an address that is none, neither."""
        self.door.missed(OUTSIDE)
        self.assertEqual(self.guard.failures, [(ip_address(OUTSIDE), "https", "", "protocol")])
        link = now(self.users.links.make("bob@example.org")).token
        self.guard.banned.add(ip_address(OUTSIDE))
        for peer in (OUTSIDE, "", "nonsense"):
            self.assertRaises(NotChanged, now, self.door.by_link(link, GOOD, peer))
        self.assertEqual(self.door.holder(link), "bob@example.org")

    def test_where(self) -> None:
        """The page's address for links."""
        here = replace(Listen(), https=(tcp(8443, "127.0.0.1"),))
        for config, base in (
            (CONFIG, "https://mail.example.org"),
            (replace(CONFIG, listen=replace(Listen(), https=everywhere(4443))), "https://mail.example.org:4443"),
            (replace(CONFIG, listen=here), "https://localhost:8443"),
            (replace(CONFIG, listen=Listen()), ""),
            (replace(CONFIG, role="edge"), ""),
            (replace(CONFIG, role="store"), "https://edge.example.org"),
        ):
            self.assertEqual(page_base(config, ("edge.example.org",)), base)
