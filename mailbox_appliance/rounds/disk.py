"""The file-system operations of a commit round, one method each, so that tests can record and break them.

Files are 0600. Nothing that exists is ever overwritten: files are made with O_EXCL, places are taken with link(2).
All of it blocks; it is called in worker threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from typing import Protocol

from mailbox_appliance.mail.message import Content, SpooledBody

# Where these come back from link(2) or copy_file_range(2), the file system cannot do it and the octets are copied.
_CANNOT_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
_CANNOT_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EPERM})
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_AT_ONCE = 1 << 30


class Operations(Protocol):
    """What a round asks of the file system. Every method raises OSError."""

    def create(self, path: str) -> int:
        """Make a file that does not exist yet; returns its descriptor."""

    def write(self, fd: int, content: Content) -> None:
        """Put the whole message into the new file."""

    def stamp(self, fd: int, moment: float) -> None:
        """Set the file's times to ``moment`` (epoch seconds)."""

    def sync(self, fd: int) -> None:
        """fsync(2)."""

    def sync_all(self, fd: int) -> None:
        """syncfs(2): everything of the file system on which ``fd`` lies."""

    def device(self, fd: int) -> int:
        """The file system's number."""

    def close(self, fd: int) -> None:
        """close(2)."""

    def link(self, source: str, target: str) -> bool:
        """Give the file a second name. False when these two places cannot share a file: then ``copy`` it."""

    def copy(self, source: str, target: str) -> None:
        """A synced copy under a new name, which appears whole or not at all."""

    def unlink(self, path: str) -> None:
        """Take a name away."""

    def sync_directory(self, path: str) -> None:
        """fsync(2) of a directory."""


class Disk:
    """The real operations."""

    def __init__(self) -> None:
        self._libc: ctypes.CDLL | None = None

    def create(self, path: str) -> int:
        return os.open(path, _CREATE, 0o600)

    def write(self, fd: int, content: Content) -> None:
        body = content.body
        if isinstance(body, SpooledBody):
            write_all(fd, content.header)
            source = os.open(body.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _copy_range(source, body.offset, fd, body.length)
            finally:
                os.close(source)
            return
        wanted = len(content.header) + len(body)
        written = os.writev(fd, (content.header, body))
        if written < wanted:
            # A nearly full disk takes a part; the rest then tells why.
            write_all(fd, (content.header + body)[written:])

    def stamp(self, fd: int, moment: float) -> None:
        os.utime(fd, (moment, moment))

    def sync(self, fd: int) -> None:
        os.fsync(fd)

    def sync_all(self, fd: int) -> None:
        if self._libc is None:
            self._libc = ctypes.CDLL(None, use_errno=True)
        if self._libc.syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def device(self, fd: int) -> int:
        return os.fstat(fd).st_dev

    def close(self, fd: int) -> None:
        os.close(fd)

    def link(self, source: str, target: str) -> bool:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno in _CANNOT_LINK:
                return False
            raise
        return True

    def copy(self, source: str, target: str) -> None:
        # A name with a dot in front is invisible to every reader of a Maildir.
        folder, name = os.path.split(target)
        beside = os.path.join(folder, f".{name}.copy")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        fd = os.open(beside, _CREATE, 0o600)
        try:
            try:
                reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    facts = os.fstat(reader)
                    _copy_range(reader, 0, fd, facts.st_size)
                finally:
                    os.close(reader)
                os.utime(fd, ns=(facts.st_atime_ns, facts.st_mtime_ns))
                os.fsync(fd)
            finally:
                os.close(fd)
            self._take(beside, target)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(beside)

    def _take(self, beside: str, target: str) -> None:
        try:
            os.link(beside, target)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            # A file system without hard links: names are unique, so looking before renaming is all that can be done.
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
            os.rename(beside, target)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def sync_directory(self, path: str) -> None:
        fd = os.open(path, _DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_all(fd: int, octets: bytes) -> None:
    """write(2) until everything is written. Raises OSError."""
    view = memoryview(octets)
    while view:
        view = view[os.write(fd, view) :]


def _copy_range(source: int, offset: int, target: int, length: int) -> None:
    """Copy ``length`` octets inside the kernel where it can, else through memory."""
    os.lseek(target, 0, os.SEEK_END)
    while length:
        try:
            copied = os.copy_file_range(source, target, min(length, _MOST_AT_ONCE), offset_src=offset)
        except OSError as error:
            if error.errno not in _CANNOT_COPY:
                raise
            break
        if not copied:
            raise OSError(errno.EIO, "the spooled message is shorter than it was")
        offset += copied
        length -= copied
    while length:
        octets = os.pread(source, min(length, 1 << 20), offset)
        if not octets:
            raise OSError(errno.EIO, "the spooled message is shorter than it was")
        write_all(target, octets)
        offset += len(octets)
        length -= len(octets)
