"""The record of client troubles: which mail program must not be shown which capability, and why.

``clients.toml`` beside this file is shipped; the owner's STATE/clients.toml adds to it or takes its entries' places.
RFC 2971 §1 wants no decisions made by ID: this is for faults that are known, each with its reason.
"""

from __future__ import annotations

import fnmatch
import os
import re
import tomllib
from collections.abc import Collection, Iterable
from typing import Any

from mailbox_appliance.mail.values import dataclass

SHIPPED = "clients.toml"
MOST_CLIENTS = 1000
IDLE_APART = "idle-apart"
BEHAVIOURS = frozenset({IDLE_APART})
_KEYS = {"id": str, "client": str, "since": str, "before": str, "hides": list, "behaves": list, "reason": str}


class BadRecord(ValueError):
    """The record cannot be read: which entry, what is wrong, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One entry. ``client`` is a pattern in lower case; ``since`` and ``before`` are versions or ''."""

    client: str
    hides: frozenset[str] = frozenset()
    behaves: frozenset[str] = frozenset()
    since: str = ""
    before: str = ""
    id: str = ""
    reason: str = ""

    def concerns(self, name: str, version: str) -> bool:
        """Is it about this program? One that tells no version is taken for every version."""
        if not fnmatch.fnmatchcase(name.lower(), self.client):
            return False
        said = _numbers(version)
        if not said:
            return True
        return (not self.since or said >= _numbers(self.since)) and (not self.before or said < _numbers(self.before))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits[:9]) for digits in re.findall(r"\d+", version, re.ASCII)[:6])


def hidden_and_behaviours(
    troubles: Iterable[Trouble], name: str, version: str
) -> tuple[frozenset[str], frozenset[str]]:
    """What the program that tells ``name`` and ``version`` is not shown, and how we behave to it."""
    found = [one for one in troubles if one.concerns(name, version)]
    return frozenset().union(*(one.hides for one in found)), frozenset().union(*(one.behaves for one in found))


def shipped() -> str:
    """The record that comes with us. Blocks: ask a worker."""
    with open(os.path.join(os.path.dirname(__file__), SHIPPED), encoding="utf-8") as file:
        return file.read()


def read_record(text: str, known: Collection[str]) -> tuple[Trouble, ...]:
    """Entries of a record; ``known`` are the capabilities there are. Raises BadRecord."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRecord(f"it is no TOML: {error}") from None
    entries = document.pop("client", [])
    if document or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadRecord("it holds something else than [[client]] entries")
    if len(entries) > MOST_CLIENTS:
        raise BadRecord(f"it holds more than {MOST_CLIENTS} entries")
    return tuple(
        _entry(number, entry, {name.upper(): name for name in known}) for number, entry in enumerate(entries, 1)
    )


def _entry(number: int, entry: dict[str, Any], known: dict[str, str]) -> Trouble:
    where = f"entry {number} ({entry.get('id', 'without an id')})"
    for key, value in entry.items():
        if key not in _KEYS:
            raise BadRecord(f"{where}: {key} is not known; there are {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or (
            isinstance(value, list) and not all(isinstance(v, str) for v in value)
        ):
            raise BadRecord(f"{where}: {key} is to be {'a list of texts' if _KEYS[key] is list else 'a text'}")
    for key in ("id", "client", "reason"):
        if not str(entry.get(key, "")).strip():
            raise BadRecord(f"{where}: {key} is missing")
    for key in ("since", "before"):
        if key in entry and not _numbers(entry[key]):
            raise BadRecord(f"{where}: {key} is no version such as 1.6.6")
    hides = [name.upper() for name in entry.get("hides", [])]
    for name in hides:
        if name not in known:
            raise BadRecord(f"{where}: {name} is no capability of ours; docs/imap.md lists them")
    for name in entry.get("behaves", []):
        if name not in BEHAVIOURS:
            raise BadRecord(f"{where}: {name} is no behaviour; there are {', '.join(sorted(BEHAVIOURS))}")
    return Trouble(
        client=entry["client"].strip().lower(),
        hides=frozenset(known[name] for name in hides),
        behaves=frozenset(entry.get("behaves", [])),
        since=entry.get("since", ""),
        before=entry.get("before", ""),
        id=entry["id"],
        reason=entry["reason"],
    )


def joined(ours: Iterable[Trouble], theirs: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """The shipped entries, those of the same id replaced by the owner's, and the owner's others."""
    entries = {one.id: one for one in ours}
    entries.update({one.id: one for one in theirs})
    return tuple(entries.values())
