"""The drop folder as files: what is looked at, what is left alone. All of it runs in worker threads."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.dropped import MAGIC, SUFFIX

FOR_EVERYBODY = 0o1733  # everybody may leave something, nobody but us may look
FOR_OURSELVES = 0o700
_LEFT = re.compile(r"[0-9a-f]+\.[0-9a-f]{32}|.*\.(?:mail|ignored)\Z", re.DOTALL)  # by `sendmail`, and by us


@dataclass(frozen=True, slots=True)
class Found:
    """An open file that is fit to be read; ``uid`` owns it."""

    name: str
    uid: int
    octets: int
    descriptor: int


def prepared(folder: str, mode: int) -> int:
    """The folder with its mode; st_mtime_ns. Raises OSError."""
    try:
        found = os.stat(folder, follow_symlinks=False)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, mode)
        found = os.stat(folder, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(20, "it is no folder", folder)
    if stat.S_IMODE(found.st_mode) != mode and found.st_uid == os.geteuid():
        with os.scandir(folder) as entries:
            if any(not _LEFT.match(entry.name) for entry in itertools.islice(entries, 1000)):
                raise FileExistsError(17, "other things lie in it", folder)
        os.chmod(folder, mode)
    return found.st_mtime_ns


def names(folder: str) -> list[str]:
    """Whole files, oldest name first; at most some thousands."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                found.append(entry.name)
                if len(found) >= 5000:
                    break
    return sorted(found)


def open_file(folder: str, name: str, most: int) -> Found | str:
    """An open file, or why it is none of ours."""
    path = os.path.join(folder, name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return f"it cannot be opened: {error.strerror}"
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        reason = "it is a link or no plain file"
    elif most and found.st_size > most:
        reason = f"it has {found.st_size} octets, more than limits.message_size"
    elif os.pread(descriptor, len(MAGIC), 0) != MAGIC:
        reason = "it does not begin like a message that sendmail left"
    else:
        return Found(name, found.st_uid, found.st_size, descriptor)
    os.close(descriptor)
    return reason


def remove(folder: str, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, name))


def put_aside(folder: str, name: str) -> bool:
    """Out of the way, for the owner to look at; a name that is taken, or one we cannot touch, is left alone: False."""
    aside = os.path.join(folder, name.removesuffix(SUFFIX) + ".ignored")
    try:
        os.rename(os.path.join(folder, name), aside)
    except OSError:
        return False
    return True
