"""Old mail in Maildirs: Maildir++ (Dovecot, Courier), nested folders (LAYOUT=fs), or a folder full of Maildirs."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence

from mailbox_appliance.importing import names
from mailbox_appliance.importing.found import Known, OldFolder, OldMessage, SourceTrouble, Unreadable
from mailbox_appliance.mail.mailbox import INBOX
from mailbox_appliance.wire.imap import utf7

PIECE = 256 * 1024
MOST_LEVELS = 16
MOST_FOLDERS = 5000
_FLAGS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted", "P": "$Forwarded"}
_HEAD = re.compile(rb"(?:3 (?=[^\n]*\bV(\d{1,10})\b)[^\n]*|1 (\d{1,10}) \d{1,10})\n")
_LINE = re.compile(rb"(?m)^(\d{1,10})(?: [^:\n]*?)? ?:?([^:\n ][^:\n]*)(?::[^\n]*)?$")
OUR_NAMES = ("cur", "new", "tmp")


def base_of(name: str) -> str:
    """What names the message for ever."""
    return name.partition(":")[0]


def pieces(path: str) -> Iterator[bytes]:
    """The file, piece by piece."""
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def validity(folder: str) -> int:
    """UIDVALIDITY of a dovecot-uidlist in ``folder``; 0 when there is none that can be read."""
    with contextlib.suppress(OSError), open(os.path.join(folder, "dovecot-uidlist"), "rb") as file:
        found = _HEAD.match(file.read(4096))
        if found is not None:
            return int(found[1] or found[2])
    return 0


def uids(folder: str) -> dict[str, int]:
    """UIDs by base, as dovecot-uidlist tells them; for the order only."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError), open(os.path.join(folder, "dovecot-uidlist"), "rb") as file:
        file.readline()
        for line in file:
            uid, _, rest = line.rstrip(b"\n").partition(b" ")
            name = rest.partition(b":")[2] if b":" in rest else rest
            if uid.isdigit():
                found[os.fsdecode(name.partition(b":")[0])] = int(uid)
    return found


def keyword_names(folder: str) -> dict[str, str]:
    """Keywords by letter, out of dovecot-keywords."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError), open(os.path.join(folder, "dovecot-keywords"), "rb") as file:
        for line in file.read(65536).decode("utf-8", "replace").splitlines():
            number, _, word = line.partition(" ")
            if number.isdecimal() and int(number) < 26 and word:
                found[chr(ord("a") + int(number))] = word
    return found


def subscribed(root: str) -> frozenset[str] | None:
    """Names as they stand in Dovecot's ``subscriptions``; None when there is none."""
    try:
        with open(os.path.join(root, "subscriptions"), "rb") as file:
            octets = file.read(4 << 20)
    except OSError:
        return None
    second = octets.startswith(b"V\t2\n")
    found = set()
    for line in octets.split(b"\n")[2 if second else 0 :]:
        levels = [_decoded(os.fsdecode(level)) for level in line.split(b"\t" if second else b".") if level]
        if levels:
            found.add(names.mailbox_of(levels))
    return frozenset(found)


def _decoded(level: str) -> str:
    try:
        return utf7.decode(os.fsencode(level))
    except utf7.BadName:
        return os.fsencode(level).decode("utf-8", "replace")


def is_maildir(path: str) -> bool:
    """Has it cur/?"""
    return os.path.isdir(os.path.join(path, "cur"))


class MaildirSource:
    """importing.found.Source over ``path``."""

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)

    @property
    def name(self) -> str:
        return f"maildir {self.path}"

    def close(self) -> None:
        """Nothing is open."""

    def folders(self) -> Sequence[OldFolder]:
        """INBOX first, then by name. Raises SourceTrouble."""
        if not os.path.isdir(self.path):
            raise SourceTrouble(f"{self.path} is no folder")
        found: list[tuple[list[str], str]] = []
        if is_maildir(self.path):
            found.append(([INBOX], self.path))
        dotted = False
        for entry in _subfolders(self.path):
            if entry.startswith(".") and is_maildir(os.path.join(self.path, entry)):
                dotted = True
                found.append(([_decoded(level) for level in entry[1:].split(".")], os.path.join(self.path, entry)))
        if not dotted:
            found += _nested(self.path, [])
        if not found:
            raise SourceTrouble(f"{self.path} is no Maildir and holds none (no cur/ in it)")
        if len(found) > MOST_FOLDERS:
            raise SourceTrouble(f"{self.path} holds more than {MOST_FOLDERS} folders")
        wanted = subscribed(self.path)
        folders = []
        for levels, path in found:
            name = names.mailbox_of(levels)
            use = names.use_of(levels) if name != INBOX else None
            here = wanted is None or name in wanted or name == INBOX
            folders.append(OldFolder(name, path, use, here, sum(1 for _ in _files(path))))
        return sorted(folders, key=lambda one: (one.name != INBOX, one.name))

    def messages(self, folder: OldFolder, known: Known) -> Iterator[OldMessage | Unreadable]:
        """In order of their UIDs, if they have any, else of their names."""
        order = uids(folder.place)
        words = keyword_names(folder.place)
        files = sorted(_files(folder.place), key=lambda file: _order(order, base_of(file[1])))
        for start in range(0, len(files), 500):
            some = files[start : start + 500]
            there = known([base_of(name) for _, name in some])
            for place, name in some:
                if base_of(name) not in there:
                    yield self._message(folder, place, name, words)

    def _message(self, folder: OldFolder, place: str, name: str, words: dict[str, str]) -> OldMessage | Unreadable:
        path = os.path.join(folder.place, place, name)
        label = f"{folder.name}: {os.fsencode(name).decode('utf-8', 'replace')}"
        try:
            found = os.stat(path)
        except FileNotFoundError:
            again = _again(folder.place, base_of(name))
            if again is None:
                return Unreadable(label, "it went away meanwhile")
            path = again
            found = os.stat(path)
        if not os.path.isfile(path):
            return Unreadable(label, "it is no file")
        info = os.path.basename(path).partition(":")[2].removeprefix("2,")
        flags = {word for letter in info if (word := _FLAGS.get(letter) or words.get(letter))}

        def octets() -> Iterable[bytes]:
            return pieces(path)

        return OldMessage(base_of(name), octets, frozenset(flags), float(int(found.st_mtime)), label=label)


def _order(order: dict[str, int], base: str) -> tuple[int, int, str]:
    head = base.partition(".")[0]
    return order.get(base, 1 << 40), int(head) if head.isdecimal() and len(head) < 12 else 0, base


def _again(folder: str, base: str) -> str | None:
    """Where a message lies whose flags changed meanwhile."""
    for place, name in _files(folder):
        if base_of(name) == base:
            return os.path.join(folder, place, name)
    return None


def _files(folder: str) -> Iterator[tuple[str, str]]:
    for place in ("cur", "new"):
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(os.path.join(folder, place)) as entries,
        ):
            for entry in entries:
                if not entry.name.startswith("."):
                    yield place, entry.name


def _subfolders(path: str) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and entry.name not in (*OUR_NAMES, ".", ".."))


def _nested(path: str, levels: list[str]) -> list[tuple[list[str], str]]:
    found: list[tuple[list[str], str]] = []
    if len(levels) >= MOST_LEVELS:
        return found
    for entry in _subfolders(path):
        if entry.startswith(".") and not is_maildir(os.path.join(path, entry)):
            continue
        here = [*levels, _decoded(entry.lstrip("."))]
        below = os.path.join(path, entry)
        if is_maildir(below):
            found.append((here, below))
        found += _nested(below, here)
    return found
