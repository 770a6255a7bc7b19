"""The one wait of a connection at a time, and its clock: silence, content that is too slow, a peer that does not read.

A conversation is one coroutine, so there is never more than one thing waited for. One timer serves a connection; it is
set anew only when it comes, from the time something was last heard: cheap on the busy path.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.smtp.line import ConnectionOver, IdleTooLong, TooSlow


class Waiting:
    """``idle``: seconds of silence, 0 for any; ``too_long`` is called when a peer has not read for as long.

    ``what`` is "more", "writable", "pause", "handshake", or "" when nothing is waited for.
    """

    def __init__(self, clock: Clock, idle: float, too_long: Callable[[], None]) -> None:
        self._clock = clock
        self._idle = idle
        self._too_long = too_long
        self._wait: Deferred[Any] | None = None
        self._timer: Timer | None = None
        self._timer_due = 0.0
        self._until = math.inf
        self._heard = clock.seconds()
        self.what = ""
        self.over: str | None = None  # why the connection is over, once it is

    def heard(self) -> None:
        """Something whole was said: the silence begins anew."""
        self._heard = self._clock.seconds()

    async def for_(self, what: str, until: float = math.inf) -> Any:
        """Wait for one thing. Raises ConnectionOver; for "more" IdleTooLong, and TooSlow at the moment ``until``."""
        if self.over is not None:
            raise ConnectionOver(self.over)
        if what == "more":
            self._until = until
            if self._timer is not None and self._timer_due > until:
                self.stop_timer()
        waiting: Deferred[Any] = Deferred()
        self._wait, self.what = waiting, what
        if self._timer is None:
            self._set_timer()
        return await waiting

    async def pause(self, seconds: float) -> None:
        """Wait so long. Raises ConnectionOver."""
        call = self._clock.callLater(seconds, self.wake, "pause", None)
        try:
            await self.for_("pause")
        finally:
            if call.active():
                call.cancel()

    def wake(self, what: str, value: object) -> None:
        """The thing waited for is here; otherwise nobody cares."""
        if self.what == what and self._wait is not None:
            waiting, self._wait, self.what = self._wait, None, ""
            waiting.callback(value)

    def fail(self, error: Exception) -> None:
        """End the wait, if there is one, by ``error``."""
        if self._wait is not None:
            waiting, self._wait, self.what = self._wait, None, ""
            waiting.errback(error)

    def stop_timer(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _set_timer(self) -> None:
        """To the next moment at which time may be up."""
        now = self._clock.seconds()
        due = self._heard + self._idle if self._idle else math.inf
        if self.what == "more":
            due = min(due, self._until)
        if due < math.inf:
            self._timer_due = max(due, now + 1.0)
            self._timer = self._clock.callLater(self._timer_due - now, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        if self.what == "more" and now >= self._until:
            self.fail(TooSlow())
            return
        left = self._heard + self._idle - now if self._idle else math.inf
        if left <= 0 and self.what == "more":
            self.fail(IdleTooLong())
            return
        if left <= 0 and self.what == "writable":
            self._too_long()
            return
        self._set_timer()
