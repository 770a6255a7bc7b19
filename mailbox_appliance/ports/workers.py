"""The one door to threads: for waiting (disk, SQLite) and for C code that releases the GIL (argon2, cryptography).

Pure-Python computing does not belong here: it would stall the reactor through the GIL.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Busy(Exception):
    """The queue before a door is full: answer 4xx/NO and let the peer come back."""


class Workers(Protocol):
    """Bounded pools by name: "disk" (16 threads), "database" (4), "password" (2)."""

    def run(self, door: str, job: Callable[..., T], *args: Any) -> Awaitable[T]:
        """Run ``job(*args)`` in a thread of ``door``; the answer or the exception comes back in the reactor.

        Raises Busy when the bounded queue of that door is full.
        """
