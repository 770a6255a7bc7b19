"""STATE/lock: one process at a time opens the databases, the service or a desk without it."""

from __future__ import annotations

import fcntl
import os


class StateInUse(Exception):
    """Another process holds the state folder; str() says what to do."""


class StateLock:
    """An flock on STATE/lock: gone with its process, whatever happens to it."""

    def __init__(self, state: str) -> None:
        self.path = os.path.join(state, "lock")
        self._file: int | None = None

    def take(self) -> None:
        """Raises StateInUse when somebody else holds it, OSError when the folder cannot be written."""
        file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip()
            os.close(file)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise StateInUse(
                f"{os.path.dirname(self.path)} is in use by {who}: stop it first, or give this one its own state folder"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, b"%d\n" % os.getpid(), 0)
        self._file = file

    def give_back(self) -> None:
        """Let the next one in."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
