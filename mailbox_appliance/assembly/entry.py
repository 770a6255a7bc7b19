"""Where a message is taken: who is addressed (routing, lists, forwards), and the door that makes it durable.

At a store and at an edge another door stands before it: what comes over the link twice is taken once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailbox_appliance.assembly.ground import Ground
from mailbox_appliance.assembly.junk import JunkPart
from mailbox_appliance.assembly.lists import ListsPart
from mailbox_appliance.assembly.onward import Onward, make_onward
from mailbox_appliance.config.model import Config
from mailbox_appliance.delivery.acceptance import Door
from mailbox_appliance.delivery.routing import Routing, RoutingSettings
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.delivery import Acceptance
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.workers import ThreadedWorkers

if TYPE_CHECKING:  # imported by the half that it is
    from mailbox_appliance.assembly.store import StorePart


@dataclass(frozen=True, slots=True)
class Entry:
    """``acceptance`` is what everybody brings mail to; ``door`` the one behind it that knows our mailboxes."""

    junk: JunkPart
    onward: Onward
    addresses: Directory
    lists: ListsPart
    door: Door
    acceptance: Acceptance
    store: StorePart | None


def make_entry(config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal, ground: Ground) -> Entry:
    """The second stage."""
    users, edge, signing = ground.users, ground.edge, ground.signing
    junk = JunkPart(config, reactor, workers, journal, ground.stores, users, ground.spool)
    onward = make_onward(config, reactor, workers, journal, users, ground.dkim_keys, signing)
    addresses: Directory = onward.addresses if edge is None else edge.directory
    lists = ListsPart(config, reactor, workers, journal, ground.names, users, ground.dkim_keys, signing)
    settings = RoutingSettings(config.hostname, capture=config.local)
    door = Door(
        Routing(addresses, ground.stores, settings, users.throwaways, junk.persons),
        ground.depot,
        ground.spool,
        ground.rounds,
        addresses,
        ground.space,
        reactor,
        journal,
        forwarding=onward.forwarding,
        vacation=onward.vacation,
        mailings=lists.station,
    )
    store = None
    acceptance: Acceptance = door
    if config.role == "store":
        from mailbox_appliance.assembly.store import StorePart

        store = StorePart(config, reactor, workers, journal, users, addresses, ground.depot, junk.senders)
        ground.stores.on_use = store.counted
        ground.pages.mail_hosts = store.mail_hosts
        acceptance = store.door(door, ground.spool, ground.rounds)
    elif edge is not None:
        acceptance = edge.door(ground.spool, ground.rounds, ground.space)
    return Entry(junk, onward, addresses, lists, door, acceptance, store)
