"""share list|grant|revoke|create|remove at the desk, over the station itself."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.dispatch import Desk
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.sharing import ShareDesk
from tests.shares.stage import ANN, BEN, Family


class ShareDeskTests(SynchronousTestCase):
    """What the owner types, and what comes of it."""

    def setUp(self) -> None:
        self.world = Family()
        self.desk = Desk([ShareDesk(self.world.shares)], self.world.journal)
        self.world.does(ANN, "CREATE Holiday")

    def do(self, words: str, **arguments: object) -> Result:
        noun, _, verb = words.partition(" ")
        return self.successResultOf(Deferred.fromCoroutine(self.desk.run(noun, verb, arguments)))

    def refused(self, words: str, **arguments: object) -> str:
        noun, _, verb = words.partition(" ")
        return str(self.failureResultOf(Deferred.fromCoroutine(self.desk.run(noun, verb, arguments)), Refused).value)

    def test_grant_and_revoke(self) -> None:
        """Words become letters; what is taken away is gone."""
        self.assertEqual(self.do("share list").data, [])
        done = self.do("share grant", owner="Ann@Example.org", mailbox="Holiday", who="ben@example.org")
        self.assertEqual(
            done.lines,
            (
                "ben@example.org may now use Holiday of ann@example.org: read",
                'mail programs show it below "Other Users"',
            ),
        )
        self.assertIn("lrs", self.world.does(BEN, 'MYRIGHTS "Other Users.ann.Holiday"'))
        self.do("share grant", owner="ann@example.org", mailbox="Holiday", who="anyone", rights="add")
        self.do("share grant", owner="ann@example.org", mailbox="INBOX", who="eve", rights="lr")
        rows = self.do("share list").data
        self.assertEqual(
            [(row["mailbox"], row["who"], row["rights"], row["means"]) for row in rows],
            [
                ("Holiday", "ben@example.org", "lrs", "read"),
                ("Holiday", "anyone", "lrsi", "add"),
                ("INBOX", "eve@example.org", "lr", "some"),
            ],
        )
        self.assertEqual(len(self.do("share list", owner="ann@example.org").data), 3)
        self.assertEqual(self.do("share list", owner="ben@example.org").data, [])
        self.do("share revoke", owner="ann@example.org", mailbox="Holiday", who="ben@example.org")
        self.assertIn("has no rights of his own", self.refused(
            "share revoke", owner="ann@example.org", mailbox="Holiday", who="ben@example.org"))  # fmt: skip

    def test_refusals(self) -> None:
        """Each says what is wrong."""
        table = [
            ({"owner": "nobody@example.org", "mailbox": "x", "who": "anyone"}, "there is no account"),
            ({"owner": "ann", "mailbox": "x", "who": "anyone"}, 'folders of nobody are those of "shared"'),
            ({"owner": "ann@example.org", "mailbox": "Nothing", "who": "anyone"}, "no such mailbox"),
            ({"owner": "ann@example.org", "mailbox": "Holiday", "who": "bne"}, "nobody here is called so"),
            ({"owner": "ann@example.org", "mailbox": "Holiday", "who": "ben", "rights": "much"}, "there is no right"),
            ({"owner": "ann@example.org", "mailbox": "Holiday", "who": "ann"}, "has every right"),
            ({"owner": "shared", "mailbox": "Nothing", "who": "anyone"}, "no such mailbox"),
        ]
        for arguments, words in table:
            self.assertIn(words, self.refused("share grant", **arguments), arguments)

    def test_folders_of_nobody(self) -> None:
        """Made, shown to all, removed."""
        self.do("share create", mailbox="Recipes")
        self.assertIn("already", self.refused("share create", mailbox="Shared.Recipes"))
        self.assertNotIn("Recipes", self.world.does(BEN, 'LIST "" *'))
        self.do("share grant", owner="shared", mailbox="Recipes", who="anyone", rights="full")
        self.assertIn("Shared.Recipes", self.world.does(BEN, 'LIST "" *'))
        self.world.does(BEN, "CREATE Shared.Recipes.Cakes")
        (row, _) = self.do("share list", owner="shared").data
        self.assertEqual((row["owner"], row["mailbox"], row["means"]), ("shared", "Shared.Recipes", "full"))
        self.do("share remove", mailbox="Recipes.Cakes")
        self.assertIn("Nothing", self.refused("share remove", mailbox="Nothing"))
