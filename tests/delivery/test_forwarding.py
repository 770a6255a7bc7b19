"""Mail that is passed on: our own return paths out and back, seals, loops, and what the sender hears of it."""

from __future__ import annotations

import os
import stat

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.assembly.keyring import KeyRing
from mailbox_appliance.checks.sealing import Sealer
from mailbox_appliance.checks.signing import DkimKeys
from mailbox_appliance.delivery.returnpaths import DAYS
from mailbox_appliance.journal.events.delivery import BounceReturned, Forwarded, Refused
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.mail.verdict import Evidence, Verdict
from mailbox_appliance.mailauth import arc
from mailbox_appliance.mailauth.canonical import RELAXED, HeaderBlock
from mailbox_appliance.ports.users import BackTo, Known, Unknown
from mailbox_appliance.queue.bounces import Bounces
from tests.kit.fake_relay import REFUSED, SENT, FakeRelay
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import HOST, NOW, PostOffice, message, now
from tests.kit.workers import InlineWorkers
from tests.mailauth.proof import Book, body_digest

PROVEN = Verdict(evidence=(Evidence("spf", "pass"),), fields=b"Authentication-Results: mail.example.org; spf=pass\n")
FORGED = Verdict(evidence=(Evidence("spf", "none"),), fields=b"Authentication-Results: mail.example.org; spf=none\n")
STRANGER = "x@far.example"


class ForwardingCase(SynchronousTestCase):
    def office(self, answer=lambda address, tries: SENT, **more):  # type: ignore[no-untyped-def]
        office = PostOffice(self.mktemp(), relay=FakeRelay(answer), **more)
        self.addCleanup(office.close)
        return office

    def forward(self, office: PostOffice, sender: str | None = STRANGER, verdict: Verdict = PROVEN) -> Address | None:
        """Pass one message on; the reverse path it left with."""
        office.accept(["away@example.org"], sender=sender, origin=Origin.WAN, verdict=verdict)
        path: Address | None = office.relay.shipments[-1].envelope.reverse_path
        return path


class ReturnPathTests(ForwardingCase):
    """Out and back."""

    def test_there_and_back(self) -> None:
        """A stranger's mail leaves under our name; a bounce for it goes on to the stranger, with the null path."""
        office = self.office()
        path = self.forward(office)
        assert path is not None
        self.assertEqual(path.domain, "example.org")
        (told,) = office.journal.of(Forwarded)
        self.assertEqual(
            (told.account, told.recipient, told.reason), ("away@example.org", ("someone@elsewhere.example",), "")
        )
        self.assertEqual(office.codes([str(path)], sender=None, origin=Origin.WAN), [250])
        back = office.relay.shipments[-1].envelope
        self.assertIsNone(back.reverse_path)
        self.assertEqual([(str(r.forward_path), r.notify) for r in back.recipients], [(STRANGER, frozenset({"NEVER"}))])
        (returned,) = office.journal.of(BounceReturned)
        self.assertEqual((returned.account, returned.recipient), (str(path), STRANGER))

    def test_any_case(self) -> None:
        """A host on the way that writes everything in capitals does no harm."""
        office = self.office()
        path = self.forward(office)
        assert path is not None
        resolved = now(office.addresses.resolve(Address(path.local.upper(), path.domain)))
        assert isinstance(resolved, Known) and isinstance(resolved.destinations[0], BackTo)
        self.assertEqual(str(resolved.destinations[0].address).lower(), STRANGER)

    def test_ours_and_nobodys(self) -> None:
        """Paths of ours and the null path are not rewritten."""
        office = self.office()
        self.assertEqual(str(self.forward(office, "bob@example.org")), "bob@example.org")
        self.assertIsNone(self.forward(office, None))

    def test_what_fails_is_told_to_whoever_was_proven(self) -> None:
        """When the next host refuses, our report goes to the sender through the return path, and only if he is one."""
        answer = lambda address, tries: REFUSED if address == "someone@elsewhere.example" else SENT  # noqa: E731
        office = self.office(answer)
        self.forward(office)
        report = office.relay.shipments[-1]
        self.assertEqual([str(one.forward_path) for one in report.envelope.recipients], [STRANGER])
        self.assertIsNone(report.envelope.reverse_path)
        self.assertIn(b"multipart/report", report.content.header)
        count = len(office.relay.shipments)
        self.forward(office, "victim@far.example", FORGED)
        self.assertEqual(len(office.relay.shipments), count + 1)

    def test_an_unproven_sender_hears_nothing(self) -> None:
        """His path looks alike, but a bounce to it is refused, with the reason."""
        office = self.office()
        for verdict in (FORGED, Verdict()):
            path = self.forward(office, verdict=verdict)
            assert path is not None
            self.assertEqual(path.domain, "example.org")
            self.assertIsInstance(now(office.addresses.resolve(path)), Unknown)
            self.assertEqual(office.codes([str(path)], sender=None, origin=Origin.WAN), [550])
        self.assertIn("nothing proves", office.journal.of(Forwarded)[-1].reason)

    def test_expiry(self) -> None:
        """After three weeks a path is refused."""
        office = self.office()
        path = self.forward(office)
        assert path is not None
        office.later((DAYS + 2) * 86400.0)
        resolved = now(office.addresses.resolve(path))
        assert isinstance(resolved, Unknown)
        self.assertIn("expired", resolved.text)

    def test_too_long(self) -> None:
        """A sender whose path would become too long gets a short name, which survives a restart."""
        office = self.office()
        sender = f"{'b' * 50}@{'news.' * 6}far.example"
        path = self.forward(office, sender)
        assert path is not None
        self.assertLessEqual(len(path.local), 64)
        again = PostOffice(office.root, clock=office.clock)
        self.addCleanup(again.close)
        self.assertEqual(again.codes([str(path)], sender=None, origin=Origin.WAN), [250])
        self.assertEqual(str(again.relay.shipments[-1].envelope.recipients[0].forward_path), sender)

    def test_only_bounces(self) -> None:
        """Whoever writes to a return path with a path of his own is refused here too."""
        office = self.office()
        path = self.forward(office)
        self.assertEqual(office.codes([str(path)], sender="spam@far.example", origin=Origin.WAN), [550])

    @settings(max_examples=300, deadline=None)
    @given(st.text("SRS01=+-abcXYZ234567.@ü", max_size=40))
    def test_nobody_makes_one(self, tail: str) -> None:
        """Whatever looks like a return path and was not made here leads nowhere, and nothing raises."""
        office = self._fuzzed()
        for start in ("SRS0=", "srs1=", "SRS0+", "SRS1-"):
            resolved = now(office.addresses.resolve(Address(start + tail, "example.org")))
            self.assertIsInstance(resolved, Unknown)

    _office: PostOffice | None = None

    def _fuzzed(self) -> PostOffice:
        if self._office is None:
            self._office = self.office()
        return self._office


class SenderTests(ForwardingCase):
    """What the sender hears (RFC 3461 §5.2.7)."""

    def test_one_target_keeps_the_wish(self) -> None:
        """Behind an alias with one target the next host tells of success."""
        office = self.office()
        office.accept([Recipient(Address.parse("away@example.org"), frozenset({"SUCCESS", "FAILURE"}))])
        (recipient,) = office.relay.shipments[0].envelope.recipients
        self.assertEqual(recipient.notify, {"SUCCESS", "FAILURE"})
        (report,) = office.depot.files("ann@example.org")
        self.assertIn(b"\nAction: relayed\n", report)  # the next host knows no DSN

    def test_many_targets_are_told_as_expanded(self) -> None:
        """Behind one with several we tell that it was expanded, and nobody tells of success any more."""
        for notify, left in (({"SUCCESS", "FAILURE"}, {"FAILURE"}), ({"SUCCESS"}, {"NEVER"})):
            office = self.office()
            office.accept([Recipient(Address.parse("both@example.org"), frozenset(notify))], sender="bob@example.org")
            (recipient,) = office.relay.shipments[0].envelope.recipients
            self.assertEqual(recipient.notify, left)
            (report,) = office.depot.files("bob@example.org")
            self.assertIn(b"\nAction: expanded\n", report)
            self.assertIn(b"rfc822; both@example.org", report)


class LoopTests(ForwardingCase):
    """Nothing goes round."""

    def test_the_mark(self) -> None:
        """What an alias has passed on once it does not pass on again; another alias may."""
        office = self.office()
        self.forward(office)
        content = office.relay.shipments[-1].content
        self.assertIn(b"X-Loop: away@example.org\n", content.header)
        again = Content(content.header, b"Some text.\n", content.lines)
        codes = office.codes(["away@example.org"], sender=STRANGER, origin=Origin.WAN, content=again)
        self.assertEqual((codes, office.journal.of(Refused)[-1].reply[:9]), ([554], "554 5.4.6"))
        self.assertEqual(office.codes(["both@example.org"], sender=STRANGER, origin=Origin.WAN, content=again), [250])

    def test_once_to_each(self) -> None:
        """Who is named himself gets the message directly and not a second time through an alias."""
        office = self.office()
        office.accept(["away@example.org", "someone@elsewhere.example"])
        (shipment,) = office.relay.shipments
        self.assertNotIn(b"X-Loop", shipment.content.header)


class SealTests(ForwardingCase):
    """ARC on what we pass on."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.keys = DkimKeys(self.mktemp(), InlineWorkers(), self.clock, RememberedJournal())
        made = Deferred.fromCoroutine(self.keys.make("example.org"))
        self.records = self.successResultOf(made)
        self.sealer = Sealer(self.keys, InlineWorkers(), self.clock, RememberedJournal())

    def judged(self, content: Content) -> arc.ArcResult:
        assert isinstance(content.body, bytes)
        block = HeaderBlock(content.header)
        book = Book({one.name: one.text for one in self.records})
        bodies = {RELAXED: body_digest(content.body, RELAXED)}
        return book.settle(lambda answers: arc.judge(block, arc.read_chain(block, NOW), bodies, answers))

    def test_sealed(self) -> None:
        """What the checks found is sealed by the alias's domain, and the seal holds; once more on top of it as well."""
        office = self.office(clock=self.clock, sealing=self.sealer)
        self.forward(office)
        content = office.relay.shipments[-1].content
        result = self.judged(Content(content.header, b"Some text.\n", content.lines))
        self.assertEqual((result.result, result.sealers), ("pass", ("example.org",)))
        self.assertTrue(office.journal.of(Forwarded)[-1].sealed)
        verdict = Verdict(evidence=(*PROVEN.evidence, Evidence("arc", "pass")), fields=PROVEN.fields)
        header = content.header.replace(b"X-Loop: away@example.org\n", b"")
        more = {"sender": STRANGER, "origin": Origin.WAN, "verdict": verdict}
        office.accept(["both@example.org"], content=Content(header, b"Some text.\n", header.count(b"\n") + 1), **more)
        twice = office.relay.shipments[-1].content
        self.assertEqual(twice.header.count(b"ARC-Seal: i="), 2)

    def test_nothing_to_say(self) -> None:
        """Without results, with a chain that nobody judged, or without a key nothing is sealed."""
        office = self.office(clock=self.clock, sealing=self.sealer)
        self.forward(office, verdict=Verdict())
        self.assertNotIn(b"ARC-Seal", office.relay.shipments[-1].content.header)
        foreign = message(more="ARC-Seal: i=1; cv=none; a=rsa-sha256; d=a.test; s=b; b=QQ==\n")
        office.accept(["away@example.org"], sender=STRANGER, origin=Origin.WAN, verdict=PROVEN, content=foreign)
        self.assertEqual(office.relay.shipments[-1].content.header.count(b"ARC-Seal"), 1)
        self.assertEqual(now(self.sealer.seal(message(), "other.example", PROVEN)), b"")


class SignedReportTests(ForwardingCase):
    """Our reports bear our own name."""

    def test_signed(self) -> None:
        """The report's From is in the domain that signs it."""

        class Ink:
            async def sign(self, content: Content, domain: str) -> bytes:
                assert f"MAILER-DAEMON@{domain}>".encode() in content.header
                return f"DKIM-Signature: d={domain}\n".encode()

        def answer(address: str, tries: int) -> Outcome:
            return REFUSED

        office = self.office(answer)
        bounces = Bounces(office.door, office.addresses, office.clock, office.journal, HOST, Ink())
        office.dispatch._conclusions._bounces = bounces
        office.accept(["x@far.example"])
        (report,) = office.depot.files("ann@example.org")
        self.assertIn(b"DKIM-Signature: d=example.org\n", report)


class KeyRingTests(SynchronousTestCase):
    """STATE/srs.key"""

    def setUp(self) -> None:
        self.journal = RememberedJournal()

    def ring(self, path: str, clock: Clock) -> KeyRing:
        return KeyRing(path, InlineWorkers(), clock, self.journal)

    def test_made_once(self) -> None:
        """Made at the first use, readable by us alone, the same after a restart."""
        path = self.mktemp()
        clock = Clock()
        clock.advance(NOW)
        keys = now(self.ring(path, clock).keys())
        self.assertEqual((len(keys), len(keys[0])), (1, 32))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(now(self.ring(path, clock).keys()), keys)

    def test_rotation(self) -> None:
        """After half a year another key signs; the old one is known for a month more, then it goes."""
        path = self.mktemp()
        clock = Clock()
        clock.advance(NOW)
        ring = self.ring(path, clock)
        (old,) = now(ring.keys())
        clock.advance(181 * 86400.0)
        now(ring.look_after())
        new, kept = now(ring.keys())
        self.assertEqual(kept, old)
        clock.advance(29 * 86400.0)
        now(ring.look_after())
        self.assertEqual(now(self.ring(path, clock).keys()), (new, old))
        clock.advance(2 * 86400.0)
        now(ring.look_after())
        self.assertEqual(now(self.ring(path, clock).keys()), (new,))

    def test_damaged(self) -> None:
        """A file that holds something else is kept beside a new one, and the journal says so."""
        for octets in (b"00ff 1\n", b"\xff\xfe\x00", b"words\n", b"zz 1\n"):
            path = self.mktemp()
            with open(path, "wb") as file:
                file.write(octets)
            keys = now(self.ring(path, Clock()).keys())
            self.assertEqual(len(keys), 1)
            self.assertEqual(self.journal.events[-1].name, "journal.file_lost")
            with open(path + ".damaged", "rb") as file:
                self.assertEqual(file.read(), octets)
            self.assertEqual(now(self.ring(path, Clock()).keys()), keys)
