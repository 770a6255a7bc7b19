"""Small files replaced whole: temporary file, fsync, rename, fsync of the folder; and how files are opened that another
program may have put there. For worker threads."""

from __future__ import annotations

import errno
import os
import stat

# Of a message's file: a FIFO is not waited for, a symbolic link not followed to who knows where.
READING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
NO_PLAIN_FILE = frozenset({errno.ELOOP, errno.EISDIR, errno.EAGAIN, errno.ESPIPE, errno.ENXIO, errno.ENODEV})


def sync_folder(path: str) -> None:
    """Make renames and links in ``path`` survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: str, octets: bytes, *, temporary: str = "", sync: bool = True) -> None:
    """Put ``octets`` in the place of ``path``, so that a reader sees the old or the new file, never a part."""
    beside = temporary or path + ".tmp"
    fd = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    try:
        write_all(fd, octets)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(beside, path)
    if sync:
        sync_folder(os.path.dirname(path))


def write_all(fd: int, octets: bytes) -> None:
    """os.write until all is written. Raises OSError."""
    view = memoryview(octets)
    while view:
        view = view[os.write(fd, view) :]


def is_plain(fd: int) -> bool:
    """A regular file, and no FIFO, device or directory?"""
    return stat.S_ISREG(os.fstat(fd).st_mode)


def read_file(path: str, most: int) -> bytes | None:
    """The file's octets (at most ``most``), or None when there is none: a FIFO or a device is as good as none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(fd)
