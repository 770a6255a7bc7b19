"""Long work for one client: it ends when the client goes away, and meanwhile the client is told that it goes on."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import ensureDeferred

from mailbox_appliance.imap.session import Session
from mailbox_appliance.ports.clock import Timer
from mailbox_appliance.wire.imap import responses
from mailbox_appliance.wire.imap.strings import string

T = TypeVar("T")
PROGRESS = 10.0  # seconds between two words that a search is still going on


async def cancellable(session: Session, awaitable: Awaitable[T]) -> T:
    """Await work that may be cancelled (a search); never something that changes the store. INPROGRESS: RFC 9585."""
    clock = session.house.clock
    timer: Timer | None = None

    async def work() -> T:
        return await awaitable

    def still_at_it() -> None:
        nonlocal timer
        if not session.outlet.closed:
            code = b"INPROGRESS (%b NIL NIL)" % string(session.tag)
            session.say(responses.condition(b"OK", "Still at it.", code))
            session.outlet.flush()
            timer = clock.callLater(PROGRESS, still_at_it)

    working = session.cancellable = ensureDeferred(work())
    if not working.called:
        timer = clock.callLater(PROGRESS, still_at_it)
    try:
        result: T = await working
        return result
    finally:
        session.cancellable = None
        if timer is not None and timer.active():
            timer.cancel()
