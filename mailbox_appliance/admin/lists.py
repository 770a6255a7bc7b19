"""Family lists: lists add|list|remove|members|subscribe|unsubscribe|pause|resume|settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailbox_appliance.admin.result import Refused, Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, list_argument, size_words, text_argument
from mailbox_appliance.config import values
from mailbox_appliance.ports.lists import MailingList
from mailbox_appliance.users.answers import UsersError

if TYPE_CHECKING:
    from mailbox_appliance.users.desks.lists import Lists

CHANGEABLE = ("title", "owner", "posting", "joining", "author", "archive", "tag")


class ListsDesk:
    """One address for many people."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    async def add(self, arguments: Arguments) -> Result:
        """Make a list."""
        title, owner = str(arguments.get("title") or ""), str(arguments.get("owner") or "")
        with refusing(UsersError):
            one = await self._lists.add(text_argument(arguments, "list"), title, owner)
        lines = (
            f"{one.address} is a mailing list now, and {one.owner} owns it; only members may write to it",
            f"next: mailappliance lists subscribe {one.address} ann@example.org bob@elsewhere.example",
            f"or let people write to {one.part('subscribe')}",
        )
        return Result(lines, data=_facts(one))

    async def list(self, arguments: Arguments) -> Result:
        """The lists there are."""
        rows = [_facts(one) for one in await self._lists.listing()]
        columns = ("list", "title", "owner", "members", "paused", "posting", "joining", "archive")
        return listing(columns, rows, "no list yet: mailappliance lists add family@example.org")

    async def remove(self, arguments: Arguments) -> Result:
        """End a list."""
        with refusing(UsersError):
            gone = await self._lists.remove(text_argument(arguments, "list"))
        return Result((f"{gone.address} is gone, and who its members were: mail for it is refused",), data=_facts(gone))

    async def members(self, arguments: Arguments) -> Result:
        """Who is on it."""
        with refusing(UsersError):
            one = self._lists.of(text_argument(arguments, "list"))
        rows: list[dict[str, Any]] = [
            {
                "member": str(each.address),
                "moderator": each.moderator,
                "paused": each.paused,
                "bounces": each.bounces,
                "last_bounce": iso_moment(each.bounced),
            }
            for each in one.members
        ]
        none = f"nobody yet: mailappliance lists subscribe {one.address} ann@example.org"
        return listing(("member", "moderator", "paused", "bounces", "last_bounce"), rows, none)

    async def subscribe(self, arguments: Arguments) -> Result:
        """Add people, without asking them."""
        wanted = list_argument(arguments, "members")
        with refusing(UsersError):
            name = text_argument(arguments, "list")
            new = await self._lists.subscribe(name, wanted, moderator=bool(arguments.get("moderator")))
        known = len(wanted) - len(new)
        lines = [f"{', '.join(map(str, new))}: on {name} now"] if new else []
        if known:
            lines.append(f"{known} of them had been on it before")
        return Result(tuple(lines), data={"list": name, "new": [str(one) for one in new]})

    async def unsubscribe(self, arguments: Arguments) -> Result:
        """Take people out."""
        gone = list_argument(arguments, "members")
        with refusing(UsersError):
            name = text_argument(arguments, "list")
            await self._lists.unsubscribe(name, gone)
        return Result((f"{', '.join(gone)}: not on {name} any more",), data={"list": name, "gone": list(gone)})

    async def pause(self, arguments: Arguments) -> Result:
        """No mail for now."""
        with refusing(UsersError):
            name = text_argument(arguments, "list")
            member = await self._lists.pause(name, text_argument(arguments, "member"), paused=True)
        words = f"{member} gets no mail of {name} until: mailappliance lists resume {name} {member}"
        return Result((words,), data={"list": name, "member": str(member), "paused": True})

    async def resume(self, arguments: Arguments) -> Result:
        """Mail again; the bounces are forgotten."""
        with refusing(UsersError):
            name = text_argument(arguments, "list")
            member = await self._lists.pause(name, text_argument(arguments, "member"), paused=False)
        return Result(
            (f"{member} gets mail of {name} again",), data={"list": name, "member": str(member), "paused": False}
        )

    async def settings(self, arguments: Arguments) -> Result:
        """Change settings; without an option show them."""
        wanted: dict[str, Any] = {key: str(arguments[key]) for key in CHANGEABLE if arguments.get(key)}
        if arguments.get("size"):
            wanted["size"] = _size(arguments["size"])
        with refusing(UsersError):
            name = text_argument(arguments, "list")
            one = await self._lists.change(name, wanted) if wanted else self._lists.of(name)
        facts = _facts(one)
        lines = [f"{key}: {facts[key]}" for key in CHANGEABLE]
        lines.append(f"size: {size_words(one.most_octets) if one.most_octets else 'no limit'}")
        return Result(tuple(lines), data=facts)


def _size(text: Any) -> int:
    try:
        return values.size(int(text) if str(text).isdigit() else text)
    except values.Wrong as wrong:
        raise Refused(f"--size: {wrong.what}; {wrong.remedy}") from None


def _facts(one: MailingList) -> dict[str, Any]:
    return {
        "list": str(one.address),
        "title": one.title,
        "owner": str(one.owner or ""),
        "members": len(one.members),
        "paused": sum(bool(each.paused) for each in one.members),
        "posting": one.posting,
        "joining": one.joining,
        "author": one.author,
        "archive": "yes" if one.archive else "no",
        "tag": one.tag or "none",
        "size": one.most_octets,
    }
