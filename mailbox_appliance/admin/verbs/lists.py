"""Mailing lists."""

from __future__ import annotations

from mailbox_appliance.admin.lists import ListsDesk
from mailbox_appliance.admin.verb import Argument, Verb

_LIST = Argument("list", "the list's address, such as family@example.org")
_MEMBER = Argument("member", "the member's address")

VERBS: tuple[Verb, ...] = (
    Verb(
        "lists",
        "add",
        ListsDesk,
        ListsDesk.add,
        "Make a mailing list.",
        (
            _LIST,
            Argument("title", 'what people call it, such as "Our family"', "option"),
            Argument("owner", "the account that runs it (default: the domain's owner)", "option"),
        ),
        changes=True,
    ),
    Verb("lists", "list", ListsDesk, ListsDesk.list, "Show the lists.", lists=True),
    Verb("lists", "remove", ListsDesk, ListsDesk.remove, "End a list; its archive stays.", (_LIST,), changes=True),
    Verb("lists", "members", ListsDesk, ListsDesk.members, "Show who is on a list.", (_LIST,), lists=True),
    Verb(
        "lists",
        "subscribe",
        ListsDesk,
        ListsDesk.subscribe,
        "Put people on a list without asking them.",
        (
            _LIST,
            Argument("members", "their addresses, here or elsewhere", "words"),
            Argument("moderator", "they decide what is passed on", "flag"),
        ),
        changes=True,
    ),
    Verb(
        "lists",
        "unsubscribe",
        ListsDesk,
        ListsDesk.unsubscribe,
        "Take people off a list.",
        (_LIST, Argument("members", "their addresses", "words")),
        changes=True,
    ),
    Verb(
        "lists", "pause", ListsDesk, ListsDesk.pause, "Send a member nothing for now.", (_LIST, _MEMBER), changes=True
    ),
    Verb("lists", "resume", ListsDesk, ListsDesk.resume, "Send a member mail again.", (_LIST, _MEMBER), changes=True),
    Verb(
        "lists",
        "settings",
        ListsDesk,
        ListsDesk.settings,
        "Change a list's settings; without an option show them.",
        (
            _LIST,
            Argument("title", "what people call it", "option"),
            Argument("owner", "the account that runs it", "option"),
            Argument("posting", "who may write: members, anyone, or moderators (all else waits for them)", "option"),
            Argument("joining", "open: everybody by mail; closed: only by `lists subscribe`", "option"),
            Argument("author", "From: auto (rewritten where DMARC needs it), or always rewritten", "option"),
            Argument("archive", "yes: a shared folder keeps a copy of everything; or no", "option"),
            Argument("tag", 'put before each subject, such as "[Family]"; none takes it away', "option"),
            Argument("size", 'the largest message, such as "10MB"; 0 for no limit', "option"),
        ),
        lists=True,
        changes=True,
    ),
)
