"""The command line's side of guessing at passwords: whom it asks, and what the person at the terminal sees."""

from __future__ import annotations

import sys
import time

from mailbox_appliance.cli.importing import Terminal

_EVERY = 5.0  # seconds between passing lines where nobody watches


class GuessingTerminal(Terminal):
    """admin.guessing.Outside."""

    def __init__(self, option: str | None) -> None:
        super().__init__(option)
        self._next = time.monotonic() + _EVERY
        self._passing = False

    def show(self, line: str, *, passing: bool = False) -> None:
        """On standard error, so that --json stays JSON."""
        watched = sys.stderr.isatty()
        if passing and not watched and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        begin = "\r\x1b[K" if self._passing else ""
        self._passing = passing and watched
        sys.stderr.write(f"{begin}{line}" + ("" if self._passing else "\n"))
        sys.stderr.flush()
