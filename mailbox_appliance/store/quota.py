"""How much an account keeps, against its limit: Maildir++'s ``maildirsize`` (Trash counts too).

First line ``<limit>S``; then lines ``<octets> <messages>``, whose sum is what is in use; every change appends one.
The file is begun anew from the file names' ``S=`` when it is missing, cannot be read, names another limit or has grown
beyond 5120 octets while older than 15 minutes (Maildir++'s rules). Without a limit there is no such file and the index
answers.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.store.durable import read_file, replace_file, write_all
from mailbox_appliance.store.filenames import base_of, size_of

NAME = "maildirsize"
LONGEST = 5120
SETTLED_SECONDS = 15 * 60
_LIMIT = re.compile(r"(?:^|,)(\d{1,18})S(?:,|$)")
_LINE = re.compile(r"\s*(-?\d{1,18})\s+(-?\d{1,12})\s*")


@dataclass(frozen=True, slots=True)
class Sum:
    """What ``maildirsize`` adds up to; ``limit`` 0 means the first line names none."""

    limit: int
    octets: int
    messages: int


def parse(data: bytes) -> Sum | None:
    """Add the lines up; None when the file is not to be trusted (a torn or foreign line, a sum below zero)."""
    head, newline, rest = data.decode("ascii", "replace").partition("\n")
    if not newline:
        return None
    limit = _LIMIT.search(head)
    octets = messages = 0
    for line in rest.split("\n"):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        octets += int(match[1])
        messages += int(match[2])
    if octets < 0 or messages < 0:
        return None
    return Sum(int(limit[1]) if limit else 0, octets, messages)


def _subfolders(root: str) -> Iterable[str]:
    yield root
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.is_dir():
                yield entry.path


def count(root: str) -> tuple[int, int]:
    """Octets and messages, from the names of all files (a stat where a name has no ``S=``)."""
    octets = messages = 0
    for folder in _subfolders(root):
        for place in ("new", "cur"):
            directory = os.path.join(folder, place)
            try:
                names = os.listdir(directory)
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name in names:
                if name.startswith("."):
                    continue
                size = size_of(base_of(name))
                if size is None:
                    try:
                        size = os.stat(os.path.join(directory, name)).st_size
                    except OSError:
                        continue
                octets += size
                messages += 1
    return octets, messages


def read(root: str, limit: int, now: float) -> Sum:
    """The sum, with the file begun anew where that is due. For worker threads."""
    path = os.path.join(root, NAME)
    data = read_file(path, 1024 * 1024)
    found = parse(data) if data else None
    if found is not None and data is not None and found.limit == limit:
        if len(data) <= LONGEST and found.octets <= limit:
            return found
        with contextlib.suppress(OSError):
            if now - os.stat(path).st_mtime < SETTLED_SECONDS and len(data) < 16 * LONGEST:
                return found
    octets, messages = count(root)
    begin(root, limit, octets, messages)
    return Sum(limit, octets, messages)


def begin(root: str, limit: int, octets: int, messages: int) -> None:
    """Replace the file by one of two lines."""
    replace_file(os.path.join(root, NAME), f"{limit}S\n{octets} {messages}\n".encode(), sync=False)


def add(root: str, octets: int, messages: int) -> None:
    """Append a change, when there is a file. A failure costs only exactness until the next count."""
    if not octets and not messages:
        return
    with contextlib.suppress(OSError):
        fd = os.open(os.path.join(root, NAME), os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
        try:
            write_all(fd, f"{octets} {messages}\n".encode())
        finally:
            os.close(fd)
