"""Addresses besides the first, and answers in an absence: alias, throwaway, vacation."""

from __future__ import annotations

from mailbox_appliance.admin.aliases import AliasDesk
from mailbox_appliance.admin.throwaways import ThrowawayDesk
from mailbox_appliance.admin.vacation import VacationDesk
from mailbox_appliance.admin.verb import Argument, Verb
from mailbox_appliance.admin.verbs.arguments import ADDRESS

VERBS: tuple[Verb, ...] = (
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
    Verb(
        "vacation",
        "set",
        VacationDesk,
        VacationDesk.set,
        "Answer for somebody who is away.",
        (
            ADDRESS,
            Argument("text", "what is answered; \\n begins a new line", "option"),
            Argument("subject", "the answer's subject (default: the sender's own)", "option"),
            Argument("begin", "the first day, such as 2026-12-24 (default: now)", "option"),
            Argument("end", "the last day", "option"),
            Argument("days", "how long nobody is answered twice (default: 7)", "option"),
            Argument("also", "further addresses of the person, elsewhere, with commas between", "option"),
        ),
        changes=True,
    ),
    Verb(
        "vacation",
        "show",
        VacationDesk,
        VacationDesk.show,
        "Show who is away and what is answered.",
        (Argument("address", "only this account", required=False),),
        lists=True,
    ),
    Verb("vacation", "off", VacationDesk, VacationDesk.off, "Answer no more.", (ADDRESS,), changes=True),
)
