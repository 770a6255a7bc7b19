"""Every conversation of tests/dialogues/imap, played line by line, octet by octet and in bursts."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.imap.stage import World
from tests.kit.dialogue import dialogues, play, read_dialogue


class DialogueTests(SynchronousTestCase):
    """One test for each file; files named clear-… begin without TLS."""

    def check(self, path: Path) -> None:
        dialogue = read_dialogue(path)
        for manner in ("line", "octet", "burst"):
            world = World()
            play(dialogue, world.connect(clear=path.name.startswith("clear-")), manner)
            self.assertEqual(world.journal.failures, [])


def _add(path: Path) -> None:
    def test(self: DialogueTests) -> None:
        self.check(path)

    test.__doc__ = read_dialogue(path).name
    setattr(DialogueTests, f"test_{path.stem.replace('-', '_')}", test)


for _path in dialogues("imap"):
    _add(_path)
