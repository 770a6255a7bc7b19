"""Dovecot's dotlock: ``FILE.lock`` made exclusively, holding "pid:host", so that both can write beside one another.

Used in worker threads only, around moments; within this process the mailbox's own lock keeps order, so a lock file that
bears our own pid is a leftover of an earlier life.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator

# As in Dovecot: a lock nobody has touched for two minutes is stale; one whose process is gone is stale at once.
STALE_SECONDS = 120.0
PATIENCE = 8.0
_PAUSE = 0.01


class LockTimeout(Exception):
    """Another program keeps the lock; str() names the file and the owner."""


def _holder(path: str) -> tuple[int, str]:
    try:
        with open(path, "rb") as lock:
            text = lock.read(256).decode("ascii", "replace")
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
    while True:
        try:
            fd = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            break
        except FileExistsError:
            if is_stale(lock, host, now()):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(lock)
                continue
            if waited >= patience:
                pid, where = _holder(lock)
                raise LockTimeout(f"{lock} is held by process {pid} on {where or '?'}") from None
            sleep(_PAUSE)
            waited += _PAUSE
    try:
        try:
            os.write(fd, f"{os.getpid()}:{host}".encode())
        finally:
            os.close(fd)
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock)
