"""THE table of verbs: help texts, dispatch at both ends of the control socket and the check of docs/commands.md.

A verb that is not here does not exist.
"""

from __future__ import annotations

from mailbox_appliance.admin.certs import CertDesk
from mailbox_appliance.admin.configuring import ConfigDesk, ReloadDesk
from mailbox_appliance.admin.guarding import GuardingDesk
from mailbox_appliance.admin.junk import TrainDesk
from mailbox_appliance.admin.mailqueue import MailQueueDesk
from mailbox_appliance.admin.names import NamesDesk
from mailbox_appliance.admin.people import AccountDesk, AliasDesk, AppPasswordDesk, DomainDesk
from mailbox_appliance.admin.routes import RouteDesk
from mailbox_appliance.admin.status import StatusDesk
from mailbox_appliance.admin.throwaways import ThrowawayDesk
from mailbox_appliance.admin.tracing import TraceDesk
from mailbox_appliance.admin.verb import Argument, Verb

NOUNS: dict[str, str] = {
    "domain": "Domains that are ours.",
    "account": "People who have a mailbox.",
    "apppassword": "A password for each phone and mail program, each revocable alone.",
    "alias": "Further addresses that lead to accounts or elsewhere.",
    "throwaway": "Addresses to give away, each ended alone.",
    "queue": "Mail that waits to leave.",
    "relay": "The way out.",
    "dns": "The records of our domains.",
    "cert": "Certificates.",
    "spam": "What is junk, and why.",
    "guard": "Who is shut out for failing too often.",
    "config": "The owner's file.",
}

_ADDRESS = Argument("address", "the account's address")
_DOMAIN = Argument("domain", "one of our domains")
_IDS = Argument("ids", "message ids, as `queue list` shows them", "words")
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
        (_ADDRESS, Argument("quota", 'how much it may keep, such as "5GB"; 0 for no limit', "option"), _PASSWORD),
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
        "remove",
        AccountDesk,
        AccountDesk.remove,
        "End an account; for two weeks it can be brought back.",
        (_ADDRESS,),
        changes=True,
    ),
    Verb(
        "account",
        "password",
        AccountDesk,
        AccountDesk.password,
        "Set another password.",
        (_ADDRESS, _PASSWORD),
        changes=True,
    ),
    Verb(
        "account",
        "quota",
        AccountDesk,
        AccountDesk.quota,
        "Change how much an account may keep.",
        (_ADDRESS, Argument("size", 'such as "5GB"; 0 for no limit, default for limits.quota')),
        changes=True,
    ),
    Verb(
        "account",
        "undelete",
        AccountDesk,
        AccountDesk.undelete,
        "Bring back a removed account, or what a living one has expunged.",
        (
            _ADDRESS,
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
        (_ADDRESS, Argument("before", 'only what was expunged before then: "2026-11-20", "3 days"', "option")),
        changes=True,
    ),
    Verb(
        "apppassword",
        "new",
        AppPasswordDesk,
        AppPasswordDesk.new,
        "Make the password of one device; it is shown once.",
        (_ADDRESS, Argument("device", 'a name for it, such as "Ann\'s phone"')),
        changes=True,
    ),
    Verb(
        "apppassword",
        "list",
        AppPasswordDesk,
        AppPasswordDesk.list,
        "Show devices and when they were last seen.",
        (Argument("address", "only those of this account", required=False),),
        lists=True,
    ),
    Verb(
        "apppassword",
        "revoke",
        AppPasswordDesk,
        AppPasswordDesk.revoke,
        "Make a device's password worthless.",
        (_ADDRESS, Argument("device", "its name or its key")),
        changes=True,
    ),
    Verb(
        "alias",
        "add",
        AliasDesk,
        AliasDesk.add,
        "Make an alias, or add targets to one.",
        (Argument("alias", "the further address"), Argument("targets", "where its mail goes", "words")),
        changes=True,
    ),
    Verb("alias", "list", AliasDesk, AliasDesk.list, "Show the aliases.", lists=True),
    Verb(
        "alias",
        "remove",
        AliasDesk,
        AliasDesk.remove,
        "Remove an alias, or only some of its targets.",
        (Argument("alias", "the further address"), Argument("targets", "only these targets", "any")),
        changes=True,
    ),
    Verb(
        "throwaway",
        "new",
        ThrowawayDesk,
        ThrowawayDesk.new,
        "Make a throw-away address: a name that nobody guesses, for one shop or list.",
        (
            Argument("label", 'whom it is for, such as "shop"', required=False),
            Argument("account", "whose it is; needed when there are several accounts", "option"),
            Argument("expires", "after how many days it ends by itself (default: never)", "option"),
        ),
        changes=True,
    ),
    Verb(
        "throwaway",
        "list",
        ThrowawayDesk,
        ThrowawayDesk.list,
        "Show throw-away addresses, whom each was given to, and who else used it.",
        (
            Argument("account", "only those of this account", "option"),
            Argument("all", "revoked and expired ones too", "flag"),
        ),
        lists=True,
    ),
    Verb(
        "throwaway",
        "revoke",
        ThrowawayDesk,
        ThrowawayDesk.revoke,
        "End a throw-away address: mail for it is refused with 550.",
        (
            Argument("address", "as `throwaway list` shows it"),
            Argument("text", "what senders are told", "option"),
        ),
        changes=True,
    ),
    Verb("queue", "list", MailQueueDesk, MailQueueDesk.list, "Show what waits, oldest first.", lists=True),
    Verb(
        "queue",
        "show",
        MailQueueDesk,
        MailQueueDesk.show,
        "Show one message with its content.",
        (Argument("id", "a message id"),),
        lists=True,
    ),
    Verb(
        "queue",
        "retry",
        MailQueueDesk,
        MailQueueDesk.retry,
        "Try messages now.",
        (
            Argument("ids", "message ids, as `queue list` shows them", "any"),
            Argument("all", "everything that is not held", "flag"),
        ),
        changes=True,
    ),
    Verb(
        "queue", "hold", MailQueueDesk, MailQueueDesk.hold, "Keep messages back until released.", (_IDS,), changes=True
    ),
    Verb("queue", "release", MailQueueDesk, MailQueueDesk.release, "Let held messages go.", (_IDS,), changes=True),
    Verb(
        "queue",
        "drop",
        MailQueueDesk,
        MailQueueDesk.drop,
        "Remove messages for good.",
        (_IDS, Argument("bounce", "tell their senders", "flag")),
        changes=True,
    ),
    Verb(
        "queue",
        "flush",
        MailQueueDesk,
        MailQueueDesk.flush,
        "Try now everything that is not held, or what waits for one domain.",
        (Argument("domain", "only what waits for this domain", required=False),),
        changes=True,
    ),
    Verb(
        "relay",
        "test",
        RouteDesk,
        RouteDesk.test,
        "Walk the way to an address without sending mail, and explain each step.",
        (Argument("address", "where mail shall go"),),
        lists=True,
    ),
    Verb(
        "dns",
        "records",
        NamesDesk,
        NamesDesk.records,
        "Show what a domain must, should and may publish, one by one for copying.",
        (_DOMAIN, Argument("zone", "as a zone file", "flag")),
        lists=True,
    ),
    Verb(
        "dns",
        "check",
        NamesDesk,
        NamesDesk.check,
        "Compare that with what the world sees, with the remedy for each record.",
        (_DOMAIN,),
        lists=True,
    ),
    Verb("cert", "show", CertDesk, CertDesk.show, "Show the certificates in use.", lists=True),
    Verb("cert", "renew", CertDesk, CertDesk.renew, "Get a new certificate for the same key, now.", changes=True),
    Verb(
        "cert",
        "rotate",
        CertDesk,
        CertDesk.rotate,
        "Announce a new key: publish its TLSA, and it is used two days later.",
        (Argument("now", "use the new key at once", "flag"),),
        changes=True,
    ),
    Verb(
        "trace",
        "",
        TraceDesk,
        TraceDesk.trace,
        "Tell a message's whole life.",
        (Argument("what", "a message's id, an address (of sender, recipient, account or peer) or a Message-ID"),),
        lists=True,
    ),
    Verb(
        "spam",
        "train",
        TrainDesk,
        TrainDesk.train,
        "Teach an account's junk filter, as moving mail in and out of Junk does.",
        (
            _ADDRESS,
            Argument("junk", "the files are junk", "flag"),
            Argument("ham", "the files are wanted mail", "flag"),
            Argument("files", "one message each, or an mbox; - is standard input", "files"),
        ),
        changes=True,
    ),
    Verb("guard", "list", GuardingDesk, GuardingDesk.list, "Show who is shut out, and until when.", lists=True),
    Verb(
        "guard",
        "unban",
        GuardingDesk,
        GuardingDesk.unban,
        "Let an address in again.",
        (Argument("address", "an IP address"),),
        changes=True,
    ),
    Verb(
        "config",
        "check",
        ConfigDesk,
        ConfigDesk.check,
        "Say everything that is wrong with the file.",
        lists=True,
        here=True,
    ),
    Verb("config", "sample", ConfigDesk, ConfigDesk.sample, "Print a commented file to begin with.", here=True),
    Verb("reload", "", ReloadDesk, ReloadDesk.reload, "Read the file anew; a wrong one changes nothing.", changes=True),
    Verb("status", "", StatusDesk, StatusDesk.status, "Say whether all is well, or what to do.", lists=True),
)
