"""Messages from the house itself: a notice to one user or to a domain's owner, accepted like any other mail."""

from __future__ import annotations

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.letter import Letter, compose
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.ports.checks import Signing
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Acceptance, Parcel
from mailbox_appliance.ports.users import Directory


class Notices:
    """``hostname`` stands in the Message-IDs; ``signing`` puts the domain's own name under them."""

    def __init__(
        self,
        acceptance: Acceptance,
        directory: Directory,
        clock: Clock,
        hostname: str,
        signing: Signing | None = None,
    ) -> None:
        self._acceptance = acceptance
        self._directory = directory
        self._clock = clock
        self._hostname = hostname
        self._signing = signing

    async def send(self, to: Address, subject: str, text: str) -> bool:
        """Put a letter into the mailbox of ``to``, from the postmaster of its domain. True when it was taken."""
        now = self._clock.seconds()
        trace = new_trace_id(now)
        message_id = f"<{trace}.notice@{self._hostname}>"
        letter = Letter(Address("postmaster", to.domain), to, subject, text, display="Postmaster")
        content = compose(letter, message_id, now)
        if self._signing is not None:
            content = content.with_prefix(await self._signing.sign(content, to.domain))
        # The null reverse path: a notice is never answered by a machine (RFC 3834 §2, RFC 5321 §4.5.5).
        envelope = Envelope(None, (Recipient(to),), eight_bit=True, smtputf8=not to.is_ascii)
        receipts = await self._acceptance.accept(Parcel(trace, Origin.LOCAL, envelope, content, message_id=message_id))
        return all(receipt.reply.is_positive for receipt in receipts)

    async def tell_owners(self, subject: str, text: str) -> int:
        """The same to every domain's owner, each once; returns how many took it."""
        owners = {await self._directory.owner(domain) for domain in sorted(self._directory.domains())}
        taken = [await self.send(owner, subject, text) for owner in sorted(filter(None, owners), key=str)]
        return sum(taken)
