"""Conversations as tests: ``C:`` and ``S:`` lines in tests/dialogues, played line by line, octet by octet, in bursts.

A dialogue file::

    # a comment
    C: EHLO client.example
    S: 250-mx.example.org Hello client.example <*>
    S: ...
    S: 250 HELP

``<*>`` stands for any text within a line; ``S: ...`` for any number of lines; ``C+ text`` sends octets without a line
end (Python escapes such as ``\\x00`` and ``\\r`` are understood in C lines); ``S! closed`` says that the server ended
the connection; a line ``@ word rest`` is handed to the test (``@ tls``, ``@ advance 300``, ``@ deliver …``). An empty
line, or a C line after S lines, is a point where all output must have been matched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

DIALOGUES = Path(__file__).resolve().parents[1] / "dialogues"


class Stage(Protocol):
    """What a test lends to a play: a connection to the server under test."""

    def send(self, octets: bytes) -> None: ...

    def taken(self) -> bytes:
        """Everything the server has said since the last call."""

    def closed(self) -> bool: ...

    def direct(self, word: str, rest: str) -> None:
        """Do what an ``@`` line says."""


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    kind: str  # "C", "C+", "S", "S!", "@"
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    name: str
    lines: tuple[Line, ...]


class DialogueFailed(AssertionError):
    """A line was not said as written; the message names file and line."""


def read_dialogue(path: Path) -> Dialogue:
    lines = []
    for number, raw in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not raw.strip() or raw.startswith("#"):
            continue
        kind, _, text = raw.partition(" ")
        kind = kind.rstrip(":")
        if kind not in ("C", "C+", "S", "S!", "@"):
            raise ValueError(f"{path.name}:{number}: a line begins with C:, C+, S:, S! or @")
        lines.append(Line(number, kind, text))
    return Dialogue(path.name, tuple(lines))


def dialogues(folder: str) -> list[Path]:
    """All dialogue files of a folder below tests/dialogues; at least one must be there."""
    found = sorted((DIALOGUES / folder).glob("*.txt"))
    if not found:
        raise AssertionError(f"no dialogues in {DIALOGUES / folder}")
    return found


def _octets(text: str) -> bytes:
    return re.sub(
        r"\\(x[0-9a-fA-F]{2}|[rnt0\\])",
        lambda m: {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}.get(m[1]) or chr(int(m[1][1:], 16)),
        text,
    ).encode("utf-8" if not re.search(r"\\x[89a-fA-F]", text) else "latin-1")


def _matches(pattern: str, said: str) -> bool:
    return re.fullmatch(".*?".join(map(re.escape, pattern.split("<*>"))), said, re.DOTALL) is not None


def play(dialogue: Dialogue, stage: Stage, manner: str = "line") -> None:
    """Play it. ``manner``: "line", "octet" (one octet a time) or "burst" (C lines that follow one another as one)."""
    said: list[str] = []
    rest = b""

    def listen() -> None:
        nonlocal rest
        *whole, rest = (rest + stage.taken()).split(b"\r\n")
        said.extend(line.decode("utf-8", "backslashreplace") for line in whole)

    def fail(line: Line, why: str) -> None:
        raise DialogueFailed(f"{dialogue.name}:{line.number} ({manner}): {why}")

    pending = b""

    def flush() -> None:
        nonlocal pending
        if manner == "octet":
            for index in range(len(pending)):
                stage.send(pending[index : index + 1])
        elif pending:
            stage.send(pending)
        pending = b""

    skipping = False
    talking = False  # the last line was the client's: what is answered meanwhile is matched by the S lines to come
    for line in dialogue.lines:
        if line.kind in ("C", "C+"):
            if not talking and not skipping:
                listen()
                if said:
                    fail(line, f"the server said more: {said!r}")
            talking = True
            pending += _octets(line.text) + (b"\r\n" if line.kind == "C" else b"")
            if manner != "burst":
                flush()
            continue
        talking = False
        flush()
        listen()
        if line.kind == "@":
            stage.direct(*_words(line.text))
            listen()
        elif line.kind == "S!":
            if not stage.closed():
                fail(line, "the connection is still open")
        elif line.text == "...":
            skipping = True
            continue
        else:
            if skipping:
                while said and not _matches(line.text, said[0]):
                    said.pop(0)
            if not said:
                fail(line, f"expected {line.text!r}, the server said nothing (more): rest {rest!r}")
            if not _matches(line.text, said[0]):
                fail(line, f"expected {line.text!r}, the server said {said[0]!r}")
            said.pop(0)
        skipping = False
    flush()
    listen()
    if (said or rest) and not skipping:
        fail(dialogue.lines[-1], f"at the end the server had said more: {said!r} {rest!r}")


def _words(text: str) -> tuple[str, str]:
    word, _, rest = text.partition(" ")
    return word, rest


def play_all(folder: str, make_stage: Callable[[], Stage]) -> int:
    """Play every dialogue of ``folder`` in each manner on fresh stages; returns the number of plays."""
    plays = 0
    for path in dialogues(folder):
        dialogue = read_dialogue(path)
        for manner in ("line", "octet", "burst"):
            play(dialogue, make_stage(), manner)
            plays += 1
    return plays
