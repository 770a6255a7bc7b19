"""What is made before anybody asks for it: sizes, what FETCH asks, and the words of messages in open mailboxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailbox_appliance.ports.clock import Timer
from mailbox_appliance.shielded import Held, shielded
from mailbox_appliance.store import rendering, sizes, texts, words
from mailbox_appliance.store.account import Account
from mailbox_appliance.store.mailbox import OpenMailbox

PRERENDERED_AT_ONCE = 32
FED_AT_ONCE = 128


class Beforehand:
    """One account's. ``boxes`` gives its open mailboxes; ``failed`` is the errback of work nobody waits for."""

    def __init__(
        self, account: Account, boxes: Callable[[], Sequence[OpenMailbox]], failed: Callable[[object], None]
    ) -> None:
        self._account = account
        self._boxes = boxes
        self._failed = failed
        self._is_due = False
        self._is_stopped = False
        self._timer: Timer | None = None

    def look_soon(self) -> None:
        """A mailbox was opened, or messages came: there may be something to make."""
        settings = self._account.settings
        if settings.prerender and not self._is_due and not self._is_stopped:
            self._is_due = True
            self._timer = self._account.clock.callLater(settings.prerender_delay, self._start)

    def stop(self) -> None:
        """The account is closed: nothing more is made, or its index would be opened again."""
        self._is_stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _start(self) -> None:
        shielded(self._make_all()).addErrback(self._failed)

    async def _make_all(self) -> None:
        """What is missing in open mailboxes, newest first, while nobody wants anything."""
        pulse = self._account.pulse
        try:
            while not self._is_stopped:
                calm = await pulse.calm()
                async with Held(pulse.turn):
                    if self._is_stopped or not await self._make_some(calm):
                        return
        finally:
            self._is_due = False

    async def _make_some(self, calm: bool) -> bool:
        """One step: sizes, then what FETCH asks, then words. False: nothing is left to be made."""
        for box in self._boxes():
            if not box.wants_rendering:
                continue
            if box.is_measurable:
                await sizes.measure_some(box)
            elif box.rendered.next(box.uids, 1):
                most = PRERENDERED_AT_ONCE if calm else PRERENDERED_AT_ONCE // 4
                await rendering.prerender_some(box, most, hurry=not calm)
            elif calm or self._account.sifters.are_there:
                await texts.feed_some(box, FED_AT_ONCE)
            else:
                continue
            return True
        if not calm or not await self._account.quietly.run(words.tidy):
            return False
        for box in self._boxes():
            box.fed = box.fed.again()
        return True
