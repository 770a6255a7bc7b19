"""Commit rounds: how octets become durable. Filled by ``rounds/``; used by delivery, store (APPEND) and queue.

A round takes all jobs that wait on one file system: writes their files, syncs them, links them to their places, syncs
the directories, commits the rows, and only then lets every ``commit`` return. After that a crash, kill -9 or power
cut cannot lose what was committed. A job that fails fails alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.values import dataclass


class DiskTrouble(Exception):
    """Nothing was committed. ``full`` tells ENOSPC/EDQUOT from other faults; str() is for the owner."""

    def __init__(self, text: str, *, full: bool) -> None:
        super().__init__(text)
        self.full = full


@dataclass(frozen=True, slots=True)
class Write:
    """Write ``content`` once to ``first`` (a path in a tmp/ or spool folder), then hard-link it to each of ``links``.

    ``keep_first`` False: ``first`` is unlinked after linking. ``moment`` (epoch seconds) becomes the file's mtime;
    None leaves it. Across file systems a link becomes a synced copy. Existing targets are never overwritten.
    """

    content: Content
    first: str
    links: tuple[str, ...]
    keep_first: bool = False
    moment: float | None = None


class Rows(Protocol):
    """A transaction which belongs to the same round; ``rounds.share.RowsOf`` fits."""

    @property
    def database(self) -> Any:
        """The file's one open Database."""

    @property
    def work(self) -> Callable[[Any], None]:
        """Called with the sqlite3.Connection inside the round's transaction; a second time if that was rolled back."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One caller's part of a round; ``rows`` run after all directories are synced."""

    writes: tuple[Write, ...] = ()
    rows: tuple[Rows, ...] = ()


class Rounds(Protocol):
    """The committer of one file system."""

    def commit(self, job: Commit) -> Awaitable[None]:
        """Return when everything in ``job`` is durable. Raises DiskTrouble; then none of its links is left."""
