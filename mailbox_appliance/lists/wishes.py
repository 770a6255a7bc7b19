"""Joining and leaving by mail: whoever asks is asked back, since anybody can write in his name.

Only a token of ours (RFC 8058, or the answer to our question) does it at once.
"""

from __future__ import annotations

from mailbox_appliance.journal.events import lists as told
from mailbox_appliance.lists import letters
from mailbox_appliance.lists.work import ListParts, Work, ignored, send
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.letter import Letter
from mailbox_appliance.ports.lists import Taken


class Wishes:
    """One coroutine for each wish."""

    def __init__(self, parts: ListParts) -> None:
        self._parts = parts

    async def wish_to_join(self, work: Work) -> Taken:
        """Somebody, or somebody in his name, wants to become a member."""
        (person, *_) = work.people()
        member = work.one.member(person)
        if work.one.joining == "closed" and member is None:
            return await self._ask(work, person, letters.closed(work.one, person), None, "join")
        if member is not None:
            return await self._ask(work, person, letters.welcome(work.one, person), None, "join")
        return await self._ask(work, person, letters.ask(work.one, person, "join"), "join", "join")

    async def wish_to_leave(self, work: Work) -> Taken:
        """A member wants to leave; a token of ours does it at once."""
        parts, one = self._parts, work.one
        if work.token:
            member = await parts.tokens.member_of("leave", one, work.token)
            if member is None:
                return ignored(work, "the token is none of ours, or he has left before")
            return await self._left(work, member.address)
        for person in work.people():
            if one.member(person) is not None:
                return await self._ask(work, person, letters.ask(one, person, "leave"), "leave", "leave")
        return ignored(work, "whoever wrote it is no member")

    async def _ask(self, work: Work, person: Address, letter: Letter, purpose: str | None, wish: str) -> Taken:
        """Send one letter; nobody gets many of them, whoever writes in his name."""
        parts, one = self._parts, work.one
        if not await parts.memory.may_ask(one.number, str(person)):
            return ignored(work, f"{person} was written to a short while ago, or the list asks too much today")
        reply_to = None
        if purpose is not None:
            reply_to = one.part("confirm", await parts.tokens.for_wish(purpose, one, person))
        await send(self._parts, work, letter, reply_to=reply_to)
        event = told.WishAsked(trace=work.parcel.trace, account=str(one.address), sender=str(person), wish=wish)
        rows = (parts.memory.asking(one.number, str(person)),)
        return Taken(outgoing=tuple(work.outgoing), rows=rows, told=(event,))

    async def confirmed(self, work: Work) -> Taken:
        """The answer to our question."""
        one = work.one
        wish = await self._parts.tokens.wish_of(one, work.token, work.people())
        if wish is None:
            return ignored(work, "it confirms nothing: not asked for, older than a week, or from another address")
        purpose, person = wish
        if purpose == "leave":
            return await self._left(work, person)
        if not await self._parts.members.join(one.address, person):
            return ignored(work, f"{person} is a member already")
        await send(self._parts, work, letters.welcome(one, person))
        event = told.MemberJoined(trace=work.parcel.trace, account=str(one.address), recipient=str(person), by="mail")
        return Taken(outgoing=tuple(work.outgoing), told=(event,))

    async def _left(self, work: Work, person: Address) -> Taken:
        one = work.one
        if not await self._parts.members.leave(one.address, person):
            return ignored(work, f"{person} is no member")
        await send(self._parts, work, letters.goodbye(one, person))
        event = told.MemberLeft(trace=work.parcel.trace, account=str(one.address), recipient=str(person), by="mail")
        return Taken(outgoing=tuple(work.outgoing), told=(event,))

    async def help(self, work: Work) -> Taken:
        """What may be said to the list."""
        (person, *_) = work.people()
        return await self._ask(work, person, letters.help_text(work.one, person), None, "help")
