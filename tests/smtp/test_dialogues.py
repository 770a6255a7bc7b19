"""Every conversation of tests/dialogues/smtp, by line, by octet and in bursts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.dialogue import dialogues, play, read_dialogue
from tests.smtp.stage import PlayedHouse


class DialogueTests(SynchronousTestCase):
    """The server says what is written."""

    def test_dialogues(self) -> None:
        """All are played in all manners; afterwards nothing is left behind and no exception was seen."""
        plays = 0
        for path in dialogues("smtp"):
            dialogue = read_dialogue(path)
            for manner in ("line", "octet", "burst"):
                stage = PlayedHouse()
                play(dialogue, stage, manner)
                stage.house.close()
                if path.stem != "our-fault":
                    self.assertEqual(stage.house.journal.failures, [], path.name)
                plays += 1
        self.assertGreater(plays, 150)
