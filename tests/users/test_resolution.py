"""Where an address leads: the table of look-ups, and what must hold for every table of aliases."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import Elsewhere, Known, LocalMailbox, NotOurs, Resolution, Unknown
from mailbox_appliance.users.records import AccountRecord, DomainRecord
from mailbox_appliance.users.snapshot import ROLES, Snapshot, lookup_key


def at(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


def account(number: int, text: str) -> AccountRecord:
    return AccountRecord(number, at(text), "", 1, b"", 4096, None, 0.0, None, {})


def snapshot(
    accounts: list[str],
    aliases: dict[str, list[str]],
    catch_all: dict[str, str] | None = None,
    owners: dict[str, str] | None = None,
    domains: tuple[str, ...] = ("example.org", "club.example"),
) -> Snapshot:
    """Built by hand, so that it may hold what the desks would refuse."""
    records = {at(text): account(n, text) for n, text in enumerate(accounts, 1)}
    return Snapshot(
        {
            name: DomainRecord(
                name,
                n,
                records[at(owners[name])].number if owners and name in owners else None,
                at(catch_all[name]) if catch_all and name in catch_all else None,
                0.0,
            )
            for n, name in enumerate(domains, 1)
        },
        records,
        {},
        {at(alias): tuple(map(at, targets)) for alias, targets in aliases.items()},
        {},
    )


HOUSE = snapshot(
    ["ann@example.org", "bob@example.org", "ann@club.example", "list.owner@club.example"],
    {
        "family@example.org": ["ann@example.org", "bob@example.org"],
        "all@example.org": ["family@example.org", "ann@example.org", "carl@far.example", "Carl@far.example"],
        "ann+bank@example.org": ["bob@example.org"],
        "fwd@example.org": ["me@far.example"],
        "shop@example.org": ["ann+shopping@example.org"],
        "a@example.org": ["b@example.org"],
        "b@example.org": ["c@example.org"],
        "c@example.org": ["a@example.org", "bob@example.org"],
        "self@example.org": ["self+x@example.org"],
        "dead@example.org": ["gone@example.org"],
        "halfdead@example.org": ["gone@example.org", "bob@example.org"],
        "webmaster@example.org": ["bob@example.org"],
        "jörg@example.org": ["bob@example.org"],
        "x@club.example": ["nobody@club.example", "ann@example.org"],
        "boss@example.org": ["postmaster@example.org"],
    },
    catch_all={"club.example": "list.owner@club.example"},
    owners={"example.org": "ann@example.org"},
)


def local(text: str, detail: str = "") -> LocalMailbox:
    return LocalMailbox(at(text), detail)


def far(text: str) -> Elsewhere:
    return Elsewhere(at(text))


TABLE: list[tuple[str, Resolution]] = [
    # 1 accounts, in any case of letters
    ("ann@example.org", Known((local("ann@example.org"),))),
    ("Ann@example.org", Known((local("ann@example.org"),))),
    ("list.owner@club.example", Known((local("list.owner@club.example"),))),
    # 2 aliases: many targets, here and elsewhere, chains, no doubles
    ("family@example.org", Known((local("ann@example.org"), local("bob@example.org")), "alias")),
    ("FAMILY@example.org", Known((local("ann@example.org"), local("bob@example.org")), "alias")),
    (
        "all@example.org",
        Known((local("ann@example.org"), local("bob@example.org"), far("carl@far.example")), "alias"),
    ),
    ("fwd@example.org", Known((far("me@far.example"),), "alias")),
    ("shop@example.org", Known((local("ann@example.org", "shopping"),), "alias")),
    ("jörg@example.org", Known((local("bob@example.org"),), "alias")),
    ("JÖRG@example.org", Known((local("bob@example.org"),), "alias")),
    ("jo\u0308rg@example.org", Known((local("bob@example.org"),), "alias")),  # decomposed
    # 3 subaddresses; an exact name wins
    ("ann+shop@example.org", Known((local("ann@example.org", "shop"),))),
    ("Ann+Shop@example.org", Known((local("ann@example.org", "Shop"),))),  # the detail keeps its case
    ("ann+@example.org", Known((local("ann@example.org"),))),
    ("ann+a+b@example.org", Known((local("ann@example.org", "a+b"),))),
    ("ann+bank@example.org", Known((local("bob@example.org"),), "alias")),
    ("family+trip@example.org", Known((local("ann@example.org", "trip"), local("bob@example.org", "trip")), "alias")),
    ("shop+more@example.org", Known((local("ann@example.org", "shopping"),), "alias")),
    ("fwd+x@example.org", Known((far("me@far.example"),), "alias")),
    ("+ann@example.org", Unknown()),
    # loops end, and what hangs on them is still reached
    ("a@example.org", Known((local("bob@example.org"),), "alias")),
    ("c@example.org", Known((local("bob@example.org"),), "alias")),
    ("self@example.org", Unknown()),
    # dead ends
    ("dead@example.org", Unknown()),
    ("halfdead@example.org", Known((local("bob@example.org"),), "alias")),
    # 4 roles; an explicit name wins; without an owner nobody reads them
    ("postmaster@example.org", Known((local("ann@example.org"),), "role")),
    ("Abuse@example.org", Known((local("ann@example.org"),), "role")),
    ("hostmaster+x@example.org", Known((local("ann@example.org", "x"),), "role")),
    ("webmaster@example.org", Known((local("bob@example.org"),), "alias")),
    ("boss@example.org", Known((local("ann@example.org"),), "alias")),
    ("postmaster@", Known((local("ann@example.org"),), "role")),
    ("PostMaster@", Known((local("ann@example.org"),), "role")),
    # 5 catch-all: never for a name that is there
    ("anything@club.example", Known((local("list.owner@club.example"),), "catch-all")),
    ("any+thing@club.example", Known((local("list.owner@club.example"),), "catch-all")),
    ("postmaster@club.example", Known((local("list.owner@club.example"),), "catch-all")),
    ("ann@club.example", Known((local("ann@club.example"),))),
    ("ann+x@club.example", Known((local("ann@club.example", "x"),))),
    ("x@club.example", Known((local("list.owner@club.example"), local("ann@example.org")), "alias")),
    # nobody
    ("nobody@example.org", Unknown()),
    ("ann@far.example", NotOurs()),
    ("ann@sub.example.org", NotOurs()),
    ("abuse@", NotOurs()),
    ("ann@[192.0.2.1]", NotOurs()),
]

LOCALS = ["a", "b", "c", "d", "a+x", "b+y", "postmaster", "abuse"]
DOMAINS = ["one.example", "two.example", "far.example"]
addresses = st.builds(Address, st.sampled_from(LOCALS), st.sampled_from(DOMAINS))
ours = addresses.filter(lambda one: one.domain != "far.example")


@st.composite
def houses(draw: st.DrawFn) -> Snapshot:
    """Any directory at all, loops and dead ends included."""
    accounts = draw(st.lists(ours.filter(lambda one: "+" not in one.local), unique=True, max_size=4))
    aliases = draw(st.dictionaries(ours, st.lists(addresses, min_size=1, max_size=4), max_size=10))
    names = [f"{one.local}@{one.domain}" for one in accounts]
    targets = st.dictionaries(st.sampled_from(DOMAINS[:2]), addresses.map(lambda one: f"{one.local}@{one.domain}"))
    return snapshot(
        names,
        {f"{a.local}@{a.domain}": [f"{t.local}@{t.domain}" for t in to] for a, to in aliases.items()},
        draw(targets),
        draw(st.dictionaries(st.sampled_from(DOMAINS[:2]), st.sampled_from(names)) if names else st.just({})),
        tuple(DOMAINS[:2]),
    )


class ResolutionTests(SynchronousTestCase):
    """An address leads where the table says."""

    def test_table(self) -> None:
        """Each row of the table."""
        for text, expected in TABLE:
            self.assertEqual(HOUSE.resolve(at(text)), expected, text)

    def test_loops_are_named(self) -> None:
        """Following a circle of aliases ends and tells which alias closes it; a mere diamond is no circle."""
        self.assertEqual(HOUSE.expand(at("a@example.org")).loop, at("a@example.org"))
        self.assertEqual(HOUSE.expand(at("self@example.org")).loop, at("self@example.org"))
        self.assertIsNone(HOUSE.expand(at("all@example.org")).loop)

    def test_a_chain_longer_than_the_stack(self) -> None:
        """Five thousand aliases in a row are followed to the end."""
        chain = {f"n{n}@example.org": [f"n{n + 1}@example.org"] for n in range(5000)}
        house = snapshot(["ann@example.org"], {**chain, "n5000@example.org": ["ann@example.org"]})
        self.assertEqual(house.resolve(at("n0@example.org")), Known((local("ann@example.org"),), "alias"))

    def test_a_wild_expansion_is_bounded(self) -> None:
        """An alias with more targets than anybody needs is cut."""
        house = snapshot([], {"a@example.org": [f"n{n}@far.example" for n in range(3000)]})
        known = house.resolve(at("a@example.org"))
        assert isinstance(known, Known)
        self.assertEqual(len(known.destinations), 1000)

    @settings(max_examples=300, deadline=None)
    @given(houses(), addresses)
    def test_never_twice_never_for_ever(self, house: Snapshot, address: Address) -> None:
        """Whatever the aliases: it ends, no destination twice, only accounts that live and addresses not ours."""
        found = house.resolve(address)
        if address.domain == "far.example":
            self.assertEqual(found, NotOurs())
            return
        if isinstance(found, Known):
            self.assertTrue(found.destinations)
            keys = [
                one.account if isinstance(one, LocalMailbox) else lookup_key(one.address) for one in found.destinations
            ]
            self.assertEqual(len(keys), len(set(keys)))
            for one in found.destinations:
                if isinstance(one, LocalMailbox):
                    self.assertIn(one.account, house.accounts)
                else:
                    self.assertNotIn(one.address.domain, house.domains)

    @settings(max_examples=300, deadline=None)
    @given(houses(), ours)
    def test_the_catch_all_shadows_nobody(self, house: Snapshot, address: Address) -> None:
        """An address that exists leads where it would lead without any catch-all, as far as accounts are concerned."""
        base, _ = address.without_detail()
        exists = {address, base} & (house.accounts.keys() | house.aliases.keys())
        owned_role = base.local in ROLES and house.owner(address.domain) is not None
        found = house.resolve(address)
        if exists or owned_role:
            self.assertNotEqual(getattr(found, "via", ""), "catch-all")
        if address in house.accounts:
            self.assertEqual(found, Known((LocalMailbox(address),)))
