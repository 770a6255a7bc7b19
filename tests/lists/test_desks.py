"""The owner's side of a list: what he types, what is refused, and what the edge is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.lists import ListsDesk
from mailbox_appliance.admin.result import Refused
from mailbox_appliance.assembly.store import StorePart
from mailbox_appliance.users.answers import UsersError
from tests.users.household import Household, now

LIST, EVE = "family@example.org", "eve@far.example"


class DeskTests(SynchronousTestCase):
    """lists …"""

    def setUp(self) -> None:
        self.house = Household()
        self.house.fill(["example.org"], ["ann@example.org", "bob@example.org"])
        self.desk = ListsDesk(self.house.users.lists)

    def run_verb(self, verb: str, **arguments: Any) -> Any:
        return now(getattr(self.desk, verb)({"list": LIST, **arguments})).data

    def test_a_life(self) -> None:
        """Made, filled, changed, emptied, ended."""
        self.assertEqual(self.run_verb("add", title="Our family")["owner"], "ann@example.org")
        self.assertEqual(self.run_verb("subscribe", members=["Bob@example.org", EVE])["new"], ["bob@example.org", EVE])
        self.assertEqual(self.run_verb("subscribe", members=[EVE.upper()], moderator=True)["new"], [])
        rows = {row["member"]: row for row in self.run_verb("members")}
        self.assertEqual([rows[one]["moderator"] for one in ("bob@example.org", EVE)], [False, True])
        facts = self.run_verb("settings", posting="moderators", tag="[F]", size="1MB", owner="bob@example.org")
        self.assertEqual((facts["posting"], facts["tag"], facts["size"]), ("moderators", "[F]", 1 << 20))
        self.assertEqual(self.run_verb("settings")["owner"], "bob@example.org")
        self.run_verb("pause", member=EVE)
        self.assertEqual(self.run_verb("list")[0]["paused"], 1)
        self.run_verb("resume", member=EVE)
        self.run_verb("unsubscribe", members=[EVE])
        self.assertEqual(self.run_verb("list")[0]["members"], 1)
        now(self.house.users.accounts.remove("bob@example.org"))
        self.assertEqual(self.run_verb("settings")["owner"], "ann@example.org", "the domain's owner takes it over")
        self.run_verb("remove")
        self.assertEqual(self.run_verb("list"), [])

    def test_refused(self) -> None:
        """Each with the reason, and nothing is changed."""
        now(self.house.users.aliases.add("club-request@example.org", ["ann@example.org"]))
        for verb, arguments, words in (
            ("members", {}, "there is no list"),
            ("add", {"list": "ann@example.org"}, "is an account"),
            ("add", {"list": "club@example.org"}, "club-request@example.org is an alias"),
            ("add", {"list": "x@far.example"}, "not one of our domains"),
            ("add", {"list": "a" * 25 + "@example.org"}, "1 to 24"),
            ("add", {"list": "a b@example.org"}, "1 to 24"),
            ("add", {"title": "a\x07b"}, "one line"),
            ("add", {"owner": "eve@example.org"}, "there is no account"),
        ):
            with self.subTest(verb=verb, words=words), self.assertRaises(Refused) as caught:
                self.run_verb(verb, **arguments)
            self.assertIn(words, str(caught.exception))
        self.run_verb("add")
        for verb, arguments, words in (
            ("add", {}, "is a list already"),
            ("settings", {"posting": "nobody"}, "posting is one of"),
            ("settings", {"size": "big"}, "--size"),
            ("settings", {"tag": "x" * 31}, "at most 30"),
            ("subscribe", {"members": [LIST]}, "its own member"),
            ("unsubscribe", {"members": [EVE]}, "is no member"),
            ("pause", {"member": EVE}, "is no member"),
        ):
            with self.subTest(verb=verb, words=words), self.assertRaises(Refused) as caught:
                self.run_verb(verb, **arguments)
            self.assertIn(words, str(caught.exception))
        for work in (
            self.house.users.accounts.add(LIST, "long enough pass"),
            self.house.users.aliases.add(LIST, ["ann@example.org"]),
        ):
            with self.assertRaises(UsersError):
                now(work)

    def test_a_domain_with_lists_stays(self) -> None:
        """It cannot be given up before they are."""
        now(self.house.users.domains.add("club.example"))
        now(self.house.users.lists.add("all@club.example", "", "ann@example.org"))
        with self.assertRaises(UsersError) as caught:
            now(self.house.users.domains.remove("club.example"))
        self.assertIn("lists remove all@club.example", str(caught.exception))

    def test_the_edge_knows(self) -> None:
        """Lists and their addresses are on the list that the store pushes: taken while the store is away."""
        self.run_verb("add")
        store: Any = StorePart.__new__(StorePart)

        async def nobody(*_: object) -> tuple[()]:
            return ()

        self.patch(StorePart, "_look_who_is_full", nobody)
        store._users, store._reactor, store._full = self.house.users, self.house.clock, frozenset()
        store._senders = SimpleNamespace(listing=nobody)
        roster = now(StorePart._list(store))
        for name in (LIST, "family-subscribe@example.org", "family-bounces@example.org"):
            self.assertEqual(getattr(roster.get("address", name), "flags", None), "d", name)
