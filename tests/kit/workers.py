"""Workers without threads: every job runs at once, in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute

T = TypeVar("T")


class InlineWorkers:
    """Fits ports.workers.Workers; ``doors`` lists what was asked, in order."""

    def __init__(self) -> None:
        self.doors: list[str] = []

    def run(self, door: str, job: Callable[..., T], *args: Any) -> Deferred[T]:
        self.doors.append(door)
        return execute(job, *args)
