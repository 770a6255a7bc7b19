"""A Relay that says what a test has written down, and remembers what it was asked to carry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from twisted.internet.defer import Deferred

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import SpooledBody
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.relay import Shipment, Step

SENT = Outcome(Result.DELIVERED, Reply(250, "2.0.0", "Ok"), host="mx.elsewhere.example [192.0.2.1]", remote=True)
LATER = Outcome(
    Result.TRY_AGAIN, Reply(451, "4.3.2", "System busy"), host="mx.elsewhere.example [192.0.2.1]", remote=True
)
REFUSED = Outcome(
    Result.FAILED, Reply(550, "5.1.1", "No such user"), host="mx.elsewhere.example [192.0.2.1]", remote=True
)
UNREACHABLE = Outcome(
    Result.TRY_AGAIN, Reply(451, "4.4.1", "Connection refused"), reason="the host takes no mail just now"
)


class FakeRelay:
    """``answer(address, tries)`` gives the outcome of the n-th try (from 1) of a recipient; default: it is sent.

    ``smarthost`` set makes one destination of everything. With ``slow`` True every shipment waits for ``go()``.
    """

    def __init__(self, answer: Callable[[str, int], Outcome] | None = None) -> None:
        self.answer = answer or (lambda address, tries: SENT)
        self.smarthost = ""
        self.shipments: list[Shipment] = []
        self.bodies: list[bytes] = []
        self.tries: dict[str, int] = {}
        self.slow = False
        self.broken: Exception | None = None
        self.most_at_once: dict[str, int] = {}
        self._at_once: dict[str, int] = {}
        self._waiting: list[Deferred[None]] = []

    def destination(self, reverse_path: Address | None, forward_path: Address) -> str:
        return self.smarthost or forward_path.domain

    async def carry(self, shipment: Shipment) -> tuple[Outcome, ...]:
        self.shipments.append(shipment)
        body = shipment.content.body
        if isinstance(body, SpooledBody):
            with open(body.path, "rb") as file:
                file.seek(body.offset)
                body = file.read(body.length)
        self.bodies.append(body)
        name = shipment.destination
        self._at_once[name] = self._at_once.get(name, 0) + 1
        self.most_at_once[name] = max(self.most_at_once.get(name, 0), self._at_once[name])
        try:
            if self.slow:
                waiting: Deferred[None] = Deferred()
                self._waiting.append(waiting)
                await waiting
            if self.broken is not None:
                raise self.broken
            return tuple(self._outcome(str(one.forward_path)) for one in shipment.envelope.recipients)
        finally:
            self._at_once[name] -= 1

    def _outcome(self, address: str) -> Outcome:
        self.tries[address] = self.tries.get(address, 0) + 1
        return self.answer(address, self.tries[address])

    def go(self, count: int | None = None) -> int:
        """Let what waits be carried, the first ``count`` or all; returns how many waited."""
        now, self._waiting = self._waiting[:count], self._waiting[len(self._waiting[:count]) :]
        for one in now:
            one.callback(None)
        return len(now)

    async def explain(self, address: Address) -> AsyncIterator[Step]:
        yield Step(f"the route to {address.domain}", True)
