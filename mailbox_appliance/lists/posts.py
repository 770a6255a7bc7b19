"""Posts: refused, held for the moderators, or one copy for each member; and what moderators say about held ones.

Each member's copy has a return path of its own (VERP), so a bounce names its member, and a link of its own to leave by
(RFC 8058). Very large posts go out once for all.
"""

from __future__ import annotations

import hashlib

from mailbox_appliance.journal.events import lists as told
from mailbox_appliance.lists import fields, letters
from mailbox_appliance.lists.rights import Author, Judged, Ruling, judge
from mailbox_appliance.lists.work import ListParts, Work, ignored, refused, send, signed
from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.automatic import came_by_list, made_by_machine
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.letter import one_line
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.trace import Event, new_trace_id
from mailbox_appliance.ports.delivery import Outgoing
from mailbox_appliance.ports.lists import MailingList, Taken

LOOP = Reply(554, "5.4.6", "The list has sent this message before: a mail loop")
MACHINE = Reply(550, "5.7.1", "Only people write to this list")
NOT_MEMBER = Reply(550, "5.7.2", "Only members of the list may write to it")
TOO_LARGE = Reply(552, "5.3.4", "The message is too large for this list")
FULL = Reply(452, "4.2.2", "Too many messages wait for the list's moderators")
# Members times octets: beyond it all share one copy, without a link of their own.
MOST_OCTETS = 64 * 1024 * 1024
FAILURE = frozenset({"FAILURE"})


class Posts:
    """Everything that may become of a message for the members."""

    def __init__(self, parts: ListParts) -> None:
        self._parts = parts
        self._under_way: dict[tuple[int, str], float] = {}

    async def post(self, work: Work) -> Taken:
        """A message for the members."""
        parcel, one = work.parcel, work.one
        header = parcel.content.header
        found = fields.author_of(header)
        if fields.is_ours(header, one):
            return refused(parcel, one, LOOP, "it has been sent by this list before")
        machine = "it has no return path" if parcel.envelope.reverse_path is None else made_by_machine(header)
        if not machine and one.posting != "anyone" and came_by_list(header):
            machine = "it came by another list"
        if machine or found is None:
            return refused(parcel, one, MACHINE, machine or "it names no author")
        if one.most_octets and parcel.content.wire_size > one.most_octets:
            return refused(parcel, one, TOO_LARGE, f"{parcel.content.wire_size} octets")
        author, name = found
        judged = judge(one, parcel, author, self._parts.domains())
        if judged.ruling is Ruling.REFUSE:
            return refused(parcel, one, NOT_MEMBER, f"{author} is no member")
        mark = _mark(parcel.content)
        if self._is_under_way(one, mark) or await self._parts.memory.was_posted(one.number, mark):
            dropped = told.PostDropped(
                trace=parcel.trace, account=str(one.address), sender=str(author), reason="the list has sent it before"
            )
            return Taken(told=(dropped,))
        if judged.ruling is Ruling.HOLD:
            return await self._hold(work, judged, mark)
        outgoing, event = await self._copies(work, parcel.content, author, name)
        archive = await self._parts.archives.folder(one) if one.archive and self._parts.archives is not None else None
        rows = (self._parts.memory.posting(one.number, mark),)
        return Taken(outgoing=outgoing, rows=rows, told=(event,), archive=archive)

    def _is_under_way(self, one: MailingList, mark: str) -> bool:
        """Two copies of one moment are not both sent before the first is remembered."""
        now, key = self._parts.clock.seconds(), (one.number, mark)
        self._under_way = {each: begun for each, begun in self._under_way.items() if 0 <= now - begun < 30}
        known = key in self._under_way
        self._under_way.setdefault(key, now)
        return known

    async def _copies(
        self, work: Work, content: Content, author: Address, name: str, approved_by: str = ""
    ) -> tuple[tuple[Outgoing, ...], Event]:
        """One for each member, or one for all when it is large."""
        parts, one, envelope = self._parts, work.one, work.parcel.envelope
        ours = author.domain in parts.domains()
        rewrite = one.author == "always"
        if not rewrite and not ours and parts.policies is not None:
            rewrite = await parts.policies.is_strict(author.domain)
        common = fields.dressed(one, content, author, name, rewrite=rewrite)
        if parts.sealing is not None and work.parcel.verdict.fields:
            seal = await parts.sealing.seal(common, one.address.domain, work.parcel.verdict)
            common = common.with_prefix(seal)
        signer = author.domain if ours and not rewrite else one.address.domain
        members = [each for each in one.members if not each.paused]
        utf8 = envelope.smtputf8
        outgoing = []
        if len(members) * common.size > MOST_OCTETS:
            final = await signed(self._parts, common.with_prefix(fields.leaving(one, "", "")), signer)
            everybody = tuple(Recipient(each.address, FAILURE) for each in members)
            path = one.part("bounces")
            outgoing.append(
                Outgoing(work.parcel.trace, Envelope(path, everybody, eight_bit=True, smtputf8=utf8), final)
            )
        else:
            for each in members:
                token = await parts.tokens.for_member("leave", one, each)
                final = await signed(self._parts, common.with_prefix(fields.leaving(one, token, parts.base())), signer)
                path = one.part("bounces", await parts.tokens.for_member("bounce", one, each))
                to = (Recipient(each.address, FAILURE),)
                outgoing.append(Outgoing(work.parcel.trace, Envelope(path, to, eight_bit=True, smtputf8=utf8), final))
        event = told.Posted(
            trace=work.parcel.trace,
            account=str(one.address),
            sender=str(author),
            members=len(members),
            rewritten=rewrite,
            approved_by=approved_by,
        )
        return tuple(outgoing), event

    async def _hold(self, work: Work, judged: Judged, mark: str) -> Taken:
        parts, one, parcel = self._parts, work.one, work.parcel
        moderators = list(dict.fromkeys([one.owner, *(each.address for each in one.members if each.moderator)]))
        people = [each for each in moderators if each is not None]
        if not people or await parts.memory.is_full(one.number):
            return refused(parcel, one, FULL, "no moderator, or too much waits for them")
        name = new_trace_id(parts.clock.seconds())
        subject = one_line(decode_words(header_block.first(parcel.content.header, "subject") or b""))[:200]
        author = str(judged.author)
        why = {
            Author.DOUBTFUL: "nothing proves that it is really his, or hers",
            Author.STRANGER: f"{author} is no member",
        }.get(judged.who, "messages wait for a moderator")
        write, rows = parts.memory.hold(
            one.number, name, author, subject, parcel.content, utf8=parcel.envelope.smtputf8
        )
        token = await parts.tokens.for_held(one, name)
        for each in people:
            letter = letters.to_moderator(one, each, author, subject, why, one.part("reject", token))
            await send(self._parts, work, letter, reply_to=one.part("approve", token), attached=parcel.content)
        event = told.PostHeld(trace=parcel.trace, account=str(one.address), sender=author, reason=why, held=name)
        remembered = (rows, parts.memory.posting(one.number, mark))
        return Taken(outgoing=tuple(work.outgoing), writes=(write,), rows=remembered, told=(event,))

    async def approved(self, work: Work) -> Taken:
        """A moderator lets a held post through."""
        parts, one = self._parts, work.one
        name = await parts.tokens.held_of(one, work.token)
        post = await parts.memory.held(one.number, name) if name else None
        found = fields.author_of(post.content.header) if post is not None else None
        if post is None or found is None:
            return ignored(work, "no held post is meant: a moderator has spoken before, or two weeks are past")
        outgoing, event = await self._copies(work, post.content, *found, approved_by=work.sender)
        return Taken(outgoing=outgoing, rows=(parts.memory.settled(name),), told=(event,))

    async def rejected(self, work: Work) -> Taken:
        """A moderator throws a held post away; an author of ours hears of it."""
        parts, one = self._parts, work.one
        name = await parts.tokens.held_of(one, work.token)
        post = await parts.memory.held(one.number, name) if name else None
        if post is None:
            return ignored(work, "no held post is meant: a moderator has spoken before, or two weeks are past")
        author = Address.parse(post.author)
        if author.domain in parts.domains():  # anybody else's name may be forged
            await send(self._parts, work, letters.rejected(one, author, post.subject))
        event = told.PostDropped(
            trace=work.parcel.trace,
            account=str(one.address),
            sender=post.author,
            reason=f"thrown away by {work.sender}",
        )
        return Taken(outgoing=tuple(work.outgoing), rows=(parts.memory.settled(name),), told=(event,))


def _mark(content: Content) -> str:
    """By which a post is known again: its Message-ID, else who wrote what when."""
    name = header_block.first(content.header, "message-id")
    if not name:
        name = b"\0".join(header_block.first(content.header, one) or b"" for one in ("from", "date", "subject"))
    return hashlib.sha256(name).hexdigest()[:32]
