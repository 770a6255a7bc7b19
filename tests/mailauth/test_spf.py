"""What the SPF adapter adds to the suite: identities, bounds, and records that mean harm."""

from __future__ import annotations

import functools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import peer_address
from mailbox_appliance.mailauth import spf
from mailbox_appliance.mailauth.lookups import MOST_QUESTIONS, Answers
from mailbox_appliance.ports.dns import Answer, Status
from tests.mailauth.proof import Book

CLIENT = peer_address("192.0.2.1")


class SpfTests(SynchronousTestCase):
    """One record, one result."""

    def check(self, record: object, sender: str = "ann@example.org", **others: Answer) -> spf.SpfResult:
        book = Book({"example.org": record})
        path = Address.parse(sender) if sender else None
        return book.settle(lambda answers: spf.check_mail_from(CLIENT, path, "helo.test", answers))

    def test_reasons(self) -> None:
        """Each result with its reason and the mechanism."""
        for record, result, reason in (
            ("v=spf1 ip4:192.0.2.0/24 -all", "pass", "ip4:192.0.2.0/24 of example.org matches 192.0.2.1"),
            ("v=spf1 -all", "fail", "-all of example.org"),
            ("v=spf1 ~all", "softfail", "~all"),
            ("v=spf1 ?all", "neutral", "?all"),
            ("v=spf1", "neutral", "nothing in the record"),
            ("v=spf1 nonsense", "permerror", "nonsense"),
            (["v=spf1 -all", "v=spf1 +all"], "permerror", "Two or more"),
            ("v=spf10 -all", "none", "publishes no SPF record"),
        ):
            found = self.check(record)
            self.assertEqual((found.result, reason in found.reason), (result, True), found)

    def test_identities(self) -> None:
        """The null path is HELO's; a quoted local part does not move the domain; literals have no record."""
        book = Book({"helo.test": "v=spf1 ip4:192.0.2.1 -all", "victim.test": "v=spf1 ip4:192.0.2.1 -all"})
        null = book.settle(lambda answers: spf.check_mail_from(CLIENT, None, "helo.test", answers))
        self.assertEqual((null.result, null.identity, null.domain), ("pass", "helo", "helo.test"))
        odd = Address.of("a@victim.test", "attacker.test")
        found = book.settle(lambda answers: spf.check_mail_from(CLIENT, odd, "helo.test", answers))
        self.assertEqual((found.result, found.domain), ("none", "attacker.test"))
        for helo in ("[192.0.2.1]", "localhost", "", "bücher.test", "x" * 300 + ".test"):
            found = book.settle(functools.partial(spf.check_helo, CLIENT, helo))
            self.assertEqual(found.result, "none")

    def test_long_records(self) -> None:
        """Records of absurd length are permerror and not gone through."""
        for record in (
            "v=spf1 " + "ip4:10.0.0.1 " * 5000 + "-all",
            "v=spf1 a:" + "1" * 60_000 + " -all",
            "v=spf1 " + "a" * 600,
            [b"v=spf1 -all" + b"x" * 65_000],
        ):
            self.assertEqual(self.check(record).result, "permerror")
        self.assertEqual(self.check(["x" * 60_000, "v=spf1 ip4:192.0.2.1"]).result, "pass")

    def test_loops(self) -> None:
        """Records that include each other, or ask for more and more, end at RFC 7208's ten."""
        path = Address("ann", "example.org")
        for text in ("include:", "redirect=", "exists:%{i}.", "mx:", "a:", "ptr:"):
            records = {f"{n}.example.org": f"v=spf1 {text}{(n + 1) % 50}.example.org " * 1 for n in range(50)}
            records["example.org"] = "v=spf1 " + " ".join(
                f"{text}{n}.example.org" for n in range(15 if "=" not in text else 1)
            )
            book = Book(records)
            found = book.settle(lambda answers: spf.check_mail_from(CLIENT, path, "h.test", answers))
            self.assertEqual(found.result, "permerror", (text, found))
            self.assertLess(len(book.asked), 40, text)

    def test_many_hosts(self) -> None:
        """More than ten mail hosts are permerror; ten of ten stay within the bound of one message."""
        hosts = {
            (f"{n}.example.org", "MX"): Answer(Status.OK, tuple((p, f"h{p}.{n}.test") for p in range(10)))
            for n in range(10)
        }
        book = Book({"example.org": "v=spf1 " + " ".join(f"mx:{n}.example.org" for n in range(10)) + " -all"}, hosts)
        found = book.settle(lambda answers: spf.check_mail_from(CLIENT, Address("a", "example.org"), "h.test", answers))
        self.assertEqual(found.result, "permerror")
        self.assertLessEqual(len(book.asked), MOST_QUESTIONS)

    def test_too_many_questions(self) -> None:
        """The bound of one message is a temperror, never a wait."""
        known = {(f"{n}.test", "A"): Answer(Status.OK) for n in range(MOST_QUESTIONS)}
        answers = Answers(known)
        found = spf.check_mail_from(CLIENT, Address("a", "example.org"), "h.test", answers)
        self.assertEqual((found.result, answers.wanted), ("temperror", []))

    @settings(max_examples=300, deadline=None)
    @given(st.text("v=spf1 aim:px/4602.%{}dlsi-+~?:,_h\\\n\x00é", max_size=60))
    def test_any_record(self, text: str) -> None:
        """Any text as a record gives a result."""
        found = self.check("v=spf1 " + text)
        self.assertIn(found.result, ("pass", "fail", "softfail", "neutral", "none", "permerror", "temperror"))
        self.assertTrue(found.reason.isascii() and found.reason.isprintable())
