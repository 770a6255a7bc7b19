"""What every LogIn must do: the portal of users/ and the fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import LogIn, LogInRefused, PasswordCredentials, Principal
from tests.kit.fake_login import FakeLogIn
from tests.users.household import Household, now

PASSWORDS = {"ann@example.org": "open sesame", "bob@example.org": "another one"}

# A mixin at run time, so that trial does not run it by itself.
if TYPE_CHECKING:
    Case = SynchronousTestCase
else:
    Case = object


class LogInContract(Case):
    """Mixed into a test case that makes the door and an app password of ann's device "phone"."""

    def make(self) -> tuple[LogIn, str]:
        raise NotImplementedError

    def test_who_gets_in(self) -> None:
        """The right password of the right account, or its device's."""
        door, secret = self.make()
        ann = Address("ann", "example.org")
        for name in ("ann@example.org", "Ann@Example.org", "ann", "ANN"):
            self.assertEqual(now(door.log_in(PasswordCredentials(name, "open sesame"))), Principal(ann), name)
            self.assertEqual(now(door.log_in(PasswordCredentials(name, secret))), Principal(ann, "phone"), name)

    def test_still_admitted(self) -> None:
        """As long as nothing has changed."""
        door, secret = self.make()
        for password in ("open sesame", secret):
            self.assertTrue(door.still_admits(now(door.log_in(PasswordCredentials("ann", password)))))
            self.assertFalse(door.is_weak(now(door.log_in(PasswordCredentials("ann", password)))))
        self.assertFalse(door.still_admits(Principal(Address("carl", "example.org"))))
        self.assertFalse(door.is_weak(Principal(Address("carl", "example.org"))))

    def test_who_does_not(self) -> None:
        """Everybody else hears the same words."""
        door, secret = self.make()
        heard = set()
        for name, password in (
            ("ann@example.org", "wrong"),
            ("ann@example.org", ""),
            ("ann@example.org", "another one"),
            ("bob@example.org", secret),
            ("carl@example.org", "open sesame"),
            ("ann@far.example", "open sesame"),
            ("", ""),
        ):
            refusal = self.assertRaises(LogInRefused, now, door.log_in(PasswordCredentials(name, password)))
            heard.add((str(refusal), refusal.later))
        self.assertEqual(heard, {("wrong user name or password", False)})

    def test_the_same_guess_has_the_same_token(self) -> None:
        """Two refusals of one name and password have one token; another password has another."""
        door, _ = self.make()
        tokens = [
            self.assertRaises(LogInRefused, now, door.log_in(PasswordCredentials("ann@example.org", password))).token
            for password in ("wrong", "wrong", "wronger")
        ]
        self.assertTrue(tokens[0])
        self.assertEqual(tokens[0], tokens[1])
        self.assertNotEqual(tokens[0], tokens[2])


class FakeLogInTests(LogInContract, SynchronousTestCase):
    """The fake keeps the contract."""

    def make(self) -> tuple[LogIn, str]:
        return FakeLogIn(PASSWORDS, {"s3cr3t": ("ann@example.org", "phone")}), "s3cr3t"

    def test_busy(self) -> None:
        """It can be too busy."""
        door = FakeLogIn(PASSWORDS)
        door.busy = True
        refusal = self.assertRaises(LogInRefused, now, door.log_in(PasswordCredentials("ann", "open sesame")))
        self.assertTrue(refusal.later)


class PortalLogInTests(LogInContract, SynchronousTestCase):
    """The portal keeps the contract."""

    def make(self) -> tuple[LogIn, str]:
        house = Household()
        now(house.users.domains.add("example.org"))
        for account, password in PASSWORDS.items():
            now(house.users.accounts.add(account, password))
        return house.users.log_in, now(house.users.app_passwords.new("ann@example.org", "phone")).secret
