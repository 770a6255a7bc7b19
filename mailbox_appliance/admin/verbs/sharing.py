"""Mailboxes that more than their owner may use: share."""

from __future__ import annotations

from mailbox_appliance.admin.sharing import ShareDesk
from mailbox_appliance.admin.verb import Argument, Verb
from mailbox_appliance.admin.verbs.arguments import WHO

_OWNER = Argument("owner", 'the account whose mailbox it is; "shared" for folders of nobody')
_MAILBOX = Argument("mailbox", 'its name, such as "Holiday" or INBOX')

VERBS: tuple[Verb, ...] = (
    Verb(
        "share",
        "list",
        ShareDesk,
        ShareDesk.list,
        "Show who may use whose mailbox.",
        (Argument("owner", 'only mailboxes of this account, or of "shared"', required=False),),
        lists=True,
    ),
    Verb(
        "share",
        "grant",
        ShareDesk,
        ShareDesk.grant,
        "Let somebody use a mailbox; these rights take the place of those he has on it.",
        (
            _OWNER,
            _MAILBOX,
            WHO,
            Argument("rights", "read (the default), add, write, full, or letters of RFC 4314", required=False),
        ),
        changes=True,
    ),
    Verb(
        "share",
        "revoke",
        ShareDesk,
        ShareDesk.revoke,
        "Take somebody's rights on a mailbox away, at once.",
        (_OWNER, _MAILBOX, WHO),
        changes=True,
    ),
    Verb(
        "share",
        "create",
        ShareDesk,
        ShareDesk.create,
        "Make a folder that belongs to nobody, for the whole family.",
        (Argument("mailbox", 'such as "Lists.family"; mail programs show it as Shared.Lists.family'),),
        changes=True,
    ),
    Verb(
        "share",
        "remove",
        ShareDesk,
        ShareDesk.remove,
        "Remove such a folder with its messages.",
        (Argument("mailbox", "its name"),),
        changes=True,
    ),
)
