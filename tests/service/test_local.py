"""Local mode's person, and what the tester is told."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance import local
from mailbox_appliance.config.local import local_config
from mailbox_appliance.mail.address import Address


class Household:
    """What make_person asks of users: domains, accounts, passwords."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.passwords: dict[str, str] = {}
        self.directory = mock.Mock(domains=lambda: frozenset(self.names), accounts=self.everybody)
        self.domains = mock.Mock(add=self.add_domain)
        self.accounts = mock.Mock(add=self.add, set_password=self.set_password)

    async def everybody(self) -> tuple[Address, ...]:
        return tuple(map(Address.parse, self.passwords))

    async def add_domain(self, name: str) -> None:
        self.names.add(name)

    async def add(self, address: str, password: str, quota: int | None) -> None:
        assert address not in self.passwords
        self.passwords[address] = password

    async def set_password(self, address: str, password: str) -> None:
        self.passwords[address] = password


class PersonTests(SynchronousTestCase):
    """make_person"""

    def setUp(self) -> None:
        self.state = os.path.abspath(self.mktemp())
        os.mkdir(self.state)
        self.household = Household()

    def make(self) -> str:
        users: Any = self.household
        return self.successResultOf(Deferred.fromCoroutine(local.make_person(users, self.state)))

    def test_first_start(self) -> None:
        """Domain, account and a password that works, in a file that only its owner can read."""
        password = self.make()
        self.assertEqual(self.household.names, {"local.test"})
        self.assertEqual(self.household.passwords, {"you@local.test": password})
        self.assertEqual(os.stat(os.path.join(self.state, "local-password")).st_mode & 0o777, 0o600)

    def test_later_starts(self) -> None:
        """The same password again, and nothing is changed."""
        first = self.make()
        self.assertEqual(self.make(), first)
        self.assertEqual(self.household.passwords, {"you@local.test": first})

    def test_lost_file(self) -> None:
        """A new password that works, since the old one cannot be known any more."""
        first = self.make()
        os.unlink(os.path.join(self.state, "local-password"))
        second = self.make()
        self.assertNotEqual(second, first)
        self.assertEqual(self.household.passwords, {"you@local.test": second})

    def test_removed_account(self) -> None:
        """It is made again, with a new password."""
        self.make()
        self.household.passwords.clear()
        self.assertEqual(self.household.passwords or {"you@local.test": self.make()}, self.household.passwords)


class FactsTests(SynchronousTestCase):
    """facts"""

    def test_lines(self) -> None:
        """One `key: value` a line, ports with the address they listen on."""
        config = local_config("/somewhere")
        ports = {name: endpoints[0].port for name, endpoints in config.listen.endpoints().items() if endpoints}
        self.assertEqual(
            list(local.facts(config, "secret", "/somewhere/ca.pem", ports)),
            ["account: you@local.test", "password: secret", "ca: /somewhere/ca.pem", "smtp: 127.0.0.1:2525",
             "submission: 127.0.0.1:2587", "submissions: 127.0.0.1:2465", "imap: 127.0.0.1:2143",
             "imaps: 127.0.0.1:2993", "http: 127.0.0.1:2080"],
        )  # fmt: skip
