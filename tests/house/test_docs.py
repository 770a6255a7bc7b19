"""The documents cannot lie: they list exactly the keys and the verbs that exist."""

from __future__ import annotations

import pathlib
import re

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.verbs import VERBS
from mailbox_appliance.config.keys import KEYS

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sections(name: str) -> dict[str, str]:
    """Text below each heading ``### `…` `` of a document."""
    pieces = re.split(r"^### `(.+)`$", (ROOT / "docs" / name).read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


class DocsTests(SynchronousTestCase):
    """docs/ against the tables."""

    def test_every_key_is_explained(self) -> None:
        """docs/configuration.md has a heading for each key, in order, with the table's words and default."""
        found = sections("configuration.md")
        self.assertEqual(list(found), [key.path for key in KEYS])
        for key in KEYS:
            words = " ".join(found[key.path].split())
            self.assertIn(key.explanation, words, key.path)
            self.assertIn(f"Default: `{key.default}`" if key.default else "No default", words, key.path)

    def test_every_verb_is_explained(self) -> None:
        """docs/commands.md has a heading for each verb, in order, with its usage line and help."""
        found = sections("commands.md")
        self.assertEqual(list(found), [verb.usage for verb in VERBS])
        for verb in VERBS:
            words = " ".join(found[verb.usage].split())
            self.assertIn(verb.help, words, verb.name)
            for argument in verb.arguments:
                if argument.kind != "password":
                    self.assertIn(argument.help, words, f"{verb.name} {argument.name}")

    def test_links_lead_somewhere(self) -> None:
        """Links between the documents, and from README, point at files that are there."""
        for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
            for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8")):
                self.assertTrue((path.parent / target).exists(), f"{path.name}: {target}")

    def test_commands_in_the_documents_exist(self) -> None:
        """Every `mailappliance NOUN VERB` that README and docs mention is one."""
        nouns = {verb.noun for verb in VERBS}
        names = {verb.name for verb in VERBS}
        for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "etc" / "mailappliance.toml"):
            for words in re.findall(r"\bmailappliance ((?:--config \S+ )?[a-z]+(?: [a-z]+)?)", path.read_text("utf-8")):
                noun, _, verb = re.sub(r"^--config \S+ ", "", words).partition(" ")
                if noun in nouns:
                    self.assertTrue(not verb or f"{noun} {verb}" in names or noun in names, f"{path.name}: {words}")


class UnitFileTests(SynchronousTestCase):
    """etc/mailappliance.service"""

    def test_settings(self) -> None:
        """It is told READY, holds the port capability only, and may write its state only."""
        text = (ROOT / "etc" / "mailappliance.service").read_text("utf-8")
        for line in (
            "Type=notify",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "StateDirectory=mailappliance",
            "UMask=0077",
        ):
            self.assertIn(f"\n{line}\n", text)
