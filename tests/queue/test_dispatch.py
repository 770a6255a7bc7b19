"""The queue at work: sent, tried again, given up, restarted, held."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events.queue import (
    ContentLost,
    DestinationBack,
    DestinationRests,
    GivenUp,
    LeftoverRemoved,
    QueueTrouble,
    ReportSent,
    ReportWithheld,
    Waits,
)
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.queue.destinations import Concurrency
from mailbox_appliance.queue.dispatch import DispatchSettings
from mailbox_appliance.queue.schedule import DAY, HOUR, Schedule
from tests.kit.disk import RecordingDisk
from tests.kit.fake_relay import LATER, REFUSED, SENT, UNREACHABLE, FakeRelay
from tests.kit.post_office import NOW, PostOffice, message, now


class QueueCase(SynchronousTestCase):
    def office(self, answer=None, **more) -> PostOffice:  # type: ignore[no-untyped-def]
        office = PostOffice(self.mktemp(), relay=FakeRelay(answer), **more)
        self.addCleanup(office.close)
        return office

    def reports(self, office: PostOffice) -> list[bytes]:
        return office.depot.files("ann@example.org")


class OutcomeTests(QueueCase):
    """What became of each recipient, and what follows."""

    def test_sent(self) -> None:
        """What is delivered leaves nothing behind."""
        office = self.office()
        office.accept(["x@far.example"])
        self.assertEqual(office.relay.bodies, [b"Some text.\n"])
        self.assertEqual((office.rows(), office.rows("message"), office.queue_files()), (0, 0, []))
        self.assertEqual(self.reports(office), [])

    def test_mixed(self) -> None:
        """One shipment, three outcomes: one is done, one is reported, one waits, and only that one is tried again."""
        answers = {"a@far.example": SENT, "b@far.example": REFUSED, "c@far.example": LATER}
        office = self.office(lambda address, tries: SENT if tries > 1 else answers[address])
        office.accept(list(answers))
        self.assertEqual([len(s.envelope.recipients) for s in office.relay.shipments], [3])
        (report,) = self.reports(office)
        self.assertIn(b"b@far.example", report)
        self.assertNotIn(b"c@far.example", report)
        (waits,) = office.journal.of(Waits)
        self.assertEqual((waits.recipient, waits.tries), ("c@far.example", 1))
        self.assertEqual((office.rows(), len(office.queue_files())), (1, 1))
        office.later(299)
        self.assertEqual(len(office.relay.shipments), 1)
        office.later(2)
        self.assertEqual(
            [str(r.forward_path) for r in office.relay.shipments[1].envelope.recipients], ["c@far.example"]
        )
        self.assertEqual((office.rows(), office.queue_files(), len(self.reports(office))), (0, [], 1))

    def test_given_up(self) -> None:
        """After five days it is over; a notice after four hours said that it takes long, once."""
        office = self.office(lambda address, tries: LATER)
        office.accept(["x@far.example"])
        office.later(4 * HOUR - 60, step=60)
        self.assertEqual(self.reports(office), [])
        office.later(4 * HOUR, step=60)
        (delay,) = self.reports(office)
        self.assertIn(b"Action: delayed\n", delay)
        self.assertIn(b"Will-Retry-Until: ", delay)
        office.later(4 * DAY, step=HOUR)
        self.assertEqual(len(self.reports(office)), 1)
        office.later(DAY, step=HOUR)
        failed = self.reports(office)[1]
        self.assertIn(b"Action: failed\n", failed)
        self.assertIn(b"given up after", failed)
        self.assertEqual(len(office.journal.of(GivenUp)), 1)
        self.assertEqual((office.rows(), office.queue_files()), (0, []))
        tries = office.relay.tries["x@far.example"]
        self.assertTrue(30 <= tries <= 45, tries)

    def test_greylisting(self) -> None:
        """A stranger's host that greylists us is asked again after a minute."""
        grey = Outcome(Result.TRY_AGAIN, Reply(450, "4.2.0", "Greylisted"), "mx", remote=True)
        office = self.office(lambda address, tries: SENT if tries > 1 else grey)
        office.accept(["x@far.example"])
        office.later(61)
        self.assertEqual(office.rows(), 0)

    def test_hold_until(self) -> None:
        """FUTURERELEASE: nothing is tried before its time, and the five days begin then (RFC 4865)."""
        office = self.office()
        office.accept(["x@far.example"], hold_until=NOW + 3 * DAY)
        office.later(3 * DAY - 10, step=HOUR)
        self.assertEqual(office.relay.shipments, [])
        office.later(20)
        self.assertEqual(len(office.relay.shipments), 1)

    def test_a_fault_of_ours(self) -> None:
        """An exception in the relay is told, the message waits, the others go on."""
        office = self.office()
        office.relay.broken = ZeroDivisionError("oops")
        office.accept(["x@far.example"])
        self.assertEqual(len(office.journal.failures), 1)
        self.assertEqual(office.rows(), 1)
        office.relay.broken = None
        office.later(400)
        self.assertEqual(office.rows(), 0)

    def test_content_lost(self) -> None:
        """A file that is gone or damaged is said loudly, and the sender is told."""
        for damage in (os.unlink, lambda path: os.truncate(path, 5)):
            office = self.office()
            office.relay.slow = True
            office.accept(["x@far.example"], hold_until=NOW + 100)
            (name,) = office.queue_files()
            damage(office.root / "queue" / "content" / name)
            office.later(101)
            self.assertEqual(len(office.journal.of(ContentLost)), 1)
            self.assertIn(b"damaged on our disk", self.reports(office)[0])
            self.assertEqual(office.rows(), 0)

    def test_disk_refuses_the_record(self) -> None:
        """While the outcome cannot be written nothing is sent again; it is written as soon as it can be."""
        office = self.office()
        office.relay.slow = True
        office.accept(["x@far.example"])
        office.spool.database.run_now(
            lambda c: c.execute("CREATE TRIGGER full BEFORE DELETE ON recipient BEGIN SELECT RAISE(ABORT, 'disk'); END")
        )
        office.relay.go()
        self.assertEqual(len(office.journal.of(QueueTrouble)), 1)
        office.later(600, step=1)
        self.assertEqual((len(office.relay.shipments), office.rows()), (1, 1))
        office.spool.database.run_now(lambda c: c.execute("DROP TRIGGER full"))
        office.later(10, step=1)
        self.assertEqual((len(office.relay.shipments), office.rows(), office.queue_files()), (1, 0, []))

    def test_large_body(self) -> None:
        """A large body stays in its file and is read from there."""
        office = self.office()
        body = b"x" * 77 + b"\n"
        office.accept(["x@far.example"], content=message(body=body * 2000))
        self.assertEqual(office.relay.bodies, [body * 2000])


class DestinationTests(QueueCase):
    """Who is sent to, and how many at once."""

    def test_concurrency(self) -> None:
        """A destination begins with a few deliveries at once, and gets more as they succeed."""
        office = self.office(settings=DispatchSettings(concurrency=Concurrency(first=3, most=6)))
        office.relay.slow = True
        for n in range(40):
            office.accept([f"u{n}@far.example"])
        self.assertEqual(len(office.relay.shipments), 3)
        while office.relay.go():
            pass
        self.assertEqual(len(office.relay.shipments), 40)
        self.assertEqual(office.relay.most_at_once, {"far.example": 6})
        self.assertEqual(office.rows(), 0)

    def test_small_ones_are_not_starved(self) -> None:
        """A mailing of hundreds to one domain lets a single message to another one through, with little loaded."""
        office = self.office(settings=DispatchSettings(most_loaded=40, most_of_domain=20, batch=10), start=False)
        for n in range(200):
            office.accept([f"u{n}@big.example"])
        office.accept(["one@small.example"])
        office.relay.slow = True
        now(office.dispatch.start())
        self.assertIn("small.example", [s.destination for s in office.relay.shipments])
        self.assertLessEqual(len(office.dispatch.under_way), 40)
        while office.relay.go():
            self.assertLessEqual(len(office.dispatch.under_way), 40)
        self.assertEqual((len(office.relay.shipments), office.rows()), (201, 0))

    def test_smarthost_is_one_destination(self) -> None:
        """Recipients of all domains that go to one host are one transaction, a hundred at a time."""
        office = self.office(start=False)
        office.relay.smarthost = "smarthost mail.isp.example:587"
        office.accept([f"u{n}@d{n}.example" for n in range(250)])
        now(office.dispatch.start())
        self.assertEqual([len(s.envelope.recipients) for s in office.relay.shipments], [100, 100, 50])

    def test_rest(self) -> None:
        """A host that cannot be reached rests: what waits is not tried one by one, and all goes when it is back."""
        down = True
        office = self.office(lambda address, tries: UNREACHABLE if down else SENT)
        for n in range(30):
            office.accept([f"u{n}@far.example"])
        self.assertLess(len(office.relay.shipments), 10)
        self.assertEqual(len(office.journal.of(DestinationRests)), 1)
        tried = len(office.relay.shipments)
        office.later(301)
        self.assertLessEqual(len(office.relay.shipments), tried + 1, "one tries first")
        down = False
        office.later(2 * HOUR, step=30)
        self.assertEqual(office.rows(), 0)
        self.assertEqual(len(office.journal.of(DestinationBack)), 1)

    def test_rest_still_ends_in_time(self) -> None:
        """What waits for a dead host is given up after its five days like everything else."""
        office = self.office(lambda address, tries: UNREACHABLE)
        for n in range(12):
            office.accept([f"u{n}@dead.example"])
        office.later(5 * DAY + 6 * HOUR, step=600)
        self.assertEqual((office.rows(), office.queue_files()), (0, []))
        self.assertEqual(len(office.journal.of(GivenUp)), 12)


class RestartTests(QueueCase):
    """Everything is in place after a restart."""

    def again(self, office: PostOffice, **more: object) -> PostOffice:
        office.close()
        again = PostOffice(office.root, clock=office.clock, relay=FakeRelay(), **more)  # type: ignore[arg-type]
        self.addCleanup(again.close)
        return again

    def test_waiting(self) -> None:
        """What waited waits on, with its tries; envelope and content are the same."""
        office = self.office(lambda address, tries: LATER)
        recipient = Recipient(
            Address.parse("x@far.example"), frozenset({"DELAY", "FAILURE"}), "rfc822;orig@far.example"
        )
        office.accept([recipient], ret="HDRS", envid="QQ 1", eight_bit=True, smtputf8=True, require_tls=True)
        before = office.relay.shipments[0]
        again = self.again(office)
        self.assertEqual(again.relay.shipments, [])
        again.later(301)
        (shipment,) = again.relay.shipments
        self.assertEqual((shipment.envelope, shipment.content), (before.envelope, before.content))

    def test_killed_while_sending(self) -> None:
        """A crash during a delivery tries again: at least once."""
        office = PostOffice(self.mktemp())
        office.relay.slow = True
        office.accept(["x@far.example"])
        office.spool.close()  # no stop: it was killed
        again = PostOffice(office.root, clock=office.clock)
        self.addCleanup(again.close)
        self.assertEqual((len(again.relay.shipments), again.rows()), (1, 0))

    def test_report_not_made_yet(self) -> None:
        """A failure recorded before a crash is reported after it."""
        office = self.office(lambda address, tries: REFUSED)
        office.depot.broken.add(Address.parse("ann@example.org"))
        office.accept(["x@far.example"])
        self.assertEqual((self.reports(office), office.rows()), ([], 1))
        again = self.again(office)
        self.assertEqual((len(self.reports(again)), again.rows(), again.queue_files()), (1, 0, []))

    def test_report_tried_again(self) -> None:
        """A report that cannot be kept now is made later, without a restart."""
        office = self.office(lambda address, tries: REFUSED)
        ann = Address.parse("ann@example.org")
        office.depot.broken.add(ann)
        office.accept(["x@far.example"])
        office.depot.broken.discard(ann)
        office.later(301)
        self.assertEqual((len(self.reports(office)), office.rows()), (1, 0))

    def test_leftovers(self) -> None:
        """Files without rows were never accepted, and go."""
        office = self.office()
        content = office.root / "queue" / "content"
        (content / "half.0").write_bytes(b"From: x")
        again = self.again(office)
        self.assertEqual(again.queue_files(), [])
        self.assertEqual([event.files for event in again.journal.of(LeftoverRemoved)], [1])

    def test_a_failed_round_leaves_nothing(self) -> None:
        """An entry whose round failed is not in the queue, neither file nor rows."""
        disk = RecordingDisk(lambda what, path: 5 if what == "sync_directory" else 0)
        office = self.office(disk=disk)
        self.assertEqual(office.codes(["x@far.example"]), [451])
        self.assertEqual((office.queue_files(), office.rows(), office.rows("message")), ([], 0, 0))


class BackscatterTests(QueueCase):
    """Reports go to our own users, and to nobody else."""

    def test_strangers_are_not_told(self) -> None:
        """A forwarded message that fails is not bounced at whoever its reverse path names."""
        office = self.office(lambda address, tries: REFUSED)
        for sender in ("victim@far.example", "nobody@example.org", None):
            office.accept(["away@example.org"], sender=sender, origin=Origin.WAN)
        self.assertEqual(len(office.relay.shipments), 3)
        self.assertEqual(len(office.journal.of(ReportWithheld)), 3)
        self.assertEqual((office.journal.of(ReportSent), office.rows(), office.queue_files()), ([], 0, []))

    def test_a_report_that_fails_ends_there(self) -> None:
        """A report to a mailbox that is full waits and is given up; there is no report of a report."""
        office = self.office(lambda address, tries: REFUSED)
        office.depot.limits[Address.parse("ann@example.org")] = 10
        office.accept(["x@far.example"])
        office.later(6 * DAY, step=HOUR)
        self.assertEqual((office.rows(), self.reports(office)), (0, []))

    def test_notify(self) -> None:
        """NOTIFY says what is told (RFC 3461 §4.1): each word, each outcome."""
        address = Address.parse("x@far.example")
        taken_over = Outcome(Result.DELIVERED, Reply(250, "2.0.0", "Ok"), remote=True, dsn=True)
        rows = [
            (REFUSED, set(), b"failed"),
            (REFUSED, {"FAILURE"}, b"failed"),
            (REFUSED, {"NEVER"}, None),
            (REFUSED, {"SUCCESS"}, None),
            (SENT, set(), None),
            (SENT, {"SUCCESS"}, b"relayed"),
            (SENT, {"FAILURE"}, None),
            (taken_over, {"SUCCESS"}, None),
        ]
        for outcome, notify, action in rows:
            with self.subTest(outcome=outcome.result, notify=notify):
                office = self.office(lambda address, tries, outcome=outcome: outcome)
                office.accept([Recipient(address, frozenset(notify))])
                reports = self.reports(office)
                self.assertEqual(len(reports), 1 if action else 0)
                if action:
                    self.assertIn(b"Action: " + action + b"\n", reports[0])
                self.assertEqual((office.rows(), office.queue_files()), (0, []))


class EveryRecipientTests(QueueCase):
    """For any sequence of outcomes each recipient ends exactly once."""

    def test_exactly_once(self) -> None:
        """Delivered, or told to the sender, never both, never twice, never neither; whatever the restarts."""
        kinds = {"sent": SENT, "later": LATER, "refused": REFUSED, "unreachable": UNREACHABLE}
        names = ["a@one.example", "b@one.example", "c@two.example"]

        @settings(max_examples=40, deadline=None)
        @given(
            st.fixed_dictionaries({name: st.lists(st.sampled_from(sorted(kinds)), max_size=5) for name in names}),
            st.sets(st.integers(0, 11), max_size=3),
        )
        def play(plans: dict[str, list[str]], restarts: set[int]) -> None:
            delivered: list[str] = []

            def answer(address: str, tries: int) -> Outcome:
                plan = plans[address]
                kind = plan.pop(0) if plan else "later"
                if kind == "sent":
                    delivered.append(address)
                return kinds[kind]

            root, clock = self.mktemp(), Clock()
            clock.advance(NOW)
            schedule = DispatchSettings(Schedule(give_up=HOUR, delay_notice=2 * HOUR))
            office = PostOffice(root, clock=clock, relay=FakeRelay(answer), settings=schedule)
            office.accept(names)
            reports: list[bytes] = []
            for step in range(12):
                if step in restarts:
                    reports += self.reports(office)[len(reports) :]
                    office.close()
                    office = PostOffice(root, clock=clock, relay=FakeRelay(answer), settings=schedule)
                office.later(400, step=100)
            told = b"".join(self.reports(office))
            for name in names:
                ended = delivered.count(name) + told.count(f"Final-Recipient: rfc822; {name}\n".encode())
                self.assertEqual(ended, 1, name)
            self.assertEqual((office.rows(), office.rows("message"), office.queue_files()), (0, 0, []))
            office.close()

        play()


class DeskTests(QueueCase):
    """What the operator may do."""

    def setUp(self) -> None:
        self.up = False
        self.one = self.office(lambda address, tries: SENT if self.up else LATER)
        self.one.accept(["x@far.example", "y@near.example"])
        self.one.clock.advance(1)
        self.one.accept(["z@far.example"], sender="bob@example.org")
        self.traces = [item.trace for item in now(self.one.desk.listing())]

    def states(self) -> dict[str, str]:
        return {r.address: r.state for item in now(self.one.desk.listing()) for r in item.recipients}

    def test_listing(self) -> None:
        """Everything that waits, oldest first, with the last reply."""
        first, second = now(self.one.desk.listing())
        self.assertEqual((first.reverse_path, second.reverse_path), ("ann@example.org", "bob@example.org"))
        self.assertEqual([r.address for r in first.recipients], ["x@far.example", "y@near.example"])
        waits = first.recipients[0]
        self.assertEqual((waits.state, waits.tries, waits.last_reply), ("waiting", 1, "451 4.3.2 System busy"))

    def test_retry(self) -> None:
        """Named ones now, or all."""
        self.up = True
        self.assertEqual(now(self.one.desk.retry((self.traces[0],))), 2)
        self.assertEqual(self.states(), {"z@far.example": "waiting"})
        self.assertEqual(now(self.one.desk.retry(())), 1)
        self.assertEqual(self.states(), {})

    def test_flush(self) -> None:
        """Whatever waits for a domain."""
        self.up = True
        self.assertEqual(now(self.one.desk.flush("far.example")), 2)
        self.assertEqual(self.states(), {"y@near.example": "waiting"})

    def test_hold_and_release(self) -> None:
        """Held ones stay, over retries and restarts, until they are released."""
        self.up = True
        self.assertEqual(now(self.one.desk.hold((self.traces[0],))), 2)
        now(self.one.desk.retry(()))
        self.one.later(DAY, step=HOUR)
        self.assertEqual(self.states(), {"x@far.example": "held", "y@near.example": "held"})
        self.assertEqual(now(self.one.desk.release((self.traces[0],))), 2)
        self.assertEqual(self.states(), {})

    def test_hold_a_domain(self) -> None:
        """Nothing leaves for it, neither what waits nor what comes later; others go on; then all leaves at once."""
        office = self.office()
        office.relay.slow = True
        office.accept(["a@far.example"])
        self.assertEqual(now(office.desk.freeze("Far.Example")), 1)  # it is under way: what has begun is not stopped
        office.relay.slow = False
        office.accept(["b@far.example", "c@other.example"])
        now(office.desk.retry(()))
        office.later(1)
        tried = [str(one.forward_path) for s in office.relay.shipments for one in s.envelope.recipients]
        self.assertEqual(sorted(tried), ["a@far.example", "c@other.example"])
        states = {one.address: one.state for item in now(office.desk.listing()) for one in item.recipients}
        self.assertEqual(states["b@far.example"], "frozen")
        self.assertEqual([domain for domain, _, _ in now(office.desk.frozen())], ["far.example"])
        self.assertIsNone(now(office.desk.thaw("other.example")))
        office.relay.go()
        self.assertEqual(now(office.desk.thaw("far.example")), 1)
        office.later(1)
        self.assertEqual((office.rows(), now(office.desk.frozen())), (0, ()))

    def test_a_held_domain_outlives_a_restart(self) -> None:
        """The hold is in the database."""
        office = self.office()
        now(office.desk.freeze("far.example"))
        office.close()
        again = PostOffice(office.root, clock=office.clock, relay=office.relay)
        self.addCleanup(again.close)
        again.accept(["a@far.example"])
        again.later(1)
        self.assertEqual((office.relay.shipments, again.rows()), ([], 1))

    def test_hold_what_waits_for_its_turn(self) -> None:
        """What is loaded and not begun is held as well."""
        office = self.office(settings=DispatchSettings(concurrency=Concurrency(first=1, most=1)))
        office.relay.slow = True
        office.accept(["a@far.example"])
        office.accept(["b@far.example"])
        now(office.desk.hold(tuple(item.trace for item in now(office.desk.listing()))))
        office.relay.go()
        self.assertEqual(len(office.relay.shipments), 1)
        self.assertEqual([r.state for i in now(office.desk.listing()) for r in i.recipients], ["held"])

    def test_drop(self) -> None:
        """Dropped without a word, or with one to the sender."""
        self.assertEqual(now(self.one.desk.drop((self.traces[0],))), 2)
        self.assertEqual(self.states(), {"z@far.example": "waiting"})
        self.assertEqual(len(self.one.queue_files()), 1)
        self.assertEqual(now(self.one.desk.drop((self.traces[1],), bounce=True)), 1)
        self.assertEqual((self.states(), self.one.queue_files()), ({}, []))
        (report,) = self.one.depot.files("bob@example.org")
        self.assertIn(b"the operator has removed the message", report)

    def test_content(self) -> None:
        """The message as it was accepted; None for one that is not there."""
        content = now(self.one.desk.content(self.traces[0]))
        assert content is not None
        self.assertEqual(content, message())
        self.assertIsNone(now(self.one.desk.content("nothing")))
