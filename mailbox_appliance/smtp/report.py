"""What one session tells the journal: each thing once, always with who, and with what the peer was told."""

from __future__ import annotations

from mailbox_appliance.journal.events import smtp as told
from mailbox_appliance.mail.address import show_reverse_path
from mailbox_appliance.mail.client import Client
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.smtp.login import Attempt
from mailbox_appliance.smtp.transaction import Ending, Transaction
from mailbox_appliance.wire.smtp.events import LogIn
from mailbox_appliance.wire.smtp.paths import show_path


class Report:
    """``client`` is the peer as known now; the session keeps it up to date."""

    def __init__(self, journal: FullJournal, client: Client) -> None:
        self._journal = journal
        self.client = client

    def tls_started(self) -> None:
        """The handshake is complete."""
        client = self.client
        self._journal.tell(
            told.TlsStarted(peer=str(client.address), service=client.service, version=client.tls, cipher=client.cipher)
        )

    def slowed_down(self, seconds: float) -> None:
        """The client comes too fast."""
        client = self.client
        self._journal.tell(
            told.SlowedDown(
                peer=str(client.address), service=client.service, account=client.account, seconds=round(seconds, 1)
            )
        )

    def introduced(self, client: Client) -> None:
        """XCLIENT has named another client."""
        self._journal.tell(
            told.Introduced(
                peer=str(client.address), service=client.service, by=str(self.client.address), how="xclient"
            )
        )

    def log_in(self, event: LogIn, attempt: Attempt) -> None:
        """Good or bad."""
        client = self.client
        if attempt.principal is not None:
            self._journal.tell(
                told.LoggedIn(
                    account=client.account,
                    device=attempt.principal.device,
                    peer=str(client.address),
                    service=client.service,
                    mechanism=event.mechanism,
                    tls=client.tls,
                )
            )
            return
        self._journal.tell(
            told.LogInFailed(
                username=event.credentials.authcid[:250],
                peer=str(client.address),
                service=client.service,
                mechanism=event.mechanism,
                reason=attempt.reason,
                told=str(attempt.reply),
            )
        )

    def sender_refused(self, deal: Transaction, reply: Reply, reason: str) -> None:
        """MAIL."""
        client = self.client
        self._journal.tell(
            told.SenderRefused(
                trace=deal.trace,
                peer=str(client.address),
                service=client.service,
                helo=client.helo,
                account=client.account,
                device=client.device,
                sender=show_reverse_path(deal.reverse_path),
                told=str(reply),
                reason=reason,
            )
        )

    def recipient_refused(self, deal: Transaction, recipient: Recipient, reply: Reply, reason: str) -> None:
        """RCPT."""
        client = self.client
        self._journal.tell(
            told.RecipientRefused(
                trace=deal.trace,
                peer=str(client.address),
                service=client.service,
                helo=client.helo,
                account=client.account,
                device=client.device,
                sender=show_reverse_path(deal.reverse_path),
                recipient=show_path(recipient.forward_path)[1:-1],
                told=str(reply),
                reason=reason,
            )
        )

    def ended(self, deal: Transaction, ending: Ending, seconds: float) -> None:
        """The reply after the content."""
        client = self.client
        if ending.reply.is_positive:
            self._journal.tell(
                told.Accepted(
                    trace=deal.trace,
                    peer=str(client.address),
                    service=client.service,
                    helo=client.helo,
                    account=client.account,
                    device=client.device,
                    sender=show_reverse_path(deal.reverse_path),
                    recipient=deal.shown_recipients,
                    size=ending.size,
                    message_id=ending.message_id,
                    tls=client.tls,
                    junk=ending.junk,
                    reason=ending.reason,
                    seconds=round(seconds, 3),
                )
            )
            return
        self._journal.tell(
            told.MessageRefused(
                trace=deal.trace,
                peer=str(client.address),
                service=client.service,
                helo=client.helo,
                account=client.account,
                device=client.device,
                sender=show_reverse_path(deal.reverse_path),
                recipient=deal.shown_recipients,
                size=ending.size,
                message_id=ending.message_id,
                told=str(ending.reply),
                reason=ending.reason,
            )
        )

    def cut_short(self, deal: Transaction | None, reason: str) -> None:
        """We ended it."""
        client = self.client
        self._journal.tell(
            told.CutShort(
                trace=deal.trace if deal is not None else "",
                peer=str(client.address),
                service=client.service,
                helo=client.helo,
                reason=reason,
            )
        )

    def interrupted(self, deal: Transaction | None, reason: str) -> None:
        """The peer left; worth telling when a transaction was open."""
        client = self.client
        if deal is not None:
            self._journal.tell(
                told.Interrupted(
                    trace=deal.trace,
                    peer=str(client.address),
                    service=client.service,
                    helo=client.helo,
                    sender=show_reverse_path(deal.reverse_path),
                    recipient=deal.shown_recipients,
                    reason=reason,
                )
            )
