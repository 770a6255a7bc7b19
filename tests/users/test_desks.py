"""The desks: what an owner may do, and what is refused with the reason and the remedy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events.users import (
    AccountAdded,
    AccountForgotten,
    AccountRemoved,
    AliasSet,
    AppPasswordMade,
    AppPasswordRevoked,
    PasswordChanged,
)
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import Known, LocalMailbox, LogInRefused, PasswordCredentials, Unknown
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.station import Users
from tests.users.household import CHEAP, Household, now

Edit = Callable[[Users], Awaitable[object]]

REFUSALS: list[tuple[str, Edit, str]] = [
    ("a domain that is none", lambda u: u.domains.add("exa mple"), "such as example.org"),
    ("an IP address", lambda u: u.domains.add("192.0.2.1"), "IP address"),
    ("a path", lambda u: u.domains.add("../etc"), "not a domain name"),
    ("one word", lambda u: u.domains.add("nonsense"), "such as nonsense.org"),
    ("one word with a dot", lambda u: u.domains.add("localhost."), "--inside"),
    ("no script", lambda u: u.domains.add("xn--a.example"), "no name in any script"),
    ("no word of one", lambda u: u.domains.add("xn--a", inside=True), "no name in any script"),
    ("a sign that no name has", lambda u: u.domains.add("b☃cher.example"), "not a domain name"),
    ("a domain twice", lambda u: u.domains.add("EXAMPLE.org"), "already"),
    ("a domain with people", lambda u: u.domains.remove("example.org"), "account remove"),
    ("a domain with aliases", lambda u: u.domains.remove("club.example"), "alias remove friends@club.example"),
    ("a domain that is not ours", lambda u: u.domains.remove("far.example"), "domain add far.example"),
    ("an unknown domain", lambda u: u.accounts.add("ann@far.example"), "domain add far.example"),
    ("an account twice", lambda u: u.accounts.add("ann@example.org"), "exists already"),
    ("an account over an alias", lambda u: u.accounts.add("family@example.org"), "is an alias"),
    ("upper case", lambda u: u.accounts.add("Carl@example.org"), "carl@example.org"),
    ("a subaddress as account", lambda u: u.accounts.add("carl+x@example.org"), "subaddress"),
    ("a hidden folder", lambda u: u.accounts.add(".carl@example.org"), "letters a-z"),
    ("a climbing name", lambda u: u.accounts.add("..@example.org"), "letters a-z"),
    ("a slash", lambda u: u.accounts.add("a/b@example.org"), "letters a-z"),
    ("a dot too many", lambda u: u.accounts.add("carl..x@example.org"), "letters a-z"),
    ("an option", lambda u: u.accounts.add("-rf@example.org"), "letters a-z"),
    ("other letters", lambda u: u.accounts.add("jörg@example.org"), "an alias may"),
    ("a space", lambda u: u.accounts.add("carl x@example.org"), "letters a-z"),
    ("no @", lambda u: u.accounts.add("carl"), "ann@example.org"),
    ("too long", lambda u: u.accounts.add("c" * 65 + "@example.org"), "64"),
    ("a short password", lambda u: u.accounts.add("carl@example.org", "1234567"), "at least 8"),
    ("the address as password", lambda u: u.accounts.add("carl@example.org", "Carl@Example.org"), "address itself"),
    ("the name as password", lambda u: u.accounts.set_password("bob.builder@example.org", "bob.builder"), "itself"),
    ("the domain as password", lambda u: u.accounts.add("carl@example.org", "example.org"), "itself"),
    ("one letter", lambda u: u.accounts.add("carl@example.org", "aaaaaaaaaa"), "one character"),
    ("a huge password", lambda u: u.accounts.add("carl@example.org", "ab" * 600), "1024"),
    ("a control character", lambda u: u.accounts.add("carl@example.org", "open\0sesame"), "control"),
    (
        "an app password's shape",
        lambda u: u.accounts.add("carl@example.org", "abcd-efgh-jkmn-pqrs-tvwx-yz01"),
        "app password",
    ),
    ("a negative quota", lambda u: u.accounts.set_quota("ann@example.org", -1), "octets"),
    ("nobody's quota", lambda u: u.accounts.set_quota("carl@example.org", 1), "no account"),
    ("an alias's password", lambda u: u.accounts.set_password("family@example.org", "x" * 9), "is an alias"),
    ("a setting's odd name", lambda u: u.accounts.set_setting("ann@example.org", "A b", "1"), "name of a setting"),
    ("a huge setting", lambda u: u.accounts.set_setting("ann@example.org", "a", "1" * 2000), "too long"),
    ("undelete of the living", lambda u: u.accounts.undelete("ann@example.org"), "not been removed"),
    ("undelete of nobody", lambda u: u.accounts.undelete("carl@example.org"), "not kept"),
    ("forget the living", lambda u: u.accounts.forget("ann@example.org"), "not been removed"),
    ("an alias to nobody", lambda u: u.aliases.add("x@example.org", ["carl@example.org"]), "no carl@example.org"),
    ("an alias to nothing", lambda u: u.aliases.add("x@example.org", []), "where"),
    ("an alias to itself", lambda u: u.aliases.add("x@example.org", ["x@example.org"]), "circle"),
    ("an alias to its own tag", lambda u: u.aliases.add("x@example.org", ["x+y@example.org"]), "no x+y@example.org"),
    (
        "a circle of aliases",
        lambda u: u.aliases.add("family@example.org", ["friends@club.example"]),
        "circle by way of",
    ),
    ("an alias over an account", lambda u: u.aliases.add("ann@example.org", ["bob@far.example"]), "is an account"),
    ("an alias elsewhere", lambda u: u.aliases.add("x@far.example", ["ann@example.org"]), "domain add far.example"),
    ("an alias with a space", lambda u: u.aliases.add("a b@example.org", ["ann@example.org"]), "letters, digits"),
    ("a program", lambda u: u.aliases.add("x@example.org", ["|/bin/sh"]), "no @"),
    ("too many targets", lambda u: u.aliases.add("x@example.org", [f"n{n}@far.example" for n in range(501)]), "500"),
    ("no such alias", lambda u: u.aliases.remove("ann@example.org"), "no alias"),
    ("no such target", lambda u: u.aliases.remove("family@example.org", ["x@far.example"]), "does not lead"),
    ("a catch-all to nobody", lambda u: u.domains.set_catch_all("example.org", "carl@example.org"), "add that account"),
    ("a circular catch-all", lambda u: u.domains.set_catch_all("club.example", "any@club.example"), "add that account"),
    ("a stranger as owner", lambda u: u.domains.set_owner("example.org", "carl@example.org"), "no account"),
    ("a device without a name", lambda u: u.app_passwords.new("ann@example.org", "  "), "name"),
    ("a device of nobody", lambda u: u.app_passwords.new("carl@example.org", "phone"), "no account"),
    ("a device twice", lambda u: u.app_passwords.new("ann@example.org", "PHONE"), "already"),
    ("no such device", lambda u: u.app_passwords.revoke("ann@example.org", "tablet"), "no device"),
    ("another's device", lambda u: u.app_passwords.revoke("bob.builder@example.org", "phone"), "no device"),
]


def house(settings: UsersSettings | None = None) -> Household:
    made = Household(settings=settings).fill(
        ["example.org", "club.example"],
        ["ann@example.org", "bob.builder@example.org"],
        {"family@example.org": ["ann@example.org"], "friends@club.example": ["family@example.org", "x@far.example"]},
    )
    now(made.users.app_passwords.new("ann@example.org", "phone"))
    return made


class RefusalTests(SynchronousTestCase):
    """Nothing wrong gets in, and the refusal says what to do."""

    def test_each_refusal(self) -> None:
        """Every row is refused in words with the remedy, and leaves the directory as it was."""
        made = house()
        before = made.users.directory.snapshot
        told = len(made.journal.events)
        for what, edit, words in REFUSALS:
            error = self.assertRaises(UsersError, now, edit(made.users))
            self.assertIn(words, str(error), what)
        self.assertEqual(made.users.directory.snapshot, before)
        self.assertEqual(len(made.journal.events), told)

    def test_no_password_in_an_answer(self) -> None:
        """Neither refusals, events nor the repr of what the desks hold show a secret."""
        made = house()
        new = now(made.users.accounts.add("carl@example.org"))
        device = now(made.users.app_passwords.new("carl@example.org", "laptop"))
        for secret in (new.password, device.secret):
            self.assertGreaterEqual(len(secret), 20)
            for thing in (new, device, made.journal.events, made.users.directory.snapshot):
                self.assertNotIn(secret, repr(thing))
        self.assertNotIn("argon2", repr(made.users.directory.snapshot))


class LifeTests(SynchronousTestCase):
    """Domains, accounts and aliases come and go."""

    def resolve(self, made: Household, text: str) -> object:
        return now(made.users.directory.resolve(Address.parse(text)))

    def test_the_first_account_owns_the_domain(self) -> None:
        """The first account of a domain gets its role mail; later ones do not take it away."""
        made = Household().fill(["example.org"])
        first = now(made.users.accounts.add("ann@example.org"))
        second = now(made.users.accounts.add("bob@example.org", "open sesame"))
        self.assertEqual((first.owner_of, second.owner_of, second.password), (("example.org",), (), ""))
        self.assertEqual(now(made.users.directory.owner("example.org")), Address("ann", "example.org"))
        self.assertEqual(
            self.resolve(made, "abuse@example.org"), Known((LocalMailbox(Address("ann", "example.org")),), "role")
        )
        now(made.users.domains.set_owner("example.org", "bob@example.org"))
        self.assertEqual(now(made.users.directory.owner("example.org")), Address("bob", "example.org"))

    def test_listings(self) -> None:
        """Listings are plain values, ready for --json."""
        made = house()
        domains = now(made.users.domains.listing())
        self.assertEqual(
            [(d.domain, d.owner, d.accounts, d.aliases) for d in domains][1], ("example.org", "ann@example.org", 2, 1)
        )
        ann, _ = now(made.users.accounts.listing())
        self.assertEqual(
            (ann.account, ann.owner_of, ann.aliases, ann.devices, ann.quota, ann.default_quota),
            ("ann@example.org", ("example.org",), ("family@example.org",), 1, 0, True),
        )
        aliases = now(made.users.aliases.listing())
        self.assertEqual(aliases[0].targets, ("family@example.org", "x@far.example"))

    def test_idn_domains(self) -> None:
        """A domain may be typed in its own letters and is the same in both forms."""
        made = Household().fill(["bücher.example"], ["ann@xn--bcher-kva.example"])
        self.assertEqual(made.users.directory.domains(), {"xn--bcher-kva.example"})
        self.assertIsInstance(self.resolve(made, "ann@BÜCHER.example"), Known)

    def test_removed_and_brought_back(self) -> None:
        """A removed account neither receives nor logs in; brought back it is as it was."""
        made = house()
        secret = now(made.users.app_passwords.new("ann@example.org", "laptop")).secret
        now(made.users.accounts.set_setting("ann@example.org", "may_send", "no"))
        gone = now(made.users.accounts.remove("ann@example.org"))
        self.assertEqual(gone.new_owners, (("example.org", "bob.builder@example.org"),))
        self.assertEqual(gone.dead_aliases, ("family@example.org",))
        self.assertEqual(self.resolve(made, "ann@example.org"), Unknown())
        for password in ("open sesame", secret):
            self.assertRaises(
                LogInRefused, now, made.users.log_in.log_in(PasswordCredentials("ann@example.org", password))
            )
        self.assertEqual([one.account for one in now(made.users.accounts.listing(removed=True))], ["ann@example.org"])
        self.assertIn("undelete", str(self.assertRaises(UsersError, now, made.users.accounts.add("ann@example.org"))))
        self.assertIn(
            "undelete", str(self.assertRaises(UsersError, now, made.users.accounts.remove("ann@example.org")))
        )
        self.assertRaises(UsersError, now, made.users.aliases.add("ann@example.org", ["bob.builder@example.org"]))
        now(made.users.accounts.undelete("ann@example.org"))
        for password in ("open sesame", secret):
            principal = now(made.users.log_in.log_in(PasswordCredentials("ann@example.org", password)))
            self.assertFalse(principal.may_send)
        self.assertIsInstance(self.resolve(made, "family@example.org"), Known)

    def test_the_last_account_comes_back_as_owner(self) -> None:
        """Removing the only account leaves the domain without an owner; whoever comes next owns it."""
        made = Household().fill(["example.org"], ["ann@example.org"])
        self.assertEqual(now(made.users.accounts.remove("ann@example.org")).new_owners, (("example.org", ""),))
        self.assertIsNone(now(made.users.directory.owner("example.org")))
        self.assertEqual(self.resolve(made, "postmaster@example.org"), Unknown())
        self.assertEqual(now(made.users.accounts.undelete("ann@example.org")).owner_of, ("example.org",))
        now(made.users.accounts.remove("ann@example.org"))
        self.assertEqual(now(made.users.accounts.add("bob@example.org")).owner_of, ("example.org",))

    def test_forgotten_after_a_fortnight(self) -> None:
        """What has rested for 14 days is deleted for good, and the name is free again."""
        made = house()
        now(made.users.accounts.remove("ann@example.org"))
        made.clock.advance(14 * 86400 - 1)
        self.assertEqual(now(made.users.accounts.forget_old()), ())
        made.clock.advance(1)
        self.assertEqual(now(made.users.accounts.forget_old()), (Address("ann", "example.org"),))
        self.assertEqual([event.account for event in made.journal.of(AccountForgotten)], ["ann@example.org"])
        self.assertEqual(now(made.users.app_passwords.listing()), ())
        self.assertRaises(UsersError, now, made.users.accounts.undelete("ann@example.org"))
        now(made.users.accounts.add("ann@example.org"))

    def test_a_new_person_inherits_nothing(self) -> None:
        """Who gets the name of a forgotten account gets none of its mail: no alias and no catch-all leads there."""
        made = house()
        now(made.users.aliases.add("pair@example.org", ["ann+pair@example.org", "bob.builder@example.org"]))
        now(made.users.domains.set_catch_all("club.example", "ann@example.org"))
        now(made.users.accounts.remove("ann@example.org"))
        now(made.users.accounts.forget("ann@example.org"))
        now(made.users.accounts.add("ann@example.org", "open sesame"))
        self.assertEqual(self.resolve(made, "family@example.org"), Unknown())
        self.assertEqual(self.resolve(made, "whoever@club.example"), Unknown())
        bob = LocalMailbox(Address("bob.builder", "example.org"))
        self.assertEqual(self.resolve(made, "pair@example.org"), Known((bob,), "alias"))
        self.assertEqual(now(made.users.app_passwords.listing()), ())

    def test_a_removed_owner_is_forgotten(self) -> None:
        """Deleting for good an account that still stands as an owner leaves a domain without one."""
        made = Household().fill(["example.org"], ["ann@example.org"])
        now(made.users.accounts.remove("ann@example.org"))
        now(made.users.accounts.forget("ann@example.org"))
        self.assertIsNone(now(made.users.directory.owner("example.org")))
        now(made.users.domains.remove("example.org"))
        self.assertEqual(made.users.directory.domains(), frozenset())

    def test_aliases_grow_and_shrink(self) -> None:
        """Targets are added to an alias and taken away one by one; without targets it is gone."""
        made = house()
        add = made.users.aliases.add
        self.assertEqual(
            now(add("Family@example.org", ["BOB.builder@example.org", "ann@example.org", "x@far.example"])).targets,
            ("ann@example.org", "bob.builder@example.org", "x@far.example"),
        )
        left = now(made.users.aliases.remove("family@example.org", ["ann@example.org", "X@far.example"]))
        self.assertEqual(left.targets, ("bob.builder@example.org",))
        self.assertEqual(now(made.users.aliases.remove("family@example.org")).targets, ())
        self.assertEqual(self.resolve(made, "family@example.org"), Unknown())

    def test_catch_all_on_and_off(self) -> None:
        """A catch-all takes what nobody has, and is taken away again; it may lead elsewhere."""
        made = house()
        now(made.users.domains.set_catch_all("club.example", "ann+club@example.org"))
        self.assertEqual(
            self.resolve(made, "x@club.example"),
            Known((LocalMailbox(Address("ann", "example.org"), "club"),), "catch-all"),
        )
        now(made.users.domains.set_catch_all("club.example", "x@far.example"))
        self.assertIsInstance(self.resolve(made, "x@club.example"), Known)
        now(made.users.domains.set_catch_all("club.example", None))
        self.assertEqual(self.resolve(made, "x@club.example"), Unknown())

    def test_a_catch_all_through_an_alias_that_leads_back(self) -> None:
        """A catch-all whose target leads into the same catch-all by way of an alias is refused."""
        made = house()
        now(made.users.domains.set_catch_all("club.example", "ann@example.org"))
        now(made.users.aliases.add("odd@example.org", ["whoever@club.example", "ann@example.org"]))
        edit = made.users.domains.set_catch_all("club.example", "odd@example.org")
        self.assertIn("lead back", str(self.assertRaises(UsersError, now, edit)))

    def test_quota_and_settings(self) -> None:
        """An account's own quota goes before the default; settings are set and removed."""
        made = house(UsersSettings(default_quota=5000, hashing=CHEAP))
        directory, ann = made.users.directory, Address("ann", "example.org")
        self.assertEqual(now(directory.quota(ann)), 5000)
        now(made.users.accounts.set_quota("ann@example.org", 0))
        self.assertEqual(now(directory.quota(ann)), 0)
        self.assertEqual(now(made.users.log_in.log_in(PasswordCredentials("ann@example.org", "open sesame"))).quota, 0)
        now(made.users.accounts.set_quota("ann@example.org", None))
        self.assertEqual(now(directory.quota(ann)), 5000)
        now(made.users.accounts.set_setting("ann@example.org", "language", "de"))
        now(made.users.accounts.set_setting("ann@example.org", "language", "fr"))
        self.assertEqual(now(directory.settings(ann)), {"language": "fr"})
        now(made.users.accounts.set_setting("ann@example.org", "language", None))
        self.assertEqual(now(directory.settings(ann)), {})

    def test_app_passwords(self) -> None:
        """A device's password is made, seen in the listing with its last use, and revoked by name or by key."""
        made = house()
        new = now(made.users.app_passwords.new("ann@example.org", "Ann's  tablet"))
        now(made.users.log_in.log_in(PasswordCredentials("ann@example.org", new.secret, "imap", "192.0.2.7")))
        rows = {row.label: row for row in now(made.users.app_passwords.listing("ann@example.org"))}
        self.assertEqual(set(rows), {"phone", "Ann's tablet"})
        tablet = rows["Ann's tablet"]
        self.assertEqual((tablet.used, tablet.used_from, tablet.used_by), (made.clock.seconds(), "192.0.2.7", "imap"))
        self.assertIsNone(rows["phone"].used)
        now(made.users.app_passwords.revoke("ann@example.org", "ann's tablet"))
        now(made.users.app_passwords.revoke("ann@example.org", rows["phone"].key.upper()))
        self.assertEqual(now(made.users.app_passwords.listing()), ())
        self.assertEqual(len(made.journal.of(AppPasswordRevoked)), 2)

    def test_events(self) -> None:
        """Each edit is told once."""
        made = house()
        now(made.users.accounts.set_password("ann@example.org"))
        now(made.users.accounts.remove("ann@example.org"))
        self.assertEqual(len(made.journal.of(AccountAdded)), 2)
        self.assertEqual(len(made.journal.of(AppPasswordMade)), 1)
        self.assertEqual(len(made.journal.of(AliasSet)), 2)
        self.assertEqual([event.account for event in made.journal.of(PasswordChanged)], ["ann@example.org"])
        self.assertEqual([event.keep_days for event in made.journal.of(AccountRemoved)], [14])
