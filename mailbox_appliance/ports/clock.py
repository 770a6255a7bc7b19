"""Time as an argument: Twisted's IReactorTime fits, and so does task.Clock in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """A call that waits (IDelayedCall)."""

    def cancel(self) -> None:
        """Forget it."""

    def active(self) -> bool:
        """Still waiting?"""

    def reset(self, secondsFromNow: float) -> None:
        """Start the wait again."""


class Clock(Protocol):
    """``seconds()`` is seconds since 1970."""

    def seconds(self) -> float:
        """Now."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kwargs: Any) -> Timer:
        """Call after ``delay`` seconds."""
