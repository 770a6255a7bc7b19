"""The portal: who gets in, what it costs, and that known and unknown names cost the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred, execute, fail
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import LogInRefused, PasswordCredentials, Principal
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.hashing import HashSettings
from mailbox_appliance.users.portal import IPrincipal
from mailbox_appliance.workers import DOORS
from tests.users.household import CHEAP, Household, now

ANN = Principal(Address("ann", "example.org"))


class HeldWorkers:
    """Password jobs wait until they are let go; everything else runs at once."""

    def __init__(self) -> None:
        self.holding = False
        self.held: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self.asked = 0

    def run(self, door: str, job: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if door != "password" or not self.holding:
            return execute(job, *args)
        self.asked += 1
        if len(self.held) >= 3:
            return fail(Busy("enough"))
        waiting: Deferred[Any] = Deferred()
        self.held.append((waiting, job, args))
        return waiting

    def let_go(self) -> None:
        held, self.held = self.held, []
        for waiting, job, args in held:
            waiting.callback(job(*args))


class LogInTests(SynchronousTestCase):
    """One door for every service."""

    def setUp(self) -> None:
        self.house = Household().fill(["example.org"], ["ann@example.org", "bob@example.org"])
        now(self.house.users.aliases.add("boss@example.org", ["ann@example.org"]))

    def log_in(self, username: str, password: str = "open sesame") -> Principal:
        return now(self.house.users.log_in.log_in(PasswordCredentials(username, password, "imap", "192.0.2.7")))

    def refused(self, username: str, password: str = "open sesame") -> LogInRefused:
        return cast(LogInRefused, self.assertRaises(LogInRefused, self.log_in, username, password))

    def hashes(self, username: str, password: str) -> int:
        """How many argon2 jobs a refusal of these costs."""
        before = self.house.inline.doors.count("password")
        self.refused(username, password)
        return self.house.inline.doors.count("password") - before

    def test_still_admitted(self) -> None:
        """A log-in is good until its own password has changed, was revoked, or the account has gone."""
        users = self.house.users
        secret = now(users.app_passwords.new("ann@example.org", "phone")).secret
        told = [0]
        users.directory.watch(lambda: told.__setitem__(0, told[0] + 1))
        by_hand, phone, bob = self.log_in("ann"), self.log_in("ann", secret), self.log_in("bob")

        def still() -> list[bool]:
            return [users.log_in.still_admits(one) for one in (by_hand, phone, bob)]

        self.assertEqual(still(), [True, True, True])
        now(users.accounts.set_password("ann@example.org", "a quite different one"))
        self.assertEqual((still(), told), ([False, True, True], [1]))
        now(users.app_passwords.revoke("ann@example.org", "phone"))
        now(users.app_passwords.new("ann@example.org", "phone"))
        self.assertEqual(still(), [False, False, True])
        now(users.accounts.remove("bob@example.org"))
        self.assertEqual((still(), told), ([False, False, False], [4]))

    def test_names(self) -> None:
        """The whole address in any case of letters, or the local part while there is one domain; no aliases."""
        for name in ("ann@example.org", "ANN@EXAMPLE.ORG", " ann@example.org ", "ann", "Ann", "ann@example.org."):
            self.assertEqual(self.log_in(name), ANN, name)
        for name in ("boss@example.org", "ann+x@example.org", "postmaster", "", "@", "@example.org", "ann@", "carl"):
            self.refused(name)
        self.house.fill(["club.example"])
        self.assertEqual(self.log_in("ann@example.org"), ANN)
        self.refused("ann")

    def test_refusals_are_alike(self) -> None:
        """Unknown name, wrong password, alias, nonsense: the same words and one argon2 verification each."""
        texts = set()
        names = (
            "ann@example.org",
            "nobody@example.org",
            "ann@far.example",
            "boss@example.org",
            "nonsense",
            "\0",
            "\udc80",
        )
        for number, name in enumerate(names):
            self.assertEqual(self.hashes(name, f"wrong one {number}"), 1, name)
            texts.add(str(self.refused(name, "wrong")))
        self.assertEqual(texts, {"wrong user name or password"})

    def test_wrong_app_passwords_are_cheap_for_all(self) -> None:
        """What has the shape of an app password is never hashed, whether or not the name exists."""
        for name in ("ann@example.org", "nobody@example.org"):
            self.assertEqual(self.hashes(name, "0000-1111-2222-3333-4444-5555"), 0)

    def test_app_passwords(self) -> None:
        """An app password opens its own account only, names the device, and is nothing once revoked."""
        secret = now(self.house.users.app_passwords.new("ann@example.org", "phone")).secret
        doors = self.house.inline.doors.count("password")
        self.assertEqual(self.log_in("ann", secret), Principal(Address("ann", "example.org"), "phone"))
        self.assertEqual(self.log_in("ann@example.org", secret.upper().replace("-", " ")).device, "phone")
        self.refused("bob@example.org", secret)
        self.refused("ann@example.org", secret[:-1] + ("0" if secret[-1] != "0" else "1"))
        self.assertEqual(self.house.inline.doors.count("password"), doors)
        now(self.house.users.accounts.set_password("ann@example.org", "another one"))
        self.assertEqual(self.log_in("ann", secret).device, "phone")
        now(self.house.users.app_passwords.revoke("ann@example.org", "phone"))
        self.refused("ann@example.org", secret)

    def test_devices_only(self) -> None:
        """While strangers guess, a main password is not looked at, right or wrong, and no hash is made; devices get in."""
        secret = now(self.house.users.app_passwords.new("ann@example.org", "phone")).secret
        for name in ("ann@example.org", "nobody@example.org"):
            for password in ("open sesame", "wrong"):
                asked = self.house.inline.doors.count("password")
                said = PasswordCredentials(name, password, "imap", "192.0.2.7", device_only=True)
                refused = self.failureResultOf(Deferred.fromCoroutine(self.house.users.log_in.log_in(said)))
                refused.trap(LogInRefused)
                self.assertTrue(refused.value.later)
                self.assertEqual(self.house.inline.doors.count("password"), asked)
        said = PasswordCredentials("ann@example.org", secret, "imap", "192.0.2.7", device_only=True)
        self.assertEqual(now(self.house.users.log_in.log_in(said)).device, "phone")

    def test_lengths(self) -> None:
        """Names and passwords beyond 1 KiB, and NUL in a password, are refused without any work."""
        for name, password in (("a" * 1025, "x"), ("ann", "x" * 1025), ("ann", "ü" * 513), ("ann", "open\0sesame")):
            self.assertEqual(self.hashes(name, password), 0)
        self.assertEqual(self.hashes("ann", "x" * 1024), 1)

    def test_the_same_password_in_other_octets(self) -> None:
        """Composed and decomposed letters are one password (RFC 8265)."""
        now(self.house.users.accounts.set_password("ann@example.org", "Schlüsselchen"))
        self.assertEqual(self.log_in("ann", "Schlu\u0308sselchen"), ANN)
        self.refused("ann", "Schlusselchen")

    def test_recent_successes_are_remembered(self) -> None:
        """A second log-in costs no argon2, until a quarter of an hour has passed or the password is changed."""
        count = lambda: self.house.inline.doors.count("password")  # noqa: E731
        self.log_in("ann")
        first = count()
        self.log_in("ANN@example.org")
        self.refused("bob", "open sesame!")
        self.assertEqual(count(), first + 1)
        self.house.clock.advance(901)
        self.log_in("ann")
        self.assertEqual(count(), first + 2)
        now(self.house.users.accounts.set_password("ann@example.org", "another one"))
        self.refused("ann")
        self.assertEqual(self.log_in("ann", "another one"), ANN)

    def test_tokens(self) -> None:
        """A refusal carries the same token for the same wrong password only, and the token hides it."""
        first, again = self.refused("ann@example.org", "wrong"), self.refused("Ann@example.org", "wrong")
        self.assertEqual(first.token, again.token)
        self.assertEqual(len(first.token), 16)
        others = {self.refused("ann@example.org", "wrong!").token, self.refused("bob@example.org", "wrong").token}
        self.assertEqual(len({first.token, *others}), 3)
        self.assertNotEqual(Household().fill(["example.org"]).users.log_in, self.house.users.log_in)

    def test_rehashed_with_new_parameters(self) -> None:
        """A hash made with other parameters is renewed at the next log-in, and the password stays the same."""
        path = self.mktemp()
        old = Household(path, UsersSettings(hashing=CHEAP)).fill(["example.org"], ["ann@example.org"])
        now(old.users.stop())
        dearer = Household(path, UsersSettings(hashing=HashSettings(16, 2)))
        account = lambda: dearer.users.directory.snapshot.accounts[Address("ann", "example.org")]  # noqa: E731
        before = account()
        self.assertIn("m=8,t=1", before.hash)
        for _ in range(2):
            now(dearer.users.log_in.log_in(PasswordCredentials("ann", "open sesame")))
            self.assertIn("m=16,t=2", account().hash)
            self.assertEqual(account().hash_version, before.hash_version)

    def test_a_broken_rehash_is_no_refusal(self) -> None:
        """When the new hash cannot be written, the log-in is good all the same and the fault is journaled."""
        path = self.mktemp()
        old = Household(path, UsersSettings(hashing=CHEAP)).fill(["example.org"], ["ann@example.org"])
        now(old.users.stop())
        dearer = Household(path, UsersSettings(hashing=HashSettings(16, 2)))
        dearer.users.database.run_now(lambda c: c.execute("PRAGMA query_only=1").fetchall())
        self.assertEqual(now(dearer.users.log_in.log_in(PasswordCredentials("ann", "open sesame"))), ANN)
        self.assertEqual([where for where, _ in dearer.journal.failures], ["users"])

    def test_the_default_parameters(self) -> None:
        """argon2id with 19 MiB, two passes, one lane; two at a time at most."""
        house = Household(settings=UsersSettings()).fill(["example.org"], ["ann@example.org"])
        hash = house.users.directory.snapshot.accounts[Address("ann", "example.org")].hash
        self.assertTrue(hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$"), hash)
        self.assertLessEqual(DOORS["password"][0], 2)

    def test_the_portal_itself(self) -> None:
        """Anything that speaks twisted.cred gets the Principal from the portal, or UnauthorizedLogin."""
        portal = self.house.users.log_in.portal
        interface, principal, _ = now(portal.login(UsernamePassword(b"ann", b"open sesame"), None, IPrincipal))
        self.assertEqual((interface, principal), (IPrincipal, ANN))
        for name, password in ((b"ann", b"wrong"), (b"\xff\xfe", b"\xff")):
            self.failureResultOf(portal.login(UsernamePassword(name, password), None, IPrincipal), UnauthorizedLogin)

    def test_last_uses_are_written_lazily(self) -> None:
        """The use of a device reaches the disk within a minute, or when the service stops."""
        path = self.mktemp()
        house = Household(path).fill(["example.org"], ["ann@example.org"])
        secret = now(house.users.app_passwords.new("ann@example.org", "phone")).secret
        use = lambda: now(house.users.log_in.log_in(PasswordCredentials("ann", secret, "imap", "192.0.2.7")))  # noqa: E731
        rows = lambda: house.users.database.run_now(  # noqa: E731
            lambda c: c.execute("SELECT used, used_from, used_by FROM app_passwords").fetchall()
        )
        use()
        self.assertEqual(rows(), [(None, "", "")])
        first = house.clock.seconds()
        house.clock.advance(60)
        self.assertEqual(rows(), [(first, "192.0.2.7", "imap")])
        use()
        second = house.clock.seconds()
        now(house.users.stop())
        self.assertEqual(house.clock.getDelayedCalls(), [])
        again = Household(path)
        self.assertEqual(now(again.users.app_passwords.listing())[0].used, second)

    @settings(max_examples=150, deadline=None)
    @given(st.text(max_size=30), st.text(max_size=30))
    def test_nothing_typed_breaks_it(self, username: str, password: str) -> None:
        """Whatever is typed is a refusal, never an error of ours."""
        self.assertFalse(self.refused(username, password + "!").later)
        self.assertEqual(self.house.journal.failures, [])


class ConcurrencyTests(SynchronousTestCase):
    """Hashing takes time, and things happen meanwhile."""

    def setUp(self) -> None:
        self.workers = HeldWorkers()
        self.house = Household(workers=self.workers).fill(["example.org"], ["ann@example.org", "bob@example.org"])
        self.workers.holding = True

    def log_in(self, username: str, password: str = "open sesame") -> Deferred[Principal]:
        return Deferred.fromCoroutine(self.house.users.log_in.log_in(PasswordCredentials(username, password)))

    def test_five_connections_one_hash(self) -> None:
        """The same name and password at the same time are computed once, for right and wrong ones."""
        good = [self.log_in("ann") for _ in range(5)]
        bad = [self.log_in("ann", "wrong") for _ in range(5)]
        self.assertEqual(self.workers.asked, 2)
        self.workers.let_go()
        self.assertEqual([self.successResultOf(one) for one in good], [ANN] * 5)
        for one in bad:
            self.failureResultOf(one, LogInRefused)

    def test_too_busy(self) -> None:
        """When too many wait, the answer is "later": known and unknown names alike, and nothing to count."""
        waiting = [self.log_in("ann", f"wrong {n}") for n in range(3)]
        for name in ("ann", "nobody"):
            refusal = self.failureResultOf(self.log_in(name), LogInRefused).value
            self.assertTrue(refusal.later)
        self.workers.let_go()
        for one in waiting:
            self.assertFalse(self.failureResultOf(one, LogInRefused).value.later)
        good = self.log_in("ann")
        self.workers.let_go()
        self.assertEqual(self.successResultOf(good), ANN)

    def test_edits_when_too_busy(self) -> None:
        """An owner who comes when too many wait is asked to come again."""
        for n in range(3):
            self.log_in("ann", f"wrong {n}").addErrback(lambda _: None)
        users = self.house.users
        for edit in (
            users.accounts.add("carl@example.org"),
            users.accounts.set_password("ann@example.org"),
            users.app_passwords.new("ann@example.org", "phone"),
        ):
            self.assertIn("try again", str(self.assertRaises(UsersError, now, edit)))
        self.workers.let_go()

    def test_a_caller_goes_away(self) -> None:
        """A connection that is lost while its password is computed does not spoil the others."""
        first, second = self.log_in("ann"), self.log_in("ann")
        first.cancel()
        self.workers.let_go()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.house.journal.failures, [])
        self.assertEqual(self.successResultOf(second), ANN)

    def test_changed_meanwhile(self) -> None:
        """A password changed, or an account removed, while the old one is computed: refused."""
        one, two = self.log_in("ann"), self.log_in("bob")
        self.workers.holding = False
        now(self.house.users.accounts.set_password("ann@example.org", "another one"))
        now(self.house.users.accounts.remove("bob@example.org"))
        self.workers.let_go()
        self.failureResultOf(one, LogInRefused)
        self.failureResultOf(two, LogInRefused)
        self.failureResultOf(self.log_in("ann"), LogInRefused)

    def test_an_edit_outlives_its_caller(self) -> None:
        """An edit whose caller goes away in the middle is finished, and the next edit is not held up."""
        adding = Deferred.fromCoroutine(self.house.users.accounts.set_password("ann@example.org", "another one"))
        self.workers.let_go()
        self.successResultOf(adding)
        now(self.house.users.domains.add("club.example"))
        self.assertIn("club.example", self.house.users.directory.domains())
