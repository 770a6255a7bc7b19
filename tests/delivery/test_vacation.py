"""Answers while somebody is away: who is answered, who is not, and what is remembered."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.header import decode_header, make_header

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.delivery.memory import MOST_ANSWERED
from mailbox_appliance.journal.events.delivery import VacationAnswered, VacationSilent
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.automatic import automatic_mail
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.vacation import SETTING, VacationNotice, notice_of
from mailbox_appliance.mail.verdict import Action, Evidence, Verdict
from tests.kit.fake_relay import FakeRelay
from tests.kit.post_office import NOW, PostOffice

BOB = Address.parse("bob@example.org")
PROVEN = Verdict(evidence=(Evidence("spf", "pass"),))
DAY = 86_400.0


def letter(fields: str = "", *, to: str = "To: bob@example.org\n", subject: str = "Dinner") -> Content:
    header = f"From: Eve <eve@far.example>\n{to}Subject: {subject}\nMessage-ID: <1@far.example>\n{fields}\n".encode()
    return Content(header, b"Come?\n", header.count(b"\n") + 1)


class VacationCase(SynchronousTestCase):
    def office(self, notice: VacationNotice | None = None, account: Address = BOB) -> PostOffice:
        office = PostOffice(self.mktemp(), relay=FakeRelay())
        self.addCleanup(office.close)
        self.away(office, notice or VacationNotice("Back on Monday.\nBob"), account)
        return office

    def away(self, office: PostOffice, notice: VacationNotice, account: Address = BOB) -> None:
        office.directory.all_settings[account] = {SETTING: notice.to_text()}

    def write(self, office: PostOffice, content: Content | None = None, **more: object) -> int:
        """How many answers one message from outside gives rise to."""
        before = len(office.relay.shipments)
        given = {"sender": "eve@far.example", "origin": Origin.WAN, "verdict": PROVEN, **more}
        to = given.pop("to", ["bob@example.org"])
        office.accept(to, content=content or letter(), **given)  # type: ignore[arg-type]
        return len(office.relay.shipments) - before


class AnswerTests(VacationCase):
    """The answer."""

    def test_what_it_says(self) -> None:
        """Null path, To the return path, threaded, marked as automatic; the message itself is in the mailbox."""
        office = self.office()
        self.assertEqual(self.write(office), 1)
        shipment = office.relay.shipments[0]
        self.assertIsNone(shipment.envelope.reverse_path)
        (recipient,) = shipment.envelope.recipients
        self.assertEqual((str(recipient.forward_path), recipient.notify), ("eve@far.example", frozenset({"NEVER"})))
        answer = message_from_bytes(shipment.content.header + office.relay.bodies[0])
        self.assertEqual((answer["From"], answer["To"]), ("bob@example.org", "eve@far.example"))
        self.assertEqual(answer["Subject"], "Automatic reply: Dinner")
        self.assertEqual((answer["In-Reply-To"], answer["References"]), ("<1@far.example>", "<1@far.example>"))
        self.assertEqual(answer["Auto-Submitted"], "auto-replied (vacation)")
        self.assertEqual(answer.get_payload(), "Back on Monday.\nBob\n")
        self.assertEqual(len(office.depot.files("bob@example.org")), 1)
        (told,) = office.journal.of(VacationAnswered)
        self.assertEqual(
            (told.account, told.recipient, told.answer), ("bob@example.org", "eve@far.example", shipment.trace)
        )
        self.assertNotEqual(told.trace, shipment.trace)
        self.assertEqual(automatic_mail(shipment.content.header)[:2], "it")

    def test_once_in_some_days(self) -> None:
        """The same sender is answered again after the days, or when the text is another one."""
        office = self.office(VacationNotice("Away", days=3))
        self.assertEqual([self.write(office), self.write(office)], [1, 0])
        self.assertIn("answered in the last 3 days", office.journal.of(VacationSilent)[0].reason)
        self.assertEqual(self.write(office, sender="EVE@far.example"), 0)
        self.assertEqual(self.write(office, sender="other@far.example"), 1)
        self.away(office, VacationNotice("Away for longer", days=3))
        self.assertEqual([self.write(office), self.write(office)], [1, 0])
        office.later(3.1 * DAY)
        self.assertEqual([self.write(office), self.write(office)], [1, 0])

    def test_after_a_restart(self) -> None:
        """Whom it has answered is on the disk."""
        office = self.office()
        self.write(office)
        again = PostOffice(office.root, clock=office.clock)
        self.addCleanup(again.close)
        self.away(again, VacationNotice("Back on Monday.\nBob"))
        self.assertEqual(self.write(again), 0)

    def test_its_time(self) -> None:
        """Nothing before the first day, nothing after the last, and nothing is said of it."""
        office = self.office(VacationNotice("Away", begins=NOW + DAY, ends=NOW + 2 * DAY))
        self.assertEqual(self.write(office), 0)
        office.later(1.5 * DAY)
        self.assertEqual(self.write(office), 1)
        office.later(DAY)
        self.assertEqual(self.write(office, sender="late@far.example"), 0)
        self.assertEqual(office.journal.of(VacationSilent), [])

    def test_both_are_away(self) -> None:
        """Two people in one To are answered for each; two away people do not answer one another for ever."""
        office = self.office()
        self.away(office, VacationNotice("Ann is away"), Address.parse("ann@example.org"))
        content = letter(to="To: bob@example.org, ann@example.org\n")
        self.assertEqual(self.write(office, content, to=["bob@example.org", "ann@example.org"]), 2)
        inside = {"sender": "ann@example.org", "origin": Origin.AUTHENTICATED}
        office.accept(["bob@example.org"], content=letter(), **inside)  # type: ignore[arg-type]
        self.assertEqual(len(office.depot.files("ann@example.org")), 2, "Eve's letter and Bob's answer, nothing more")
        self.assertEqual(len(office.depot.files("bob@example.org")), 2)

    def test_memory_is_bounded(self) -> None:
        """The oldest senders are forgotten."""
        office = self.office()
        for number in range(MOST_ANSWERED + 5):
            rows = office.memory.answers_now("bob@example.org", "m", f"{number}@x", NOW + number)
            office.memory.database.run_now(rows.work)
        count = lambda c: c.execute("SELECT count(*), min(moment) FROM answered").fetchone()  # noqa: E731
        self.assertEqual(office.memory.database.run_now(count), (MOST_ANSWERED, NOW + 5))

    def test_in_his_name(self) -> None:
        """From bears Bob's name, but not where his other address was written to: that may be all the sender knows."""
        office = self.office()
        office.directory.names = {BOB: 'Bob "Bobby" Müller'}
        self.write(office)
        answer = message_from_bytes(office.relay.shipments[0].content.header, policy=policy.default)
        self.assertEqual(str(answer["From"]), '"Bob \\"Bobby\\" Müller" <bob@example.org>')
        office.directory.aliases[Address.parse("shop@example.org")] = [BOB]
        content = letter(to="To: shop@example.org\n")
        self.write(office, content, to=["shop@example.org"], sender="joe@far.example")
        for shipment in office.relay.shipments[1:]:
            self.assertEqual(message_from_bytes(shipment.content.header)["From"], "shop@example.org")


class SilenceTests(VacationCase):
    """Who is not answered."""

    def test_automatic_mail(self) -> None:
        """Machines, lists, reports and junk are met with silence."""
        for fields in (
            "Auto-Submitted: auto-generated\n",
            "Auto-Submitted: auto-replied (vacation)\n",
            "auto-submitted: AUTO-NOTIFIED; x=y\n",
            "Precedence: bulk\n",
            "Precedence: LIST\n",
            "X-Auto-Response-Suppress: OOF, DR\n",
            "X-Auto-Response-Suppress: All\n",
            "List-Id: <x.far.example>\n",
            "List-Unsubscribe: <mailto:x@far.example>\n",
            "List-Post: NO\n",
            "Content-Type: multipart/report; report-type=delivery-status\n",
        ):
            with self.subTest(fields=fields):
                office = self.office()
                self.assertEqual(self.write(office, letter(fields)), 0)
                self.assertEqual(len(office.journal.of(VacationSilent)), 1)

    def test_people(self) -> None:
        """What says that it is a person's is answered."""
        for fields in ("Auto-Submitted: no\n", "Precedence: first-class\n", "X-Auto-Response-Suppress: DR\n"):
            self.assertEqual(self.write(self.office(), letter(fields)), 1, fields)

    def test_return_paths(self) -> None:
        """Nobody, machines and oneself."""
        for sender in (
            None,
            "mailer-daemon@far.example",
            "owner-club@far.example",
            "club-bounces+bob=example.org@far.example",
            "bounce-77@far.example",
            "no-reply@far.example",
            "club-request@far.example",
            "noreply-orders@far.example",
            "SRS0=aa=bb=c.test=x@far.example",
        ):
            with self.subTest(sender=sender):
                self.assertEqual(self.write(self.office(), sender=sender), 0)
        office = self.office()
        self.assertEqual(self.write(office, sender="bob@example.org", origin=Origin.AUTHENTICATED), 0)

    def test_not_addressed(self) -> None:
        """A blind copy, an alias of several people, a role; but subaddresses and further addresses are the person."""
        rows = (
            ("To: undisclosed-recipients:;\n", ["bob@example.org"], 0),
            ("To: someone@far.example\n", ["bob@example.org"], 0),
            ("To: family@example.org\n", ["family@example.org"], 0),
            ("Cc: Bob <BOB@example.org>\n", ["bob@example.org"], 1),
            ("To: bob+shop@example.org\n", ["bob+shop@example.org"], 1),
            ("To: x@far.example\nResent-To: bob@example.org\n", ["bob@example.org"], 1),
            ("To: bob.smith@old.example\n", ["bob@example.org"], 1),
        )
        for to, recipients, answers in rows:
            with self.subTest(to=to):
                office = self.office(VacationNotice("Away", addresses=("Bob.Smith@old.example",)))
                self.assertEqual(self.write(office, letter(to=to), to=recipients), answers)
        office = self.office(account=Address.parse("ann@example.org"))
        to = "To: postmaster@example.org\n"
        self.assertEqual(self.write(office, letter(to=to), to=["postmaster@example.org"]), 0)

    def test_junk_and_forgeries(self) -> None:
        """Junk is not answered, nor is a path that the checks could not prove; without checks everybody is."""
        junk = Verdict(Action.JUNK, evidence=PROVEN.evidence)
        self.assertEqual(self.write(self.office(), verdict=junk), 0)
        self.assertEqual(self.write(self.office(), verdict=Verdict(evidence=(Evidence("spf", "softfail"),))), 0)
        everybody = Verdict(evidence=(Evidence("spf", "pass"), Evidence("spf", "everybody")))
        self.assertEqual(self.write(self.office(), verdict=everybody), 0)
        self.assertEqual(self.write(self.office(), verdict=Verdict()), 1)


class WhateverTests(VacationCase):
    """Nothing a sender writes becomes a field of the answer."""

    @settings(max_examples=150, deadline=None)
    @given(st.text(max_size=60), st.text(max_size=60))
    def test_no_field_is_added(self, subject: str, words: str) -> None:
        """Subject and text of any kind leave the answer's fields as they are."""
        office = self._shared()
        self.away(office, VacationNotice(words or "x", subject=subject))
        office.later(1.0)
        self.tries += 1
        sender = f"eve{self.tries}@far.example"
        folded = subject.encode("utf-8", "replace").replace(b"\r", b"").replace(b"\n", b"\n ")
        header = (
            b"From: e@far.example\nTo: bob@example.org\nMessage-ID: <\x0b\x00Bcc: v@x>\nSubject: " + folded + b"\n\n"
        )
        self.write(office, Content(header, b"", header.count(b"\n")), sender=sender)
        sent = office.relay.shipments[-1].content.header
        answer = message_from_bytes(sent)
        names = {name.lower() for name in answer}
        expected = "date from to subject message-id in-reply-to references auto-submitted mime-version content-type"
        self.assertLessEqual(names, {*expected.split(), "content-transfer-encoding"})
        self.assertEqual(answer["To"], sender)
        self.assertNotIn("\n", str(make_header(decode_header(answer["Subject"]))).replace("\n ", ""))

    @given(st.text())
    def test_any_setting(self, kept: str) -> None:
        """What cannot be read is no notice."""
        notice_of({SETTING: kept})

    @given(st.builds(VacationNotice, st.text(), st.text(), st.floats(0, 1e10), st.floats(0, 1e10), st.integers(1, 99)))
    def test_kept_and_read(self, notice: VacationNotice) -> None:
        """A notice is read as it was kept."""
        self.assertEqual(notice_of({SETTING: notice.to_text()}), notice)

    tries = 0
    _office: PostOffice | None = None

    def _shared(self) -> PostOffice:
        if self._office is None:
            self._office = self.office()
        return self._office
