"""THE table of verbs: help texts, dispatch at both ends of the control socket and the check of docs/commands.md.

A verb that is not here does not exist. A page for each kind; docs/commands.md has them in this order.
"""

from __future__ import annotations

from mailbox_appliance.admin.verb import Verb
from mailbox_appliance.admin.verbs import (
    addresses,
    importing,
    lists,
    machine,
    passwords,
    people,
    sharing,
    transport,
    trust,
)
from mailbox_appliance.admin.verbs.inner import INNER

__all__ = ["INNER", "NOUNS", "VERBS"]

NOUNS: dict[str, str] = {
    "domain": "Domains that are ours.",
    "account": "People who have a mailbox.",
    "import": "Old mail, brought in from elsewhere.",
    "apppassword": "A password for each phone and mail program, each revocable alone.",
    "password": "How good passwords are.",
    "alias": "Further addresses that lead to accounts or elsewhere.",
    "throwaway": "Addresses to give away, each ended alone.",
    "vacation": "Answers while somebody is away.",
    "share": "Mailboxes that more than their owner may use.",
    "lists": "Mailing lists: one address for many people.",
    "queue": "Mail that waits to leave.",
    "relay": "The way out.",
    "dns": "The records of our domains.",
    "cert": "Certificates.",
    "spam": "What is junk, and why.",
    "sender": "Senders that somebody always wants, or never.",
    "guard": "Who is shut out for failing too often, and who tries.",
    "config": "The owner's file.",
}

VERBS: tuple[Verb, ...] = (
    *people.VERBS,
    *importing.VERBS,
    *passwords.VERBS,
    *addresses.VERBS,
    *sharing.VERBS,
    *lists.VERBS,
    *transport.VERBS,
    *trust.VERBS,
    *machine.VERBS,
)
