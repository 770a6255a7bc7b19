"""An Acceptance that keeps what it is given."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.message import SpooledBody
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.delivery import Parcel, Receipt

TAKEN = Reply(250, "2.0.0", "Ok")


class FakeAcceptance:
    """``parcels`` is what was accepted, ``bodies`` their bodies as octets (a spool file is read at once).

    ``replies`` maps an address to the reply its receipt carries; ``full`` maps one to what ``room_for`` says. With
    ``slow`` True every acceptance waits for ``go()``; ``broken`` is raised instead.
    """

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.bodies: list[bytes] = []
        self.replies: dict[Address, Reply] = {}
        self.full: dict[Address, Reply] = {}
        self.asked_room: list[tuple[Recipient, int]] = []
        self.slow = False
        self.broken: Exception | None = None
        self._waiting: list[Deferred[None]] = []

    async def accept(self, parcel: Parcel) -> tuple[Receipt, ...]:
        if self.slow:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting
        if self.broken is not None:
            raise self.broken
        body = parcel.content.body
        if isinstance(body, SpooledBody):
            with open(body.path, "rb") as file:
                file.seek(body.offset)
                body = file.read(body.length)
        self.parcels.append(parcel)
        self.bodies.append(body)
        return tuple(Receipt(one, self.replies.get(one.forward_path, TAKEN)) for one in parcel.envelope.recipients)

    async def room_for(self, recipient: Recipient, octets: int) -> Reply | None:
        self.asked_room.append((recipient, octets))
        return self.full.get(recipient.forward_path)

    def go(self) -> None:
        """Let everything that waits be accepted."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)
