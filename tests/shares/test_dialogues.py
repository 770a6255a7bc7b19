"""Every conversation of tests/dialogues/shares: Ben's, with Ann in the background."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.dialogue import dialogues, play, read_dialogue
from tests.shares.stage import Family, FamilyStage


class DialogueTests(SynchronousTestCase):
    """One test for each file."""

    def check(self, path: Path) -> None:
        dialogue = read_dialogue(path)
        for manner in ("line", "octet", "burst"):
            world = Family()
            play(dialogue, FamilyStage(world), manner)
            self.assertEqual(world.journal.failures, [])


def _add(path: Path) -> None:
    def test(self: DialogueTests) -> None:
        self.check(path)

    test.__doc__ = read_dialogue(path).name
    setattr(DialogueTests, f"test_{path.stem.replace('-', '_')}", test)


for _path in dialogues("shares"):
    _add(_path)
