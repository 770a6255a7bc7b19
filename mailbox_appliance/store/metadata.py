"""Notes that clients keep beside mailboxes (RFC 5464): one small JSON file of the account, written whole.

It is no cache: what it holds is nowhere else. Values are octets, written as base64. For worker threads.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import Callable, Mapping

from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.store.durable import read_file

FILE = "mailappliance-metadata"
MOST_ENTRIES = 1000  # of one mailbox
MOST_OCTETS = 4 * 1024 * 1024  # of the file

Notes = dict[str, dict[str, str]]


def _read(root: str) -> Notes:
    octets = read_file(os.path.join(root, FILE), 2 * MOST_OCTETS)
    try:
        found = {} if octets is None else json.loads(octets)
        for notes in found.values():
            for value in notes.values():
                base64.b64decode(value)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise StoreError(Problem.DISK, "the file of notes beside mailboxes is damaged") from None
    return found


def _write(root: str, notes: Notes) -> None:
    text = json.dumps(notes, indent=0, sort_keys=True)
    if len(text) > MOST_OCTETS:
        raise StoreError(Problem.LIMIT, "there are too many notes beside mailboxes")
    path = os.path.join(root, FILE)
    fresh = f"{path}.new"
    try:
        with open(fresh, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)


def read(root: str, name: str) -> Mapping[str, bytes]:
    """The notes of one mailbox. Raises StoreError (DISK)."""
    return {entry: base64.b64decode(value) for entry, value in _read(root).get(name, {}).items()}


def change(root: str, name: str, entries: Mapping[str, bytes | None]) -> None:
    """Keep, change, take away. Raises StoreError."""

    def work(notes: Notes) -> None:
        held = notes.setdefault(name, {})
        for entry, value in entries.items():
            if value is None:
                held.pop(entry, None)
            else:
                held[entry] = base64.b64encode(value).decode("ascii")
        if len(held) > MOST_ENTRIES:
            raise StoreError(Problem.LIMIT, "there are too many notes beside this mailbox")
        if not held:
            del notes[name]

    _change(root, work)


def moved(root: str, names: Mapping[str, str | None]) -> None:
    """Mailboxes have got other names, or (None) are no more. Raises StoreError."""
    if not os.path.exists(os.path.join(root, FILE)):
        return

    def work(notes: Notes) -> None:
        held = {name: notes.pop(name) for name in names if name in notes}
        for name, entries in held.items():
            to = names[name]
            if to is not None:
                notes[to] = entries

    _change(root, work)


def _change(root: str, work: Callable[[Notes], None]) -> None:
    notes = _read(root)
    before = json.dumps(notes, sort_keys=True)
    work(notes)
    if json.dumps(notes, sort_keys=True) != before:
        _write(root, notes)
