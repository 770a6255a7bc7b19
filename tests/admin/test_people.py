"""Domains, accounts, aliases and app passwords at the desk, on the real user database."""

from __future__ import annotations

import os
from email import message_from_bytes, policy
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.aliases import AliasDesk
from mailbox_appliance.admin.apppasswords import AppPasswordDesk
from mailbox_appliance.admin.clientsettings import ClientSettings
from mailbox_appliance.admin.dispatch import Desk
from mailbox_appliance.admin.domains import DomainDesk
from mailbox_appliance.admin.people import AccountDesk
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.welcome import Welcomes, mark_due
from mailbox_appliance.config.local import local_config
from mailbox_appliance.config.model import Config, Listen
from mailbox_appliance.journal.events.admin import OperatorDid
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.delivery import Parcel, Receipt
from mailbox_appliance.ports.users import PasswordCredentials
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.hashing import HashSettings
from mailbox_appliance.users.station import Users
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers


class FakeAcceptance:
    """Takes everything, or says ``reply``."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.reply = reply or Reply(250, "2.0.0", "ok")
        self.parcels: list[Parcel] = []

    async def accept(self, parcel: Parcel) -> tuple[Receipt, ...]:
        self.parcels.append(parcel)
        return tuple(Receipt(one, self.reply) for one in parcel.envelope.recipients)

    async def room_for(self, recipient: object, octets: int) -> None:
        return None


class PeopleTests(SynchronousTestCase):
    """What the owner says, and what he is told."""

    def setUp(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        self.clock = Clock()
        self.clock.advance(1_790_000_000)
        self.journal = RememberedJournal()
        settings = UsersSettings(hashing=HashSettings(memory_kib=64, passes=1))
        path = os.path.join(folder, "users.db")
        self.users = Users.at(path, InlineWorkers(), self.clock, self.journal, settings)
        self.successResultOf(Deferred.fromCoroutine(self.users.start()))
        self.addCleanup(self.users.database.close)
        self.acceptance = FakeAcceptance()
        config = Config("mail.example.org")
        self.welcomes = Welcomes(
            self.acceptance, self.users.accounts, ClientSettings(config), config.hostname, self.clock, self.journal
        )
        self.desk = self.make_desk(self.welcomes.greet)

    def make_desk(self, welcome: Any) -> Desk:
        users, settings = self.users, ClientSettings(Config("mail.example.org"))
        desks = [
            DomainDesk(users.domains),
            AccountDesk(users.accounts, settings, welcome),
            AliasDesk(users.aliases),
            AppPasswordDesk(users.app_passwords),
        ]
        return Desk(desks, self.journal)

    def do(self, words: str, **arguments: object) -> Result:
        noun, _, verb = words.partition(" ")
        return self.successResultOf(Deferred.fromCoroutine(self.desk.run(noun, verb, arguments)))

    def refused(self, words: str, **arguments: object) -> str:
        noun, _, verb = words.partition(" ")
        return str(self.failureResultOf(Deferred.fromCoroutine(self.desk.run(noun, verb, arguments)), Refused).value)

    def household(self) -> None:
        self.do("domain add", domain="example.org")
        self.do("account add", address="ann@example.org", password="correct horse")

    def test_domains_of_a_house(self) -> None:
        """One word needs the owner's word, a house's name gets a remark, other scripts are shown as people write them."""
        users = self.users

        class Keys:
            async def ensure(self, domain: str) -> tuple[()]:
                return ()

        self.desk = Desk([DomainDesk(users.domains, Keys())], self.journal)  # type: ignore[arg-type]
        self.assertIn("one word", self.refused("domain add", domain="nonsense"))
        for name, inside, remark in (
            ("nonsense", True, True),
            ("fritz.box", False, True),
            ("x.home.arpa", False, True),
            ("myfritz.org", False, False),
        ):
            lines = self.do("domain add", domain=name, inside=inside).lines
            self.assertEqual(f"only this house knows {name}" in " ".join(lines), remark, name)
        self.assertIn(
            "xn--bcher-kva.org (bücher.org) is one of our", self.do("domain add", domain="Bücher.org").lines[0]
        )
        self.assertIn("already", self.refused("domain add", domain="xn--bcher-kva.org"))

    def test_names(self) -> None:
        """As people are called: at the account's making or later, shown in the list, in the welcome; "" takes it away."""
        self.do("domain add", domain="example.org")
        self.do("account add", address="ann@example.org", password="correct horse", name="  Ann   Müller ")
        self.assertEqual(self.do("account list").data[0]["name"], "Ann Müller")
        (parcel,) = self.acceptance.parcels
        welcome = message_from_bytes(parcel.content.header + parcel.content.body, policy=policy.default)
        self.assertEqual(str(welcome["To"]), "Ann Müller <ann@example.org>")
        self.assertIn("Welcome, Ann Müller!", welcome.get_content())
        self.assertNotIn("mailappliance", welcome.get_content())  # she has no command line
        self.assertIn("postmaster@example.org makes them for you", welcome.get_content())
        said = self.do("account name", address="ann@example.org", name="Dr. Ann O'Neill")
        self.assertEqual(said.lines, ("ann@example.org is called Dr. Ann O'Neill now",))
        self.assertEqual(self.do("account name", address="ann@example.org", name="").data["name"], "")
        self.assertEqual(self.do("account list").data[0]["name"], "")
        for wrong in ("a\x07b", "x" * 81, "ann@example.org", "Ann <x>", "\u202eAnn"):
            self.assertIn("a name" if "@" not in wrong and "<" not in wrong else "looks like an address",
                          self.refused("account name", address="ann@example.org", name=wrong))  # fmt: skip
        self.assertIn("no account", self.refused("account name", address="eve@example.org", name="Eve"))

    def test_a_new_household(self) -> None:
        """Domain, account with its settings, alias, device."""
        added = self.do("domain add", domain="Example.org")
        self.assertEqual(added.lines[0], "example.org is one of our domains now")
        account = self.do("account add", address="ann@example.org", password="correct horse", quota="5GB")
        self.assertEqual(
            account.lines,
            (
                "account ann@example.org added",
                "it owns example.org: mail for postmaster@example.org goes there",
                "",
                "settings for mail programs:",
                "  user name: ann@example.org",
                "  reading (IMAP): mail.example.org port 993, SSL/TLS",
                "  reading (IMAP): mail.example.org port 143, STARTTLS",
                "  sending (SMTP): mail.example.org port 465, SSL/TLS",
                "  sending (SMTP): mail.example.org port 587, STARTTLS",
                "  password: the account's own, or better one for each device: mailappliance apppassword new",
            ),
        )
        self.assertNotIn("password", account.data)
        listed = self.do("account list")
        assert listed.table is not None
        self.assertEqual(listed.table.columns, ("account", "quota", "owner of", "aliases", "devices", "password"))
        self.assertEqual(listed.table.rows, (("ann@example.org", "5.0 GB", "example.org", "", "0", ""),))
        self.assertEqual(listed.data[0]["quota"], 5 << 30)
        alias = self.do("alias add", alias="shop@example.org", targets=["ann@example.org", "x@elsewhere.example"])
        self.assertEqual(alias.lines, ("mail for shop@example.org goes to ann@example.org, x@elsewhere.example",))
        self.assertEqual(
            self.do("alias remove", alias="shop@example.org", targets=["x@elsewhere.example"]).data["targets"],
            ["ann@example.org"],
        )
        device = self.do("apppassword new", address="ann@example.org", device="phone")
        self.assertIn(device.data["password"], device.lines[2])
        self.assertEqual(self.do("apppassword list", address="ann@example.org").data[0]["device"], "phone")
        self.do("apppassword revoke", address="ann@example.org", device="phone")
        self.assertEqual(self.do("apppassword list").data, [])

    def test_a_password_is_made(self) -> None:
        """Without a password a good one is made, shown once, and not journaled."""
        self.do("domain add", domain="example.org")
        made = self.do("account add", address="ann@example.org", password="")
        password = made.data["password"]
        self.assertTrue(any(password in line for line in made.lines))
        self.assertNotIn(password, repr(self.journal.events))
        again = self.do("account password", address="ann@example.org", password=None)
        self.assertNotEqual(again.data["password"], password)

    def test_secrets_stay_out_of_the_journal(self) -> None:
        """Who did what about whom is journaled, passwords never, refusals with their reason."""
        self.household()
        self.assertIn(
            "there is no account bob@example.org",
            self.refused("account password", address="bob@example.org", password="swordfish 12"),
        )
        told = self.journal.of(OperatorDid)
        self.assertEqual(
            [(one.command, one.about, one.result) for one in told],
            [
                ("domain add", "example.org", "done"),
                ("account add", "ann@example.org", "done"),
                ("account password", "bob@example.org", "refused"),
            ],
        )
        self.assertNotIn("correct horse", repr(self.journal.events))
        self.assertNotIn("swordfish", repr(self.journal.events))

    def test_refusals(self) -> None:
        """What cannot be is refused with the reason and the way out."""
        self.household()
        rows: tuple[tuple[str, dict[str, object], str], ...] = (
            ("domain add", {"domain": "example.org"}, "is one of our domains already"),
            ("domain add", {"domain": "no domain"}, "not a domain name"),
            ("domain remove", {"domain": "example.org"}, "account remove ann@example.org"),
            ("account add", {"address": "ann@example.org", "password": "x" * 3}, "exists already"),
            ("account add", {"address": "bob", "password": "x"}, "has no @"),
            ("account add", {"address": "bob@example.org", "password": "short"}, "too short"),
            ("account add", {"address": "bob@example.org", "quota": "lots"}, "--quota: 'lots' is not a size"),
            ("account add", {}, "address is missing"),
            ("account quota", {"address": "ann@example.org", "size": "-"}, "is not a size"),
            ("alias add", {"alias": "a@example.org", "targets": []}, "say where a@example.org shall lead"),
            ("alias remove", {"alias": "a@example.org"}, "there is no alias"),
            ("apppassword revoke", {"address": "ann@example.org", "device": "x"}, "no device called"),
            ("pigeon add", {}, "this version has no `pigeon add`"),
            ("status", {}, "needs the running service"),
        )
        for words, arguments, part in rows:
            self.assertIn(part, self.refused(words, **arguments), words)

    def test_keys_are_made(self) -> None:
        """A new domain gets keys and is told to publish them; when they cannot be made it is ours all the same."""

        class Keys:
            trouble: Exception | None = None
            made: list[str] = []

            async def ensure(self, domain: str) -> None:
                if self.trouble is not None:
                    raise self.trouble
                self.made.append(domain)

        keys: Any = Keys()
        self.desk = Desk([DomainDesk(self.users.domains, keys)], self.journal)
        self.assertIn("dns records new.test", " ".join(self.do("domain add", domain="New.test").lines))
        self.assertEqual(keys.made, ["new.test"])
        keys.trouble = OSError(28, "No space left on device")
        self.assertIn("No space left", " ".join(self.do("domain add", domain="more.test").lines))
        self.assertEqual(len(self.do("domain list").data), 2)

    def test_domain_options(self) -> None:
        """Owner and catch-all are set with the domain or later; "none" refuses unknown names again."""
        self.household()
        self.do("account add", address="bob@example.org", password="correct horse")
        self.do("domain add", domain="Example.org", owner="bob@example.org", catch_all="ann@example.org")
        (row,) = self.do("domain list").data
        self.assertEqual((row["owner"], row["catch_all"]), ("bob@example.org", "ann@example.org"))
        self.do("domain add", domain="example.org", catch_all="none")
        self.assertEqual(self.do("domain list").data[0]["catch_all"], "")

    def test_quota(self) -> None:
        """A size, none, or the default again."""
        self.household()
        for text, quota, default in (
            ("1GB", 1 << 30, False),
            ("0", 0, False),
            ("default", 0, True),
            ("2048", 2048, False),
        ):
            self.do("account quota", address="ann@example.org", size=text)
            (row,) = self.do("account list").data
            self.assertEqual((row["quota"], row["default_quota"]), (quota, default), text)

    def test_remove_and_undelete(self) -> None:
        """A removed account is listed apart and comes back."""
        self.household()
        self.do("alias add", alias="shop@example.org", targets=["ann@example.org"])
        lines = "\n".join(self.do("account remove", address="ann@example.org").lines)
        self.assertIn("mailappliance account undelete ann@example.org", lines)
        self.assertIn("the alias shop@example.org leads nowhere now", lines)
        self.assertEqual(self.do("account list").data, [])
        self.assertEqual(self.do("account list", removed=True).data[0]["account"], "ann@example.org")
        self.do("account undelete", address="ann@example.org")
        self.assertEqual(len(self.do("account list", domain="example.org").data), 1)
        self.assertEqual(
            self.do("account list", domain="example.com").lines[0],
            "no account of example.com yet: mailappliance account add SOMEBODY@example.com",
        )

    def test_welcome(self) -> None:
        """A new account finds a message with its settings, from postmaster, marked as automatic."""
        self.household()
        (parcel,) = self.acceptance.parcels
        self.assertIsNone(parcel.envelope.reverse_path)
        self.assertEqual(parcel.envelope.recipients[0].forward_path, Address("ann", "example.org"))
        header, body = parcel.content.header, parcel.content.body
        assert isinstance(body, bytes)
        self.assertIn(b"\nFrom: Postmaster <postmaster@example.org>\n", header)
        self.assertIn(b"\nAuto-Submitted: auto-generated\n", header)
        self.assertTrue(header.endswith(b"\n\n"))
        self.assertIn(b"mail.example.org port 993, SSL/TLS\n", body)
        self.assertEqual(parcel.content.lines, (header + body).count(b"\n"))

    def test_welcome_later(self) -> None:
        """An account made without the service, or while the disk was full, is greeted at the next start, once."""
        self.desk = self.make_desk(mark_due(self.users.accounts))
        self.household()
        self.desk = self.make_desk(self.welcomes.greet)
        self.acceptance.reply = Reply(452, "4.3.1", "disk full")
        self.do("account add", address="bob@example.org", password="correct horse")
        for reply, parcels in ((Reply(452, "4.3.1", "full"), 3), (Reply(250, "", "ok"), 5), (Reply(250, "", "ok"), 5)):
            self.acceptance.reply = reply
            self.successResultOf(Deferred.fromCoroutine(self.welcomes.greet_due()))
            self.assertEqual(len(self.acceptance.parcels), parcels)

    def hidden(self, **arguments: str) -> list[str]:
        rows = self.do("account capabilities", address="ann@example.org", **arguments).data
        assert isinstance(rows, list)
        return [row["capability"] for row in rows if row["hidden"]]

    def test_capabilities(self) -> None:
        """Names in any case are hidden from the account, and its next log-in knows."""
        self.household()
        self.assertEqual(self.hidden(), [])
        self.assertEqual(self.hidden(hide="compress=deflate, Qresync"), ["QRESYNC", "COMPRESS=DEFLATE"])
        self.assertEqual(self.hidden(show="QRESYNC", hide="MOVE"), ["MOVE", "COMPRESS=DEFLATE"])
        said = PasswordCredentials("ann@example.org", "correct horse")
        principal = self.successResultOf(Deferred.fromCoroutine(self.users.log_in.log_in(said)))
        self.assertEqual(principal.hidden, {"MOVE", "COMPRESS=DEFLATE"})
        self.assertEqual(self.hidden(show="all"), [])
        self.assertIn("MOOVE", self.refused("account capabilities", address="ann@example.org", hide="MOOVE"))
        self.assertIn("no account", self.refused("account capabilities", address="zoe@example.org"))


class ClientSettingsTests(SynchronousTestCase):
    """What mail programs are told."""

    def test_local_mode(self) -> None:
        """On loopback the host is localhost, with local mode's ports."""
        lines = ClientSettings(local_config("/x")).lines("you@local.test")
        self.assertIn("reading (IMAP): localhost port 2993, SSL/TLS", lines)

    def test_nothing_open(self) -> None:
        """Without ports that is said."""
        closed = Config("a.example", listen=Listen(submission=(), submissions=(), imap=(), imaps=()))
        self.assertIn("no port for mail programs is open", ClientSettings(closed).lines("a@a.example")[1])
