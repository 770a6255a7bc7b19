"""One event, one line: ``2026-11-22T15:51:06.123Z info smtp.accepted trace=0k3… sender=ann@example.org size=1203``.

Values that hold a space, a quote, an equals sign or anything odd stand in double quotes with backslash escapes, so
that a line is always one line of printable text and can be read back: ``parse_facts(show_facts(f)) == f`` as text.
Lines are gathered for the rest of the reactor turn and written at once.
"""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Iterable
from typing import Protocol

from mailbox_appliance.mail.trace import Level
from mailbox_appliance.ports.clock import Clock

# A value longer than this is cut: a peer decides how long some of them are.
LONGEST_VALUE = 1000
LONGEST_LIST = 4000  # of a value of several: all evidence of one message
_LONGEST_TUPLE = 50
# Lines that may wait for the end of the turn.
_MOST_WAITING = 2000

_PLAIN = re.compile(r"[!#-<>-\[\]-~\u00a1-\u00ac\u00ae-\u024f]+")  # printable, without space, " = \ and soft hyphen
_is_plain = _PLAIN.fullmatch
_ODD = re.compile(r'[\\"]|[^\x20-\x7e\u00a1-\u00ac\u00ae-\u024f]')
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))", re.DOTALL)
_FACT = re.compile(r'([a-z_][a-z0-9_]*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', re.DOTALL)


class Stream(Protocol):
    """Where lines go: a text file such as standard output."""

    def write(self, text: str, /) -> object:
        """Take the text."""

    def flush(self) -> None:
        """Let it out."""


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in '\\"':
        return "\\" + character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def show_value(value: object) -> str:
    """A value as it stands behind ``key=``; one that is too long is cut and ends in "…" (written \\u2026)."""
    longest = LONGEST_VALUE
    if value.__class__ is str and len(value) <= LONGEST_VALUE:
        words: str = value
    elif value.__class__ is int:
        return str(value)
    elif isinstance(value, tuple):
        shown = [str(one) for one in value[:_LONGEST_TUPLE]]
        if len(value) > _LONGEST_TUPLE:
            shown.append(f"and {len(value) - _LONGEST_TUPLE} more")
        words = ",".join(shown)
        longest = LONGEST_LIST
    elif isinstance(value, bool):
        words = "yes" if value else "no"
    elif isinstance(value, float):
        words = f"{value:.6g}" if abs(value) < 1e6 else f"{value:.3f}"
    else:
        words = str(value)
    if len(words) > longest:
        words = words[:longest] + "…"
    if _is_plain(words):
        return words
    return f'"{_ODD.sub(_escape, words)}"'


def show_facts(facts: Iterable[tuple[str, object]]) -> str:
    """``key=value`` pairs with spaces between."""
    return " ".join([f"{name}={show_value(value)}" for name, value in facts])


def parse_facts(text: str) -> dict[str, str]:
    """Read back what show_facts wrote."""

    def plain(match: re.Match[str]) -> str:
        digits = match[1] or match[2] or match[3]
        return chr(int(digits, 16)) if digits else match[4]

    return {match[1]: match[3] if match[2] is None else _ESCAPED.sub(plain, match[2]) for match in _FACT.finditer(text)}


def stamp(moment: float) -> str:
    """``moment`` (epoch seconds) as UTC in ISO 8601 with milliseconds."""
    whole = int(moment // 1)
    return f"{_second(whole)}.{int((moment - whole) * 1000):03d}Z"


_last_second = (0, "1970-01-01T00:00:00")


def _second(whole: int) -> str:
    global _last_second  # noqa: PLW0603 - a cache of one entry
    if _last_second[0] != whole:
        _last_second = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
    return _last_second[1]


_LEVEL_WORDS = {level: level.name.lower() for level in Level}


class LineWriter:
    """Writes lines to ``stream``. Under systemd's journal the time is left out and the level said as ``<6>``.

    A stream that fails (a closed pipe) is given up quietly: the journal must never stop the mail.
    """

    def __init__(self, stream: Stream, clock: Clock, *, for_systemd: bool = False) -> None:
        self._stream: Stream | None = stream
        self._clock = clock
        self._for_systemd = for_systemd
        self._waiting: list[str] = []

    def write(self, moment: float, level: Level, name: str, facts: str) -> None:
        """Put one line in the row; it is written at the end of the reactor turn."""
        if self._for_systemd:
            line = f"<{level:d}>{name} {facts}\n"
        else:
            line = f"{stamp(moment)} {_LEVEL_WORDS[level]} {name} {facts}\n"
        waiting = self._waiting
        waiting.append(line)
        if len(waiting) == 1:
            self._clock.callLater(0, self.flush)
        elif len(waiting) >= _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits, at once."""
        if not self._waiting:
            return
        text = "".join(self._waiting)
        self._waiting.clear()
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


def standard_output() -> tuple[Stream, bool]:
    """The process's real standard output (twistd puts its own in ``sys.stdout``), and whether systemd reads it."""
    stream = sys.__stdout__ or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # in a locale that cannot say "ü"
    journal_stream = os.environ.get("JOURNAL_STREAM", "")
    for_systemd = False
    if journal_stream:
        try:
            about = os.fstat(stream.fileno())
            for_systemd = journal_stream == f"{about.st_dev}:{about.st_ino}"
        except (OSError, ValueError):
            for_systemd = False
    return stream, for_systemd
