"""Nothing here outgrows a reader: pages of 100 to 250 lines are the aim, and these are the bounds that none may pass."""

from __future__ import annotations

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2] / "mailbox_appliance"
FILE_LINES = 400
FUNCTION_LINES = 65


class LengthTests(SynchronousTestCase):
    """Files and functions of the package."""

    def test_files(self) -> None:
        """A file near the bound has a seam: look for it."""
        files = {path: len(path.read_text("utf-8").splitlines()) for path in ROOT.rglob("*.py")}
        self.assertGreater(len(files), 100)
        self.assertEqual({str(path): lines for path, lines in files.items() if lines > FILE_LINES}, {})

    def test_functions(self) -> None:
        """A part of a long function deserves a name."""
        long = {}
        for path in ROOT.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                    lines = node.end_lineno - node.lineno + 1
                    if lines > FUNCTION_LINES:
                        long[f"{path}:{node.lineno} {node.name}"] = lines
        self.assertEqual(long, {})
