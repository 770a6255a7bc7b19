"""What is junk, who is wanted, who knocks, who used our name: spam, firewall, sender, report, guard."""

from __future__ import annotations

from mailbox_appliance.admin.firewall import FirewallDesk
from mailbox_appliance.admin.guarding import GuardingDesk
from mailbox_appliance.admin.junk import TrainDesk, WhyDesk
from mailbox_appliance.admin.refusals import RefusalDesk
from mailbox_appliance.admin.reports import ReportsDesk
from mailbox_appliance.admin.reputation import ReputationDesk
from mailbox_appliance.admin.senders import SenderDesk
from mailbox_appliance.admin.verb import Argument, Verb
from mailbox_appliance.admin.verbs.arguments import ADDRESS

_SENDERS = Argument("senders", "addresses, or domains as @example.net", "words")

VERBS: tuple[Verb, ...] = (
    Verb(
        "spam",
        "why",
        WhyDesk,
        WhyDesk.why,
        "Show what every check found, and what would have changed the verdict.",
        (Argument("id", "a message's id, its Message-ID, or an address: then of the newest"),),
        lists=True,
    ),
    Verb(
        "spam",
        "refused",
        RefusalDesk,
        RefusalDesk.refused,
        "Show what strangers brought and was refused, why, and what rests in Rejects.",
        (
            Argument("address", "only what was for this address", required=False),
            Argument("since", '"yesterday", "3 days", "2026-11-20 14:30" (default: a day)', "option", required=False),
        ),
        lists=True,
    ),
    Verb(
        "spam",
        "train",
        TrainDesk,
        TrainDesk.train,
        "Teach an account's junk filter, as moving mail in and out of Junk does.",
        (
            ADDRESS,
            Argument("junk", "the files are junk", "flag"),
            Argument("ham", "the files are wanted mail", "flag"),
            Argument("files", "one message each, or an mbox; - is standard input", "files"),
        ),
        changes=True,
    ),
    Verb(
        "spam",
        "reputation",
        ReputationDesk,
        ReputationDesk.reputation,
        "Show what senders have been sending lately, and the points it brings them.",
        (Argument("sender", "a domain, a mail address or an IP address; all when missing", required=False),),
        lists=True,
    ),
    Verb(
        "firewall",
        "",
        FirewallDesk,
        FirewallDesk.firewall,
        "Print nftables rules that open what must be reachable.",
        lists=True,
    ),
    Verb(
        "sender",
        "allow",
        SenderDesk,
        SenderDesk.allow,
        "Let an account's mail from these senders always into INBOX.",
        (ADDRESS, _SENDERS),
        changes=True,
    ),
    Verb(
        "sender",
        "block",
        SenderDesk,
        SenderDesk.block,
        "Refuse an account's mail from these senders.",
        (ADDRESS, _SENDERS),
        changes=True,
    ),
    Verb(
        "sender",
        "remove",
        SenderDesk,
        SenderDesk.remove,
        "Have senders judged like any other again.",
        (ADDRESS, _SENDERS),
        changes=True,
    ),
    Verb(
        "sender",
        "list",
        SenderDesk,
        SenderDesk.list,
        "Show the senders that are allowed or blocked.",
        (Argument("address", "only those of this account", required=False),),
        lists=True,
    ),
    Verb(
        "report",
        "",
        ReportsDesk,
        ReportsDesk.report,
        "Say who sent mail in our name, what others made of it, and what to do.",
        (
            Argument("days", "of so many days, 7 when nothing is said", "option", required=False),
            Argument("domain", "only this domain", "option", required=False),
        ),
        lists=True,
    ),
    Verb("guard", "list", GuardingDesk, GuardingDesk.list, "Show who is shut out, and until when.", lists=True),
    Verb("guard", "log", GuardingDesk, GuardingDesk.log, "Show who has tried which passwords lately.", lists=True),
    Verb(
        "guard",
        "nft",
        GuardingDesk,
        GuardingDesk.nft,
        "Print who is shut out as a table for nftables, to be refused by the kernel.",
        lists=True,
    ),
    Verb(
        "guard",
        "unban",
        GuardingDesk,
        GuardingDesk.unban,
        "Let an address in again, or strangers at an account.",
        (Argument("address", "an IP address, a network or an account, as `guard list` shows it"),),
        changes=True,
    ),
)
