"""How people prove who they are: apppassword, password."""

from __future__ import annotations

from mailbox_appliance.admin.apppasswords import AppPasswordDesk
from mailbox_appliance.admin.guessing import GuessingDesk
from mailbox_appliance.admin.passwords import PasswordDesk
from mailbox_appliance.admin.verb import Argument, Verb
from mailbox_appliance.admin.verbs.arguments import ADDRESS

VERBS: tuple[Verb, ...] = (
    Verb(
        "apppassword",
        "new",
        AppPasswordDesk,
        AppPasswordDesk.new,
        "Make the password of one device; it is shown once.",
        (ADDRESS, Argument("device", 'a name for it, such as "Ann\'s phone"')),
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
        (ADDRESS, Argument("device", "its name or its key")),
        changes=True,
    ),
    Verb(
        "password",
        "audit",
        GuessingDesk,
        GuessingDesk.audit,
        "Guess at hashes of main passwords, to find weak ones before others do.",
        (
            Argument("account", "only this account's", required=False),
            Argument("minutes", "for how long (default: 10); the next audit goes on from there", "option"),
        ),
        lists=True,
        here=True,
    ),
    Verb(
        "password",
        "allow",
        PasswordDesk,
        PasswordDesk.allow,
        "Let an account send from everywhere although its password is weak.",
        (ADDRESS, Argument("no", "no longer", "flag")),
        changes=True,
    ),
    Verb(
        "password",
        "suggest",
        GuessingDesk,
        GuessingDesk.suggest,
        "Make passphrases to choose from; nobody keeps them.",
        (Argument("count", "how many (default: 5)", required=False),),
        lists=True,
        here=True,
    ),
)
