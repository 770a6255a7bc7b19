"""The words for the owner: every command that a refusal or docs/accounts.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.verbs import VERBS
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.snapshot import ROLES
from tests.users.household import now
from tests.users.test_desks import REFUSALS, house

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "accounts.md").read_text("utf-8")
COMMAND = re.compile(r"mailappliance (\w+) ([a-z]+)")
KNOWN = {(verb.noun, verb.verb) for verb in VERBS}


class WordsTests(SynchronousTestCase):
    """What we tell the owner to type, he can type."""

    def test_commands_in_refusals(self) -> None:
        """Each `mailappliance NOUN VERB` in a refusal exists."""
        made = house()
        named = set()
        for _, edit, _ in REFUSALS:
            named |= set(COMMAND.findall(str(self.assertRaises(UsersError, now, edit(made.users)))))
        self.assertGreater(len(named), 5)
        self.assertEqual(named - KNOWN, set())

    def test_commands_in_the_document(self) -> None:
        """Each command in docs/accounts.md exists."""
        named = set(COMMAND.findall(DOCUMENT))
        self.assertEqual(named - KNOWN, set())

    def test_figures_in_the_document(self) -> None:
        """The roles, the fortnight and the limits are those of the program."""
        for role in ROLES:
            self.assertIn(f"`{role}@`", DOCUMENT)
        self.assertIn(f"for {round(UsersSettings().keep_removed / 86400)} days", DOCUMENT)
        self.assertIn(f"{UsersSettings().hashing.memory_kib // 1024} MiB", DOCUMENT)
