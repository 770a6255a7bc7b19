"""docs/checks.md shows the tables as they are."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.checks.verdict import DECISIVE, WEIGHTS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "checks.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


class DocsTests(SynchronousTestCase):
    """Word for word."""

    def test_decisive_rows(self) -> None:
        """Every row in order, each with a reason."""
        found = rows("Decisive rows")
        self.assertEqual(
            [(key, action) for key, action, _ in found], [(key, row[0].value) for key, row in DECISIVE.items()]
        )
        self.assertTrue(all(why for _, _, why in found))

    def test_figures(self) -> None:
        """Every figure, each with a reason."""
        found = rows("Figures")
        self.assertEqual([(key, float(figure)) for key, figure, _ in found], list(WEIGHTS.items()))
        self.assertTrue(all(why for _, _, why in found))

    def test_thresholds(self) -> None:
        """The figures in the text."""
        settings = ChecksSettings("x")
        self.assertIn(
            f"at {settings.junk_at:g} the message\ngoes to Junk, at {settings.reject_at:g} it is refused", TEXT
        )
        self.assertIn(f"at most {settings.look_up_seconds:g} seconds", TEXT)
