"""Our own name under our own mail: keys on disk, whose turn it is, signatures over any body."""

from __future__ import annotations

import os
import stat
import tempfile

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.status import Finding, signing_keys
from mailbox_appliance.checks.signing import DkimKeys, KeyRecord, Signer
from mailbox_appliance.checks.turns import KEEP_OLD, REMOVABLE, RETIRED, SETTLE, SIGNS, WAITS, Turn, states
from mailbox_appliance.journal.events.checks import KeyMade, KeyRemoved, KeySeen, KeyUnreadable, NotSigned
from mailbox_appliance.mail.message import Content, SpooledBody
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers
from tests.mailauth.proof import Book, split, verify

NOW = 1_763_800_000.0
MESSAGE = b"From: ann@home.test\nTo: bob@example.org\nSubject: Hello\n\nA text\n  with lines\n\n\n"


class SigningTests(SynchronousTestCase):
    """Signer and DkimKeys over a real folder."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="dkim-")
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.journal = RememberedJournal()
        self.workers = InlineWorkers()
        self.keys = DkimKeys(self.folder, self.workers, self.clock, self.journal)
        self.signer = Signer(self.keys, self.workers, self.clock, self.journal)

    def make(self) -> tuple[KeyRecord, ...]:
        records = self.successResultOf(Deferred.fromCoroutine(self.keys.make("home.test")))
        place = os.path.join(self.folder, "home.test")
        for name in os.listdir(place):
            path = os.path.join(place, name)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        return records

    def signed(self, content: Content, domain: str = "home.test") -> bytes:
        asked = Deferred.fromCoroutine(self._sign(content, domain))
        for _ in range(5000):
            if asked.called:
                break
            self.clock.advance(0)
        return self.successResultOf(asked)

    async def _sign(self, content: Content, domain: str) -> bytes:
        return await self.signer.sign(content, domain)

    def content(self, message: bytes = MESSAGE) -> Content:
        header, body = split(message)
        return Content(header, body, message.count(b"\n"))

    def test_both_signatures(self) -> None:
        """RSA and Ed25519, both hold with the records we say must be published."""
        records = self.make()
        self.assertEqual(
            [(one.algorithm, one.signs) for one in records], [("ed25519-sha256", True), ("rsa-sha256", True)]
        )
        self.assertEqual([event.selector for event in self.journal.of(KeyMade)], ["r20251122", "e20251122"])
        fields = self.signed(self.content())
        book = Book({one.name: one.text for one in records})
        results = verify(fields + MESSAGE, book, NOW)
        self.assertEqual(
            [(one.result, one.algorithm) for one in results], [("pass", "rsa-sha256"), ("pass", "ed25519-sha256")]
        )

    def test_spooled(self) -> None:
        """A large body in its spool file is signed as the same body in memory is."""
        self.make()
        body = b"line of text  with blanks\t\n" * 60_000 + b"\n\n"
        header = split(MESSAGE)[0]
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"head" + body)
            file.flush()
            spooled = self.signed(Content(header, SpooledBody(file.name, 4, len(body)), 0))
        self.assertEqual(
            spooled.partition(b"\tbh=")[2][:45], self.signed(Content(header, body, 0)).partition(b"\tbh=")[2][:45]
        )

    def damage(self, letter: str, octets: bytes | None) -> str:
        """Write ``octets`` into the key whose selector begins so; returns its path. None: as it was."""
        place = os.path.join(self.folder, "home.test")
        (name,) = [one for one in os.listdir(place) if one.startswith(letter)]
        path = os.path.join(place, name)
        with open(path, "rb") as file:
            self.whole = file.read() if octets is not None else self.whole
        with open(path, "wb") as file:
            file.write(self.whole if octets is None else octets)
        return path

    def finding(self) -> Finding:
        async def ask() -> Finding:
            return await signing_keys(self.keys, lambda: frozenset({"home.test"}))()

        return self.successResultOf(Deferred.fromCoroutine(ask()))

    def test_a_damaged_key(self) -> None:
        """The other key signs on; the owner is told once and finds the remedy in `status`; a backup counts at once."""
        self.make()
        self.assertTrue(self.finding().good)
        for octets in (b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"):
            path = self.damage("r", octets)
            self.keys.forget()
            for _ in range(3):
                fields = self.signed(self.content())
                self.assertEqual((b"a=ed25519-sha256" in fields, b"a=rsa-sha256" in fields), (True, False))
            found = self.finding()
            self.assertIn(f"{path}: ", found.words)
            self.assertIn("signed by its other keys", found.words)
            self.assertIn("dns rotate home.test", found.remedy)
            self.damage("r", None)
            self.assertTrue(self.finding().good)
            self.assertIn(b"a=rsa-sha256", self.signed(self.content()))
        self.assertEqual({event.path for event in self.journal.of(KeyUnreadable)}, {path})
        self.assertEqual(len(self.journal.of(KeyUnreadable)), 3)
        self.assertEqual(self.journal.of(NotSigned), [])

    def test_all_keys_damaged(self) -> None:
        """Mail leaves unsigned and is told; no new key is made behind the owner's back, until he removes the old."""
        self.make()
        paths = [self.damage(letter, b"garbage") for letter in "re"]
        self.keys.forget()
        self.assertEqual(self.signed(self.content()), b"")
        self.assertEqual(len(self.journal.of(NotSigned)), 1)
        self.assertIn("leaves unsigned", self.finding().words)
        self.failureResultOf(Deferred.fromCoroutine(self.keys.ensure("home.test")), ValueError)
        for path in paths:
            os.unlink(path)
        self.assertIn("has no signing key", self.finding().words)
        self.assertEqual(len(self.rotated()), 2)
        self.assertTrue(self.finding().good)
        self.assertNotEqual(self.signed(self.content()), b"")

    def rotated(self) -> tuple[KeyRecord, ...]:
        return self.successResultOf(Deferred.fromCoroutine(self.keys.rotate("home.test")))

    def states(self) -> dict[str, str]:
        records = self.successResultOf(Deferred.fromCoroutine(self.keys.records("home.test")))
        return {one.name.partition(".")[0]: one.state for one in records}

    def date_files(self, made: float, mark: str = "") -> None:
        place = os.path.join(self.folder, "home.test")
        for name in os.listdir(place):
            if mark in name:
                os.utime(os.path.join(place, name), (made, made))
        self.keys.forget()

    def test_rotation(self) -> None:
        """A new key signs a day after its record was seen; the old one stays for two weeks, then it may go and goes."""
        self.make()
        self.date_files(NOW)
        self.clock.rightNow = NOW + 30 * 86_400
        self.assertEqual(len(self.rotated()), 4)
        self.assertEqual(len(self.rotated()), 4, "the new ones wait already")
        self.date_files(self.clock.rightNow, "20251222")
        self.clock.rightNow += 100 * 86_400
        self.assertIn(b"s=r20251122;", self.signed(self.content()), "nobody has seen the new one")
        names = [f"{name}._domainkey.home.test" for name in ("r20251122", "r20251222")]
        for _ in range(2):
            self.successResultOf(Deferred.fromCoroutine(self.keys.saw("home.test", names)))
        self.assertEqual([one.selector for one in self.journal.of(KeySeen)], ["r20251122", "r20251222"])
        self.assertIn(b"s=r20251122;", self.signed(self.content()))
        self.clock.rightNow += SETTLE
        again = DkimKeys(self.folder, self.workers, self.clock, self.journal)
        self.keys = again  # a restart: what was seen is on the disk
        self.signer = Signer(again, self.workers, self.clock, self.journal)
        fields = self.signed(self.content())
        self.assertIn(b"s=r20251222;", fields)
        self.assertIn(b"s=e20251122;", fields, "each algorithm for itself")
        self.assertEqual(self.states()["r20251122"], RETIRED)
        self.clear()
        self.assertEqual(self.states()["r20251122"], RETIRED)
        self.clock.rightNow += KEEP_OLD
        self.assertEqual(self.states()["r20251122"], REMOVABLE)
        self.clear()
        self.assertEqual(self.states(), {"r20251222": SIGNS, "e20251122": SIGNS, "e20251222": WAITS})
        self.assertEqual([one.selector for one in self.journal.of(KeyRemoved)], ["r20251122"])

    def clear(self) -> None:
        names = [f"{name}._domainkey.home.test" for name in self.states()]
        self.successResultOf(Deferred.fromCoroutine(self.keys.clear("home.test", names)))

    def test_turns(self) -> None:
        """Exactly one key of an algorithm signs, whatever was seen of them."""
        for seen in ((None, None, None), (1.0, None, None), (None, 1.0, None), (None, 1.0, 2.0), (3.0, 1.0, 2.0)):
            turns = [Turn(f"r{number}", "rsa", float(number), one) for number, one in enumerate(seen)]
            for now in (0.0, 3.0, SETTLE + 1, SETTLE + 2, SETTLE + KEEP_OLD + 5):
                found = states(turns, now)
                self.assertEqual(list(found.values()).count(SIGNS), 1)
                order = [WAITS, SIGNS, RETIRED, REMOVABLE]
                ranks = [order.index(found[f"r{number}"]) for number in range(3)]
                self.assertEqual(sorted(ranks, reverse=True), ranks)

    def test_damaged_notes(self) -> None:
        """What was seen is forgotten, and the oldest key signs."""
        self.make()
        with open(os.path.join(self.folder, "home.test", "seen.json"), "w") as file:
            file.write('{"r20251122": ')
        self.keys.forget()
        self.assertEqual(set(self.states().values()), {SIGNS})

    def test_same_day(self) -> None:
        """Two pairs on one day have different selectors."""
        self.make()
        self.assertEqual(len({one.name for one in self.make()}), 4)

    def test_ensure(self) -> None:
        """Keys are made for a domain that has none, once, even when two ask at the same time."""
        asked = [Deferred.fromCoroutine(self.keys.ensure("home.test")) for _ in range(2)]
        first, second = (self.successResultOf(one) for one in asked)
        self.assertEqual((len(first), first), (2, second))
        self.assertEqual(len(self.journal.of(KeyMade)), 2)

    def test_ensure_fails(self) -> None:
        """A failure is the caller's to tell, and the next one may try again."""
        for _ in range(2):
            self.failureResultOf(Deferred.fromCoroutine(self.keys.ensure("../x")), ValueError)

    def test_no_key(self) -> None:
        """A domain without keys leaves unsigned, silently; a broken key is told, without its content."""
        self.assertEqual(self.signed(self.content(), "other.test"), b"")
        self.assertEqual(self.signed(self.content(), "../../etc"), b"")
        self.assertEqual(self.journal.events, [])
        os.makedirs(os.path.join(self.folder, "bad.test"))
        with open(os.path.join(self.folder, "bad.test", "k.pem"), "w") as file:
            file.write("SECRET")
        self.assertEqual(self.signed(self.content(), "bad.test"), b"")
        (event,) = self.journal.of(NotSigned)
        self.assertNotIn("SECRET", event.reason)

    def test_made_for_a_wrong_name(self) -> None:
        """Only names of domains become folders."""
        for name in ("../x", "", "A.test", "a/b"):
            self.failureResultOf(Deferred.fromCoroutine(self.keys.make(name)), ValueError)
