"""How an unexpected exception is told without telling what it was about.

An exception's words may hold a stranger's mail or a password (``invalid literal for int(): …``), so they are told
only where they are ours or the operating system's; types, files and line numbers always.
"""

from __future__ import annotations

import os
import sqlite3
import traceback
from types import TracebackType

from mailbox_appliance.journal.events.journal import Broken
from mailbox_appliance.ports.clock import Clock

_PACKAGE = "mailbox_appliance"
_MOST_FRAMES = 12
_MOST_LIKE = 5  # lines a minute for exceptions of one kind at one place
_MOST_PLACES = 500


def words_of(error: BaseException) -> str:
    """The exception's words, or '' where they could hold what is nobody's business."""
    if isinstance(error, OSError):
        place = f": {error.filename}" if isinstance(error.filename, str) else ""
        return f"{error.strerror or ''}{place}"
    if type(error).__module__.partition(".")[0] == _PACKAGE or isinstance(error, sqlite3.OperationalError):
        return str(error)
    return ""


def frames_of(trace: TracebackType | None) -> tuple[str, ...]:
    """Innermost first: ``smtp/session.py:120 converse``; a library's file by its last two path steps."""
    frames = []
    for frame, line in reversed(list(traceback.walk_tb(trace))):
        path = frame.f_code.co_filename.replace(os.sep, "/")
        inside = path.rpartition(f"/{_PACKAGE}/")[2] if f"/{_PACKAGE}/" in path else "/".join(path.split("/")[-2:])
        frames.append(f"{inside}:{line} {frame.f_code.co_name}")
        if len(frames) == _MOST_FRAMES:
            break
    return tuple(frames)


class Breakages:
    """Makes events of exceptions, and of a storm of like ones only the first few a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str, str], list[float]] = {}  # key → minute began, told, unsaid

    def event(self, where: str, error: BaseException, trace: str = "") -> Broken | None:
        """The event to tell, or None when enough has been said of this kind."""
        at = frames_of(error.__traceback__)
        kind = type(error).__qualname__
        key = (where, kind, at[0] if at else "")
        now = self._clock.seconds()
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= _MOST_PLACES:
                self._seen.clear()
            seen = self._seen[key] = [now, 0, 0]
        unsaid = 0
        if now - seen[0] >= 60:
            unsaid = int(seen[2])
            seen[:] = [now, 0, 0]
        if seen[1] >= _MOST_LIKE:
            seen[2] += 1
            return None
        seen[1] += 1
        behind: list[str] = []
        inner: BaseException | None = error.__cause__ or error.__context__
        while inner is not None and len(behind) < 5:
            behind.append(f"{type(inner).__qualname__} {' '.join(frames_of(inner.__traceback__)[:1])}".strip())
            inner = inner.__cause__ or inner.__context__
        return Broken(
            trace=trace,
            where=where,
            error=kind,
            text=words_of(error),
            at=at,
            because=" < ".join(behind),
            unsaid=unsaid,
        )
