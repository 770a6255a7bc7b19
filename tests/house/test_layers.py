"""Imports run downhill: the table of floors as data, held against the imports of every module."""

from __future__ import annotations

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = "mailbox_appliance"
ROOT = Path(__file__).resolve().parents[2] / PACKAGE

STATIONS = (
    "users guard dns acme smtp checks junk scanners queue delivery "
    "lists outbox shares relay link reports store imap importing"
).split()
# part: what of ours it may import besides itself
MAY_IMPORT: dict[str, set[str]] = {
    "mail": set(),
    "ports": {"mail"},
    "wire": {"mail", "ports"},
    "mailauth": {"mail", "ports"},
    "config": {"mail", "ports"},
    "journal": {"mail", "ports", "workers", "database"},
    "workers": {"mail", "ports"},
    "database": {"mail", "ports"},
    "rounds": {"mail", "ports", "workers", "database"},
    "sockets": {"mail", "ports"},
    "slices": {"mail", "ports"},
    "channel": set(),
    "crlf": {"mail", "ports"},
    "shielded": set(),
    "spoolfile": set(),
    **{
        station: {
            "mail",
            "ports",
            "wire",
            "mailauth",
            "config",
            "journal",
            "workers",
            "database",
            "rounds",
            "sockets",
            "slices",
            "channel",
            "crlf",
            "shielded",
            "spoolfile",
        }
        for station in STATIONS
    },
}
GROUND = set(
    "mail ports wire mailauth config journal workers database rounds sockets slices channel crlf shielded spoolfile".split()
)
MAY_IMPORT["admin"] = GROUND | set(STATIONS)
MAY_IMPORT["web"] = GROUND | {"admin"}
MAY_IMPORT["desk"] = GROUND | set(STATIONS) | {"admin"}  # the databases without the service, for the command line
MAY_IMPORT["cli"] = GROUND | {"admin", "desk"}
MAY_IMPORT["process"] = {"mail", "ports"}
MAY_IMPORT["service"] = GROUND | set(STATIONS) | {"admin", "web", "cli", "process", "local", "stations", "assembly"}
MAY_IMPORT["local"] = GROUND | {"users"}
MAY_IMPORT["assembly"] = GROUND | set(STATIONS) | {"admin", "web", "stations", "process"}
MAY_IMPORT["stations"] = GROUND | set(STATIONS) | {"assembly"}
# Libraries a floor must not touch: the language floors know no wires, files or threads.
FORBIDDEN_LIBRARIES = {
    "mail": {"twisted", "socket", "threading", "os", "sqlite3", "asyncio"},
    "ports": {"twisted", "socket", "threading", "os", "sqlite3", "asyncio"},
    "wire": {"twisted", "socket", "threading", "os", "sqlite3", "asyncio"},
    "mailauth": {"twisted", "socket", "threading", "os", "sqlite3", "asyncio"},
}


def imports_of(source: str) -> set[str]:
    """Every dotted name a module imports, wherever in the file the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            if node.module == PACKAGE:
                names.update(f"{PACKAGE}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            names.add(f"relative import {'.' * node.level}{node.module or ''}")
    return names


def wrongs(part: str, source: str) -> list[str]:
    """The imports in ``source`` that a module of ``part`` must not have."""
    found = []
    for name in sorted(imports_of(source)):
        pieces = name.split(".")
        if pieces[0] == PACKAGE and len(pieces) > 1 and pieces[1] != part and pieces[1] not in MAY_IMPORT[part]:
            found.append(f"imports {name}")
        elif name.startswith("relative") or pieces[0] in FORBIDDEN_LIBRARIES.get(part, set()):
            found.append(f"imports {name}")
    return found


class LayersTests(SynchronousTestCase):
    """The house stands on its floors."""

    def test_imports_run_downhill(self) -> None:
        """No module imports a neighbour or anything above it."""
        complaints = []
        modules = 0
        for path in sorted(ROOT.rglob("*.py")):
            relative = path.relative_to(ROOT)
            if relative.name == "__init__.py" and len(relative.parts) == 1:
                continue
            modules += 1
            part = relative.parts[0].removesuffix(".py")
            self.assertIn(part, MAY_IMPORT, f"{relative}: which floor does {part} stand on?")
            complaints += [f"{relative} {wrong}" for wrong in wrongs(part, path.read_text("utf-8"))]
        self.assertEqual(complaints, [])
        self.assertGreater(modules, 20)

    def test_a_climb_is_seen(self) -> None:
        """The check itself finds an import of a neighbour, of an upper floor and of a forbidden library."""
        self.assertEqual(len(wrongs("store", f"from {PACKAGE}.imap import session")), 1)
        self.assertEqual(len(wrongs("queue", f"def f():\n    import {PACKAGE}.service")), 1)
        self.assertEqual(len(wrongs("wire", "from twisted.internet import defer")), 1)
        self.assertEqual(len(wrongs("smtp", "from . import x")), 1)
        self.assertEqual(wrongs("store", f"from {PACKAGE}.mail.address import Address"), [])

    def test_no_asyncio(self) -> None:
        """Nothing mixes asyncio into the one reactor."""
        for path in ROOT.rglob("*.py"):
            self.assertFalse({"asyncio"} & imports_of(path.read_text("utf-8")), str(path))
