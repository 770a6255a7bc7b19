"""docs/operating.md names status lines, files and events that exist."""

from __future__ import annotations

import pathlib
import re

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin import status
from mailbox_appliance.admin.tracing import event_sentences

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "operating.md").read_text("utf-8")
CODE = "".join(path.read_text("utf-8") for path in (ROOT / "mailbox_appliance").rglob("*.py"))


def part(heading: str) -> str:
    """What stands below a heading of the second level."""
    return TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]


class OperatingTests(SynchronousTestCase):
    """Read, and compared with the code."""

    def test_status_lines(self) -> None:
        """Every line that `status` can print has its paragraph, and no other has."""
        told = re.findall(r"(?m)^### `(.+)`$", part("What `status` says"))
        floors = pathlib.Path(status.__file__).parents[1]
        sources = "".join(path.read_text("utf-8") for path in floors.rglob("*.py"))
        self.assertEqual(sorted(told), sorted(set(re.findall(r'Finding\(\s*"([A-Za-z ]+)"', sources))))
        for figure in (status.DISK_LOW, status.DISK_FULL):
            self.assertIn(f"{figure >> 20} MB", part("What `status` says"))

    def test_events(self) -> None:
        """Every event that is named is one."""
        known = event_sentences()
        named = re.findall(r"`([a-z]+\.[a-z_]+)[` ]", part("When something is wrong") + part("Start"))
        named = [name for name in named if not name.endswith(".db")]
        self.assertGreater(len(named), 8)
        for name in named:
            self.assertIn(name, known)

    def test_files(self) -> None:
        """Every file and folder of STATE that is named stands in the code."""
        rows = re.findall(r"(?m)^\| (`.+?) \|", part("Where everything lies"))
        names = [name.strip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)]
        self.assertIn("users.db", names)
        for name in names:
            for step in name.split("/"):
                if step not in ("DOMAIN", "NAME"):
                    self.assertTrue(f'"{step}"' in CODE or f"STATE/{step}" in CODE or f"{step}/" in CODE, step)
