"""The last joints of a pair's half: what could only be given to it once everything else stood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.assembly.changing import QueueDesk
from mailbox_appliance.assembly.pages import WebPages
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.imap.listener import ImapFactory, ImapHouse
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.reports.tally import Tally
from mailbox_appliance.smtp.listener import SmtpStation

if TYPE_CHECKING:
    from mailbox_appliance.assembly.edge import EdgePart
    from mailbox_appliance.assembly.store import StorePart


def join_halves(
    edge: EdgePart | None,
    store: StorePart | None,
    smtp: SmtpStation,
    imap: ImapHouse,
    pages: WebPages,
    tokens: ChallengeTokens,
    guard: RememberingGuard,
    queue_desk: QueueDesk,
    tally: Tally,
    memory: RelayMemory,
    clock: Clock,
    journal: Journal,
) -> tuple[Part, ...]:
    """Give each what it lacks; returns the parts there are. ``tally`` and ``memory`` count for reports to others."""
    if edge is not None:
        from mailbox_appliance.assembly.counts import HandedOver

        edge.counts = HandedOver(tally, memory, clock, edge.link.tell_counts)
        edge.smtp, edge.queue_desk = smtp, queue_desk
        edge.make_splices(guard, tokens.answer, pages.http)
        return (edge,)
    if store is not None:
        from mailbox_appliance.assembly.counts import TakenOver

        store.link.on_count = TakenOver(tally, memory, clock, journal, store.reports_tls).take
        store.smtp, store.queue_desk = smtp, queue_desk
        store.services = {
            "submission": lambda: smtp.factory("submission"),
            "submissions": lambda: smtp.factory("submissions"),
            "imap": lambda: ImapFactory(imap, "imap"),
            "imaps": lambda: ImapFactory(imap, "imaps"),
            "http": pages.http,
            "https": pages.https,
        }
        return (store,)
    return ()
