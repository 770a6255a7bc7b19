"""Our own name under our own mail: keys on disk, whose turn it is, signatures over any body."""

from __future__ import annotations

import os
import stat
import tempfile

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.signing import PATIENCE, DkimKeys, KeyRecord, Signer
from mailbox_appliance.journal.events.checks import KeyMade, NotSigned
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

    def test_rotation(self) -> None:
        """A new key waits until its record has gone round; the old one's record stays."""
        self.make()
        place = os.path.join(self.folder, "home.test")
        for name in os.listdir(place):
            os.utime(os.path.join(place, name), (NOW, NOW))
        self.keys.forget()
        self.clock.rightNow = NOW + 30 * 86_400
        self.make()
        for name in os.listdir(place):
            if "20251222" in name:
                os.utime(os.path.join(place, name), (self.clock.rightNow, self.clock.rightNow))
        self.keys.forget()
        self.assertIn(b"s=r20251122;", self.signed(self.content()))
        self.clock.rightNow += PATIENCE + 1
        self.assertIn(b"s=r20251222;", self.signed(self.content()))
        records = self.successResultOf(Deferred.fromCoroutine(self.keys.records("home.test")))
        self.assertEqual((len(records), sum(one.signs for one in records)), (4, 2))

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
