"""Lists of domains, asked with answers from zone text."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.domains import MOST_NAMES, registered
from mailbox_appliance.checks.settings import dns_lists
from mailbox_appliance.mail.verdict import Action
from tests.checks.scene import Scene, found, letter

ZONE = """
bad.co.uk.dbl.test.     A 127.0.1.2
attacker.test.wl.test.  A 127.0.0.5
bad.co.uk.mad.test.     A 192.0.2.1
bad.co.uk.shut.test.    A 127.255.255.254
bad.co.uk.closed.test.  A 127.0.0.1
;! servfail down.test.
"""


def scene(*lists: str, **settings: object) -> Scene:
    return Scene(ZONE, domain_lists=dns_lists(lists), **settings)


class DomainTests(SynchronousTestCase):
    """What is asked, and what an answer means."""

    def test_listed(self) -> None:
        """A link, in plain text, encoded or HTML, is looked up as the name it is registered under."""
        for body in (
            "see http://a.b.bad.co.uk/x?y now\n",
            'see <a href="https://user@WWW.BAD.co.uk:8080/">this</a>\n',
            "see www.bad.co.uk\n",
        ):
            verdict = scene("dbl.test").examine(letter("eve@attacker.test", body))
            self.assertEqual((found(verdict, "domain-list"), verdict.action), (["listed"], Action.JUNK), body)
            self.assertIn("bad.co.uk is in dbl.test (127.0.1.2)", verdict.reason)
        encoded = letter("eve@attacker.test", "aHR0cDovL2JhZC5jby51ay8=\n", MIME_Version="1.0",
                         Content_Type="text/plain", Content_Transfer_Encoding="base64")  # fmt: skip
        self.assertEqual(found(scene("dbl.test").examine(encoded), "domain-list"), ["listed"])
        for fields in ({"Reply_To": "x@bad.co.uk"},):
            verdict = scene("dbl.test").examine(letter("eve@attacker.test", **fields))
            self.assertEqual(found(verdict, "domain-list"), ["listed"])
        verdict = scene("dbl.test").examine(letter("eve@attacker.test"), sender="x@mail.bad.co.uk")
        self.assertEqual(found(verdict, "domain-list"), ["listed"])

    def test_good_lists(self) -> None:
        """A list of good ones has a figure below 0."""
        verdict = scene("wl.test=-2").examine(letter("eve@attacker.test"))
        self.assertEqual([one.weight for one in verdict.evidence if one.check == "domain-list"], [-2.0])

    def test_faults(self) -> None:
        """Strange answers and refusals count nothing and are told; a list that is down is a temperror."""
        body = "http://bad.co.uk/\n"
        for zone in ("mad.test", "shut.test", "closed.test"):
            one = scene(zone)
            verdict = one.examine(letter("eve@attacker.test", body))
            self.assertEqual((found(verdict, "domain-list"), verdict.action), (["fault"], Action.ACCEPT), zone)
            self.assertEqual([event.zone for event in one.journal.events if event.name == "checks.list_fault"], [zone])
        verdict = scene("down.test").examine(letter("eve@attacker.test", body))
        self.assertEqual(found(verdict, "domain-list"), ["temperror"])

    def test_bounds(self) -> None:
        """A thousand links cost a few questions; ours are never asked."""
        body = "".join(f"http://h{number}.test/ http://x.home.test\n" for number in range(1000))
        one = scene("dbl.test", "two.test", "three.test")
        one.examine(letter("eve@attacker.test", body))
        asked = [name for name, _ in one.dns.questions if name.endswith((".dbl.test", ".two.test", ".three.test"))]
        self.assertEqual(len(asked), 3 * MOST_NAMES)
        self.assertFalse([name for name in asked if "home.test" in name])

    def test_registered(self) -> None:
        """By the list of public suffixes."""
        self.assertEqual(registered("a.b.example.co.uk"), "example.co.uk")
        self.assertEqual(registered("co.uk"), "co.uk")
        self.assertEqual(registered("localhost"), "localhost")
