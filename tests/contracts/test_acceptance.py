"""Port delivery: what the real door and the fake must both do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.delivery import Acceptance
from tests.kit.fake_acceptance import FakeAcceptance
from tests.kit.post_office import PostOffice, now

ANN, BOB = Address.parse("ann@example.org"), Address.parse("bob@example.org")


class AcceptanceContract:
    """A suite for any Acceptance in which ann has room and bob has none."""

    def make(self) -> Acceptance:
        raise NotImplementedError

    def setUp(self) -> None:
        self.office = PostOffice(self.mktemp())  # type: ignore[attr-defined]
        self.addCleanup(self.office.close)  # type: ignore[attr-defined]
        self.acceptance = self.make()

    def test_receipts_in_order(self) -> None:
        """One receipt for each recipient, in order."""
        parcel = self.office.parcel(["bob@example.org", "ann@example.org"], each_answered=True)
        receipts = now(self.acceptance.accept(parcel))
        self.assertEqual([r.recipient for r in receipts], list(parcel.envelope.recipients))  # type: ignore[attr-defined]
        self.assertEqual([r.reply.code for r in receipts], [552, 250])  # type: ignore[attr-defined]

    def test_room(self) -> None:
        """None, or what to say at RCPT."""
        self.assertIsNone(now(self.acceptance.room_for(Recipient(ANN), 100)))  # type: ignore[attr-defined]
        reply = now(self.acceptance.room_for(Recipient(BOB), 100))
        assert reply is not None
        self.assertEqual((reply.code, reply.enhanced), (552, "5.2.2"))  # type: ignore[attr-defined]


class DoorContract(AcceptanceContract, SynchronousTestCase):
    """The real one."""

    def make(self) -> Acceptance:
        self.office.depot.limits[BOB] = 10
        return self.office.door


class FakeAcceptanceContract(AcceptanceContract, SynchronousTestCase):
    """The fake."""

    def make(self) -> Acceptance:
        fake = FakeAcceptance()
        full = Reply(552, "5.2.2", "full")
        fake.replies[BOB] = full
        fake.full[BOB] = full
        return fake
