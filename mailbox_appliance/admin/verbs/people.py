"""People: domain, account."""

from __future__ import annotations

from mailbox_appliance.admin.domains import DomainDesk
from mailbox_appliance.admin.passwords import LinkDesk
from mailbox_appliance.admin.people import AccountDesk
from mailbox_appliance.admin.verb import Argument, Verb
from mailbox_appliance.admin.verbs.arguments import ADDRESS

_PASSWORD = Argument("password", "asked for; empty makes a good one and shows it", "password")

VERBS: tuple[Verb, ...] = (
    Verb(
        "domain",
        "add",
        DomainDesk,
        DomainDesk.add,
        "Make a domain ours; with an option also change one that is.",
        (
            Argument("domain", "such as example.org"),
            Argument("owner", "the account that gets postmaster's mail (default: the domain's first)", "option"),
            Argument("catch_all", "who gets mail for names that nobody has; none refuses it", "option"),
            Argument("inside", "one word will do: the name is for this house only", "flag"),
        ),
        changes=True,
    ),
    Verb("domain", "list", DomainDesk, DomainDesk.list, "Show our domains.", lists=True),
    Verb(
        "domain",
        "remove",
        DomainDesk,
        DomainDesk.remove,
        "Give up a domain that has no accounts and aliases any more.",
        (Argument("domain", "such as example.org"),),
        changes=True,
    ),
    Verb(
        "account",
        "add",
        AccountDesk,
        AccountDesk.add,
        "Make an account and print the settings for mail programs.",
        (
            ADDRESS,
            Argument("name", 'how people call its owner, such as "Ann Example"', "option"),
            Argument("quota", 'how much it may keep, such as "5GB"; 0 for no limit', "option"),
            _PASSWORD,
        ),
        changes=True,
    ),
    Verb(
        "account",
        "list",
        AccountDesk,
        AccountDesk.list,
        "Show the accounts.",
        (
            Argument("domain", "only those of this domain", required=False),
            Argument("removed", "those that can be brought back instead", "flag"),
        ),
        lists=True,
    ),
    Verb(
        "account",
        "name",
        AccountDesk,
        AccountDesk.name,
        "Say how people call an account's owner.",
        (ADDRESS, Argument("name", 'such as "Ann Example"; "" for none')),
        changes=True,
    ),
    Verb(
        "account",
        "remove",
        AccountDesk,
        AccountDesk.remove,
        "End an account; for two weeks it can be brought back.",
        (ADDRESS,),
        changes=True,
    ),
    Verb(
        "account",
        "password",
        AccountDesk,
        AccountDesk.password,
        "Set another password.",
        (ADDRESS, _PASSWORD),
        changes=True,
    ),
    Verb(
        "account",
        "link",
        LinkDesk,
        LinkDesk.link,
        "Make a link for choosing another main password, good for a day and one use.",
        (ADDRESS, Argument("qr", "show it as a QR code, too, for the camera of a phone", "flag")),
        changes=True,
    ),
    Verb(
        "account",
        "quota",
        AccountDesk,
        AccountDesk.quota,
        "Change how much an account may keep.",
        (ADDRESS, Argument("size", 'such as "5GB"; 0 for no limit, default for limits.quota')),
        changes=True,
    ),
    Verb(
        "account",
        "capabilities",
        AccountDesk,
        AccountDesk.capabilities,
        "Show what IMAP offers an account, and hide some of it.",
        (
            ADDRESS,
            Argument("hide", 'names such as "COMPRESS=DEFLATE QRESYNC", hidden from the next log-in on', "option"),
            Argument("show", "names to hide no longer; all for all of them", "option"),
        ),
        lists=True,
        changes=True,
    ),
    Verb(
        "account",
        "undo",
        AccountDesk,
        AccountDesk.undo,
        "Let what an account sends rest first, so that it can be taken back.",
        (ADDRESS, Argument("seconds", "how long; 0 sends at once")),
        changes=True,
    ),
    Verb(
        "account",
        "undelete",
        AccountDesk,
        AccountDesk.undelete,
        "Bring back a removed account, or what a living one has expunged.",
        (
            ADDRESS,
            Argument("since", 'only what was expunged since then: "2026-11-20 14:30", "3 days"', "option"),
            Argument("mailbox", "only what was expunged from this mailbox", "option"),
            Argument("list", "only show what could be brought back", "flag"),
        ),
        lists=True,
        changes=True,
    ),
    Verb(
        "account",
        "purge",
        AccountDesk,
        AccountDesk.purge,
        "Delete what an account has expunged for good.",
        (ADDRESS, Argument("before", 'only what was expunged before then: "2026-11-20", "3 days"', "option")),
        changes=True,
    ),
)
