"""A disk that tells what was done to it, in order, and breaks where a test wants it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from mailbox_appliance.mail.message import Content
from mailbox_appliance.rounds.disk import Disk


class RecordingDisk(Disk):
    """``done`` lists (what, path); ``breaks`` decides before each step: return an errno to make it fail.

    A file lives under the path it was made with; ``synced`` holds the paths whose content or directory is synced.
    """

    def __init__(self, breaks: Callable[[str, str], int] | None = None) -> None:
        super().__init__()
        self.done: list[tuple[str, str]] = []
        self.breaks = breaks
        self._paths: dict[int, str] = {}

    def _step(self, what: str, path: str) -> None:
        number = self.breaks(what, path) if self.breaks is not None else 0
        if number:
            self.done.append((f"{what} failed", path))
            raise OSError(number, os.strerror(number), path)
        self.done.append((what, path))

    def create(self, path: str) -> int:
        self._step("create", path)
        fd = super().create(path)
        self._paths[fd] = path
        return fd

    def write(self, fd: int, content: Content) -> None:
        self._step("write", self._paths[fd])
        super().write(fd, content)

    def stamp(self, fd: int, moment: float) -> None:
        self._step("stamp", self._paths[fd])
        super().stamp(fd, moment)

    def sync(self, fd: int) -> None:
        self._step("sync", self._paths[fd])
        super().sync(fd)

    def sync_all(self, fd: int) -> None:
        self._step("sync_all", "")
        super().sync_all(fd)

    def close(self, fd: int) -> None:
        # The descriptor is gone whatever close(2) says.
        path = self._paths.pop(fd)
        super().close(fd)
        self._step("close", path)

    def link(self, source: str, target: str) -> bool:
        if self.breaks is not None and self.breaks("link", target) == errno.EXDEV:
            self.done.append(("link failed", target))
            return False
        self._step("link", target)
        return super().link(source, target)

    def copy(self, source: str, target: str) -> None:
        self._step("copy", target)
        super().copy(source, target)

    def unlink(self, path: str) -> None:
        self._step("unlink", path)
        super().unlink(path)

    def sync_directory(self, path: str) -> None:
        self._step("sync_directory", path)
        super().sync_directory(path)
