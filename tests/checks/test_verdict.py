"""Evidence becomes a verdict: rows that decide, the sum, and what would have changed it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks import verdict
from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.checks.verdict import RESULTS, decide, turning_points, unknown_results
from mailbox_appliance.mail.verdict import Action, Evidence
from mailbox_appliance.ports.junk import Judgement

PROGRAM = Evidence("attachment", "program", reason="it is a program")
LISTED = Evidence("dnsbl", "listed", 6.0)
SPF = Evidence("spf", "fail")


def settled(*evidence: Evidence, **settings: Any) -> tuple[Action, tuple[str, ...]]:
    """The action, and what would have changed it."""
    given = ChecksSettings("mx.home.test", **settings)
    decided = decide(evidence, given)
    return decided.action, turning_points(decided, given)


class VerdictTests(SynchronousTestCase):
    """One table, one sum."""

    def test_junk_is_a_floor(self) -> None:
        """A row of junk keeps a good name from INBOX, and nothing from being refused."""
        good = Evidence("known", "correspondent")
        self.assertEqual(settled(PROGRAM, good)[0], Action.JUNK)
        self.assertEqual(settled(PROGRAM, good, good)[0], Action.JUNK)
        action, otherwise = settled(PROGRAM, LISTED)
        self.assertEqual(action, Action.REJECT)
        self.assertIn("without dnsbl listed it would be put into Junk", otherwise)
        self.assertEqual(settled(Evidence("dmarc", "fail p=quarantine"), LISTED, LISTED)[0], Action.REJECT)

    def test_the_owner_has_other_rows(self) -> None:
        """[checks] actions: another action, a row taken out, a row of his own."""
        program = {"attachment program": Action.REJECT}
        self.assertEqual(settled(PROGRAM, actions=program)[0], Action.REJECT)
        weights = {"attachment program": 0.0}
        self.assertEqual(
            settled(PROGRAM, actions={"attachment program": Action.ACCEPT}, weights=weights)[0], Action.ACCEPT
        )
        self.assertEqual(settled(SPF, actions={"spf fail": Action.JUNK})[0], Action.JUNK)
        allowed = Evidence("sender", "allowed")
        self.assertEqual(settled(PROGRAM, allowed, actions=program)[0], Action.ACCEPT)

    def test_what_would_have_changed_it(self) -> None:
        """Each piece that decides alone; else the heaviest together; of what was taken, how far it is from Junk."""
        self.assertEqual(settled(LISTED)[1], ("without dnsbl listed it would be accepted",))
        action, otherwise = settled(LISTED, LISTED, LISTED, Evidence("helo", "forged"))
        self.assertEqual(action, Action.REJECT)
        self.assertEqual(otherwise, ("without dnsbl listed it would be put into Junk",))
        forged = Evidence("own", "forged")
        self.assertEqual(
            settled(forged, LISTED, Evidence("helo", "ours"))[1],
            ("without own forged and dnsbl listed it would be put into Junk",),
        )
        self.assertEqual(settled(SPF)[1], ("with 2.0 points more it would be put into Junk",))

    def test_rows_of_his_own_have_words(self) -> None:
        """Whoever is refused by one hears why, as by any other."""
        given = ChecksSettings("mx.home.test", actions={"spf fail": Action.REJECT, "dkim none": Action.DEFER})
        for one, code in ((SPF, 550), (Evidence("dkim", "none"), 451)):
            reply = decide((one,), given).reply
            assert reply is not None
            self.assertEqual((reply.code, bool(reply.text)), (code, True))

    def test_unknown_results(self) -> None:
        """A slip of the pen in the owner's file is found, with what was meant."""
        self.assertEqual(
            unknown_results(["spf fail", "spf fial", "content junk", "x y"]), [("spf fial", "spf fail"), ("x y", "")]
        )

    def test_every_result_is_known(self) -> None:
        """Whatever a check says in its code may be named in the file."""
        said = set()
        for path in (Path(verdict.__file__).parents[1]).rglob("*.py"):
            said |= {" ".join(one) for one in re.findall(r'Evidence\(\s*"([a-z-]+)",\s*"([^"{]+)"', path.read_text())}
        self.assertGreater(len(said), 40)
        self.assertEqual(said - RESULTS, set())

    def test_no_commas(self) -> None:
        """The journal puts commas between them."""
        (one,) = settled(Evidence("dnsbl", "listed", 6.0, remedy="this, or that"))[1]
        self.assertEqual(one, "without dnsbl listed it would be accepted (this; or that)")

    def test_wanted_by_an_untaught_filter(self) -> None:
        """Whoever has taught nothing has a filter that vouches for little."""
        figures = [Judgement(0.0, -10.0, lessons=lessons).as_evidence().weight for lessons in (0, 10, 30, 1000)]
        self.assertEqual(figures, [-0.5, -1.0, -2.0, -2.0])
