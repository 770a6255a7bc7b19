"""How mail leaves: the queue's dispatch, the relay, what is told to senders and owners, and daily allowances."""

from __future__ import annotations

from typing import Any

from mailbox_appliance.assembly.changing import QueueDesk, WayOut
from mailbox_appliance.assembly.entry import Entry
from mailbox_appliance.assembly.ground import Ground
from mailbox_appliance.assembly.people import is_ours, tell_whom_it_concerns
from mailbox_appliance.assembly.settings import allowance_settings
from mailbox_appliance.assembly.ways_out import make_way_out
from mailbox_appliance.config.model import Config
from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.delivery.redelivery import Redelivery
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.queue.allowance import Allowance
from mailbox_appliance.queue.bounces import Bounces
from mailbox_appliance.queue.dispatch import Dispatch, DispatchSettings
from mailbox_appliance.queue.schedule import Schedule
from mailbox_appliance.workers import ThreadedWorkers


@dataclass(frozen=True, slots=True)
class Departure:
    """The queue with everything that empties it, and the letters the appliance itself writes."""

    notices: Notices
    allowance: Allowance
    relay: WayOut
    dispatch: Dispatch
    queue_desk: QueueDesk


def make_departure(
    config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal, ground: Ground, entry: Entry
) -> Departure:
    """The third stage."""
    spool, edge, addresses = ground.spool, ground.edge, entry.addresses
    notices = Notices(entry.acceptance, addresses, reactor, config.hostname, ground.signing)
    concerned = tell_whom_it_concerns(notices, ground.users)
    allowance = Allowance(spool, reactor, journal, concerned, allowance_settings(config))
    bounces = Bounces(entry.acceptance, addresses, reactor, journal, config.hostname, ground.signing)
    entry.door.reports = bounces
    relay = make_way_out(config, reactor, workers, journal, ground.names, addresses, entry.acceptance, entry.store)
    dispatch = Dispatch(
        spool,
        relay,
        Redelivery(entry.door) if edge is None else edge.hand_over,
        bounces,
        is_ours(addresses, captured=config.local) if edge is None else edge.is_local,
        reactor,
        journal,
        DispatchSettings(schedule=Schedule(first_retry=config.relay.first_retry)),
    )
    return Departure(notices, allowance, relay, dispatch, QueueDesk(spool, dispatch, reactor, journal, relay))
