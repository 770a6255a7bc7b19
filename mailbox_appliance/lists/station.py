"""A message to a list or to one of its addresses, and what follows from it (fills ports/lists.Mailings).

::

    family@                      a post: refused, held for the moderators, or one copy for each member
    family-subscribe@            asks whether it is really you         (also family+subscribe@)
    family-unsubscribe@          the same; with a token of ours +…@ it is done at once
    family-confirm+TOKEN@        the answer to that question
    family-request@              help; or Subject: subscribe, unsubscribe
    family-owner@                goes to the owner's mailbox (users/)
    family-bounces+TOKEN@        mail to a member came back: counted, he is paused at the third
    family-approve+TOKEN@        a moderator lets a held post through, or
    family-reject+TOKEN@         throws it away

Everything that follows enters the queue in the message's own commit round. Each member's copy has a return path of its
own (VERP), so a bounce names its member, and a link of its own to leave by.
"""

from __future__ import annotations

from mailbox_appliance.journal.events import lists as told
from mailbox_appliance.lists import letters
from mailbox_appliance.lists.posts import Posts
from mailbox_appliance.lists.returned import has_failed, whom
from mailbox_appliance.lists.wishes import Wishes
from mailbox_appliance.lists.work import ListParts, Work, ignored, refused, send
from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.automatic import came_by_list, made_by_machine
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.trace import Event
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.lists import Taken
from mailbox_appliance.ports.users import AtList

JUNK = Reply(550, "5.7.1", "The message looks like junk and is not passed on")
GONE = Reply(550, "5.1.1", "There is no such list")


class ListStation:
    """Fills ports/lists.Mailings and OneClick."""

    def __init__(self, parts: ListParts) -> None:
        self._parts = parts
        self._posts = Posts(parts)
        self._wishes = Wishes(parts)

    async def take(self, parcel: Parcel, at: AtList) -> Taken:
        """ports.lists.Mailings."""
        one = self._parts.members.find(at.address)
        if one is None:
            return Taken(GONE)
        if parcel.verdict.action is Action.JUNK:
            return refused(parcel, one, JUNK, "junk")
        work = Work(parcel, one, at.token)
        if at.part == "":
            return await self._posts.post(work)
        if at.part == "bounces":
            return await self._bounce(work)
        # A machine that answers one of our letters must not confirm, approve or ask for anything.
        machine = "it has no return path" if parcel.envelope.reverse_path is None else ""
        machine = machine or made_by_machine(parcel.content.header) or came_by_list(parcel.content.header)
        if machine:
            return ignored(work, machine)
        if at.part == "request":
            subject = (header_block.first(parcel.content.header, "subject") or b"").strip().lower()
            at = AtList(at.address, {b"subscribe": "subscribe", b"unsubscribe": "unsubscribe"}.get(subject, "request"))
        step = {
            "subscribe": self._wishes.wish_to_join,
            "unsubscribe": self._wishes.wish_to_leave,
            "confirm": self._wishes.confirmed,
            "approve": self._posts.approved,
            "reject": self._posts.rejected,
            "request": self._wishes.help,
        }[at.part]
        return await step(work)

    async def unsubscribe(self, token: str) -> str:
        """ports.lists.OneClick: LIST-ID/TOKEN, as List-Unsubscribe has it."""
        name, _, proof = token.partition("/")
        for domain in self._parts.domains():
            if not name.endswith("." + domain):
                continue
            one = self._parts.members.find(Address(name.removesuffix("." + domain), domain))
            member = await self._parts.tokens.member_of("leave", one, proof) if one is not None else None
            if one is not None and member is not None:
                await self._parts.members.leave(one.address, member.address)
                return one.title
        return ""

    async def _bounce(self, work: Work) -> Taken:
        parts, one, parcel = self._parts, work.one, work.parcel
        if parcel.envelope.reverse_path is not None or not has_failed(parcel.content):
            return ignored(work, "it is no report of a failure")
        if work.token:
            named = [await parts.tokens.member_of("bounce", one, work.token)]
        else:
            named = [one.member(address) for address in whom(parcel.content)]
        events: list[Event] = []
        for member in {each.number: each for each in named if each is not None}.values():
            now = await parts.members.bounced(one.address, member.number)
            if now is None:
                continue
            after, is_paused = now
            facts = {"trace": parcel.trace, "account": str(one.address), "recipient": str(member.address)}
            events.append(told.MemberBounced(**facts, bounces=after.bounces))
            if is_paused:
                events.append(told.MemberPaused(**facts, why=f"mail came back {after.bounces} times"))
                if one.owner is not None:
                    await send(self._parts, work, letters.paused(one, one.owner, member.address, after.bounces))
        if not events:
            return ignored(work, "it names no member")
        return Taken(outgoing=tuple(work.outgoing), told=tuple(events))
