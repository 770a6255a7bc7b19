"""Dovecot's dotlock: ``FILE.lock`` made at one stroke, holding "pid:host", so that both can write beside one another.

Used in worker threads only, around moments; within this process the mailbox's own lock keeps order, so a lock file that
bears our own pid is a leftover of an earlier life.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

from mailbox_appliance.store.durable import read_file

# As in Dovecot: a lock nobody has touched for two minutes is stale; one whose process is gone is stale at once.
STALE_SECONDS = 120.0
PATIENCE = 8.0
_PAUSE = 0.01
# What is said where there is no O_TMPFILE, or no /proc.
_NO_NAMELESS_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.EXDEV)


class LockTimeout(Exception):
    """Another program keeps the lock; str() names the file and the owner."""


def _holder(path: str) -> tuple[int, str]:
    try:
        text = (read_file(path, 256) or b"").decode("ascii", "replace")
    except OSError:
        return 0, ""
    pid, _, host = text.strip().partition(":")
    return (int(pid) if pid.isdecimal() and len(pid) < 10 else 0), host


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def is_stale(path: str, host: str, now: float) -> bool:
    """May the lock file be taken away?"""
    try:
        age = now - os.stat(path).st_mtime
    except OSError:
        return False
    pid, where = _holder(path)
    if pid and where == host and (pid == os.getpid() or not _is_alive(pid)):
        return True
    return age > STALE_SECONDS


@contextlib.contextmanager
def dotlock(
    path: str,
    *,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Iterator[None]:
    """Hold ``path + ".lock"``. Raises LockTimeout after ``patience`` seconds, OSError when it cannot be made."""
    lock = path + ".lock"
    host = socket.gethostname()
    waited = 0.0
    while not _make(lock, f"{os.getpid()}:{host}".encode()):
        if is_stale(lock, host, now()):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(lock)
            continue
        if waited >= patience:
            pid, where = _holder(lock)
            raise LockTimeout(f"{lock} is held by process {pid} on {where or '?'}")
        sleep(_PAUSE)
        waited += _PAUSE
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock)


def _make(lock: str, text: bytes) -> bool:
    """Put the file there with its text in it, at once: one without an owner would stand for two minutes after a crash.

    False when there is one already.
    """
    try:
        try:
            _link_nameless(lock, text)
        except OSError as error:
            if error.errno not in _NO_NAMELESS_FILES:
                raise
            _link_named(lock, text)
    except FileExistsError:
        return False
    return True


def _link_nameless(lock: str, text: bytes) -> None:
    fd = os.open(os.path.dirname(lock) or ".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text)
        # A directory descriptor makes this linkat(2) with AT_SYMLINK_FOLLOW, as open(2) tells for O_TMPFILE.
        os.link(f"/proc/self/fd/{fd}", lock, src_dir_fd=fd, follow_symlinks=True)
    finally:
        os.close(fd)


def _link_named(lock: str, text: bytes) -> None:
    beside = f"{lock}.{os.getpid()}.{threading.get_ident()}"
    fd = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text)
        os.link(beside, lock)
    finally:
        os.close(fd)
        os.unlink(beside)
