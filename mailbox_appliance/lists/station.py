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

import hashlib
from collections.abc import Callable
from dataclasses import field

from mailbox_appliance.journal.events import lists as told
from mailbox_appliance.lists import fields, letters
from mailbox_appliance.lists.memory import ListMemory
from mailbox_appliance.lists.returned import has_failed, whom
from mailbox_appliance.lists.rights import Author, Judged, Ruling, judge
from mailbox_appliance.lists.tokens import Tokens
from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address, show_reverse_path
from mailbox_appliance.mail.automatic import came_by_list, made_by_machine
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.letter import Letter, compose, one_line
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.trace import Event, new_trace_id
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.ports.checks import ArcSealing, Signing
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Outgoing, Parcel
from mailbox_appliance.ports.lists import Archives, AuthorPolicies, MailingList, Memberships, Taken
from mailbox_appliance.ports.users import AtList

LOOP = Reply(554, "5.4.6", "The list has sent this message before: a mail loop")
MACHINE = Reply(550, "5.7.1", "Only people write to this list")
JUNK = Reply(550, "5.7.1", "The message looks like junk and is not passed on")
NOT_MEMBER = Reply(550, "5.7.2", "Only members of the list may write to it")
TOO_LARGE = Reply(552, "5.3.4", "The message is too large for this list")
FULL = Reply(452, "4.2.2", "Too many messages wait for the list's moderators")
GONE = Reply(550, "5.1.1", "There is no such list")
# Members times octets: beyond it all share one copy, without a link of their own.
MOST_OCTETS = 64 * 1024 * 1024
FAILURE = frozenset({"FAILURE"})
NEVER = frozenset({"NEVER"})


@dataclass(frozen=True, slots=True)
class ListParts:
    """What the station asks of others. ``base`` is where the page to leave by one click stands, "" without https."""

    members: Memberships
    memory: ListMemory
    tokens: Tokens
    clock: Clock
    hostname: str
    domains: Callable[[], frozenset[str]]
    base: Callable[[], str] = lambda: ""
    signing: Signing | None = None
    sealing: ArcSealing | None = None
    policies: AuthorPolicies | None = None
    archives: Archives | None = None


@dataclass(slots=True)
class _Work:
    """One message on its way through."""

    parcel: Parcel
    one: MailingList
    token: str
    taken: Taken = field(default_factory=Taken)
    outgoing: list[Outgoing] = field(default_factory=list)

    @property
    def sender(self) -> str:
        return show_reverse_path(self.parcel.envelope.reverse_path)

    def people(self) -> list[Address]:
        """Whose message it may be: From first, then the return path."""
        author = fields.author_of(self.parcel.content.header)
        path = self.parcel.envelope.reverse_path
        return [one for one in (author[0] if author else None, path) if one is not None]


class ListStation:
    """Fills ports/lists.Mailings and OneClick."""

    def __init__(self, parts: ListParts) -> None:
        self._parts = parts
        self._under_way: dict[tuple[int, str], float] = {}

    async def take(self, parcel: Parcel, at: AtList) -> Taken:
        """ports.lists.Mailings."""
        one = self._parts.members.find(at.address)
        if one is None:
            return Taken(GONE)
        if parcel.verdict.action is Action.JUNK:
            return self._refused(parcel, one, JUNK, "junk")
        work = _Work(parcel, one, at.token)
        if at.part == "":
            return await self._post(work)
        if at.part == "bounces":
            return await self._bounce(work)
        # A machine that answers one of our letters must not confirm, approve or ask for anything.
        machine = "it has no return path" if parcel.envelope.reverse_path is None else ""
        machine = machine or made_by_machine(parcel.content.header) or came_by_list(parcel.content.header)
        if machine:
            return self._ignored(work, machine)
        if at.part == "request":
            subject = (header_block.first(parcel.content.header, "subject") or b"").strip().lower()
            at = AtList(at.address, {b"subscribe": "subscribe", b"unsubscribe": "unsubscribe"}.get(subject, "request"))
        step = {
            "subscribe": self._wish_to_join,
            "unsubscribe": self._wish_to_leave,
            "confirm": self._confirmed,
            "approve": self._approved,
            "reject": self._rejected,
            "request": self._help,
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

    # ------------------------------------------------------------ posts

    async def _post(self, work: _Work) -> Taken:
        parcel, one = work.parcel, work.one
        header = parcel.content.header
        found = fields.author_of(header)
        if fields.is_ours(header, one):
            return self._refused(parcel, one, LOOP, "it has been sent by this list before")
        machine = "it has no return path" if parcel.envelope.reverse_path is None else made_by_machine(header)
        if not machine and one.posting != "anyone" and came_by_list(header):
            machine = "it came by another list"
        if machine or found is None:
            return self._refused(parcel, one, MACHINE, machine or "it names no author")
        if one.most_octets and parcel.content.wire_size > one.most_octets:
            return self._refused(parcel, one, TOO_LARGE, f"{parcel.content.wire_size} octets")
        author, name = found
        judged = judge(one, parcel, author, self._parts.domains())
        if judged.ruling is Ruling.REFUSE:
            return self._refused(parcel, one, NOT_MEMBER, f"{author} is no member")
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
        self, work: _Work, content: Content, author: Address, name: str, approved_by: str = ""
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
            final = await self._signed(common.with_prefix(fields.leaving(one, "", "")), signer)
            everybody = tuple(Recipient(each.address, FAILURE) for each in members)
            path = one.part("bounces")
            outgoing.append(
                Outgoing(work.parcel.trace, Envelope(path, everybody, eight_bit=True, smtputf8=utf8), final)
            )
        else:
            for each in members:
                token = await parts.tokens.for_member("leave", one, each)
                final = await self._signed(common.with_prefix(fields.leaving(one, token, parts.base())), signer)
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

    async def _signed(self, content: Content, domain: str) -> Content:
        if self._parts.signing is None:
            return content
        return content.with_prefix(await self._parts.signing.sign(content, domain))

    # ------------------------------------------------------------ moderation

    async def _hold(self, work: _Work, judged: Judged, mark: str) -> Taken:
        parts, one, parcel = self._parts, work.one, work.parcel
        moderators = list(dict.fromkeys([one.owner, *(each.address for each in one.members if each.moderator)]))
        people = [each for each in moderators if each is not None]
        if not people or await parts.memory.is_full(one.number):
            return self._refused(parcel, one, FULL, "no moderator, or too much waits for them")
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
            await self._send(work, letter, reply_to=one.part("approve", token), attached=parcel.content)
        event = told.PostHeld(trace=parcel.trace, account=str(one.address), sender=author, reason=why, held=name)
        remembered = (rows, parts.memory.posting(one.number, mark))
        return Taken(outgoing=tuple(work.outgoing), writes=(write,), rows=remembered, told=(event,))

    async def _approved(self, work: _Work) -> Taken:
        parts, one = self._parts, work.one
        name = await parts.tokens.held_of(one, work.token)
        post = await parts.memory.held(one.number, name) if name else None
        found = fields.author_of(post.content.header) if post is not None else None
        if post is None or found is None:
            return self._ignored(work, "no held post is meant: a moderator has spoken before, or two weeks are past")
        outgoing, event = await self._copies(work, post.content, *found, approved_by=work.sender)
        return Taken(outgoing=outgoing, rows=(parts.memory.settled(name),), told=(event,))

    async def _rejected(self, work: _Work) -> Taken:
        parts, one = self._parts, work.one
        name = await parts.tokens.held_of(one, work.token)
        post = await parts.memory.held(one.number, name) if name else None
        if post is None:
            return self._ignored(work, "no held post is meant: a moderator has spoken before, or two weeks are past")
        author = Address.parse(post.author)
        if author.domain in parts.domains():  # anybody else's name may be forged
            await self._send(work, letters.rejected(one, author, post.subject))
        event = told.PostDropped(
            trace=work.parcel.trace,
            account=str(one.address),
            sender=post.author,
            reason=f"thrown away by {work.sender}",
        )
        return Taken(outgoing=tuple(work.outgoing), rows=(parts.memory.settled(name),), told=(event,))

    # ------------------------------------------------------------ joining and leaving

    async def _wish_to_join(self, work: _Work) -> Taken:
        (person, *_) = work.people()
        member = work.one.member(person)
        if work.one.joining == "closed" and member is None:
            return await self._ask(work, person, letters.closed(work.one, person), None, "join")
        if member is not None:
            return await self._ask(work, person, letters.welcome(work.one, person), None, "join")
        return await self._ask(work, person, letters.ask(work.one, person, "join"), "join", "join")

    async def _wish_to_leave(self, work: _Work) -> Taken:
        parts, one = self._parts, work.one
        if work.token:
            member = await parts.tokens.member_of("leave", one, work.token)
            if member is None:
                return self._ignored(work, "the token is none of ours, or he has left before")
            return await self._left(work, member.address)
        for person in work.people():
            if one.member(person) is not None:
                return await self._ask(work, person, letters.ask(one, person, "leave"), "leave", "leave")
        return self._ignored(work, "whoever wrote it is no member")

    async def _ask(self, work: _Work, person: Address, letter: Letter, purpose: str | None, wish: str) -> Taken:
        """Send one letter; nobody gets many of them, whoever writes in his name."""
        parts, one = self._parts, work.one
        if not await parts.memory.may_ask(one.number, str(person)):
            return self._ignored(work, f"{person} was written to a short while ago, or the list asks too much today")
        reply_to = None
        if purpose is not None:
            reply_to = one.part("confirm", await parts.tokens.for_wish(purpose, one, person))
        await self._send(work, letter, reply_to=reply_to)
        event = told.WishAsked(trace=work.parcel.trace, account=str(one.address), sender=str(person), wish=wish)
        rows = (parts.memory.asking(one.number, str(person)),)
        return Taken(outgoing=tuple(work.outgoing), rows=rows, told=(event,))

    async def _confirmed(self, work: _Work) -> Taken:
        one = work.one
        wish = await self._parts.tokens.wish_of(one, work.token, work.people())
        if wish is None:
            return self._ignored(work, "it confirms nothing: not asked for, older than a week, or from another address")
        purpose, person = wish
        if purpose == "leave":
            return await self._left(work, person)
        if not await self._parts.members.join(one.address, person):
            return self._ignored(work, f"{person} is a member already")
        await self._send(work, letters.welcome(one, person))
        event = told.MemberJoined(trace=work.parcel.trace, account=str(one.address), recipient=str(person), by="mail")
        return Taken(outgoing=tuple(work.outgoing), told=(event,))

    async def _left(self, work: _Work, person: Address) -> Taken:
        one = work.one
        if not await self._parts.members.leave(one.address, person):
            return self._ignored(work, f"{person} is no member")
        await self._send(work, letters.goodbye(one, person))
        event = told.MemberLeft(trace=work.parcel.trace, account=str(one.address), recipient=str(person), by="mail")
        return Taken(outgoing=tuple(work.outgoing), told=(event,))

    async def _help(self, work: _Work) -> Taken:
        (person, *_) = work.people()
        return await self._ask(work, person, letters.help_text(work.one, person), None, "help")

    # ------------------------------------------------------------ bounces

    async def _bounce(self, work: _Work) -> Taken:
        parts, one, parcel = self._parts, work.one, work.parcel
        if parcel.envelope.reverse_path is not None or not has_failed(parcel.content):
            return self._ignored(work, "it is no report of a failure")
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
                    await self._send(work, letters.paused(one, one.owner, member.address, after.bounces))
        if not events:
            return self._ignored(work, "it names no member")
        return Taken(outgoing=tuple(work.outgoing), told=tuple(events))

    # ------------------------------------------------------------ telling

    async def _send(
        self, work: _Work, letter: Letter, *, reply_to: Address | None = None, attached: Content | None = None
    ) -> None:
        """A letter of the list's own; the null path, so that no machine answers it (RFC 3834 §3.3)."""
        now = self._parts.clock.seconds()
        trace = new_trace_id(now)
        content = compose(letter, f"<{trace}.list@{self._parts.hostname}>", now)
        if attached is not None:
            content = _with_attachment(content, attached, trace)
        if reply_to is not None:
            content = content.with_prefix(f"Reply-To: {reply_to}\n".encode())
        content = await self._signed(content, work.one.address.domain)
        to = (Recipient(letter.to, NEVER),)
        envelope = Envelope(None, to, eight_bit=True, smtputf8=not letter.to.is_ascii)
        work.outgoing.append(Outgoing(trace, envelope, content))

    def _refused(self, parcel: Parcel, one: MailingList, reply: Reply, reason: str) -> Taken:
        sender = show_reverse_path(parcel.envelope.reverse_path)
        event = told.PostRefused(trace=parcel.trace, account=str(one.address), sender=sender, reason=reason)
        return Taken(reply, told=(event,))

    def _ignored(self, work: _Work, reason: str) -> Taken:
        event = told.WishIgnored(
            trace=work.parcel.trace, account=str(work.one.address), sender=work.sender, reason=reason
        )
        return Taken(told=(event,))


def _mark(content: Content) -> str:
    """By which a post is known again: its Message-ID, else who wrote what when."""
    name = header_block.first(content.header, "message-id")
    if not name:
        name = b"\0".join(header_block.first(content.header, one) or b"" for one in ("from", "date", "subject"))
    return hashlib.sha256(name).hexdigest()[:32]


def _with_attachment(letter: Content, attached: Content, trace: str) -> Content:
    """The letter with a message behind it; a body that is not in memory is left out, its header tells enough."""
    assert isinstance(letter.body, bytes)
    boundary = f"=_{trace}_="
    kind_of = ("content-type", "content-transfer-encoding")
    inner = b"".join(
        name + b": " + value + b"\n"
        for name, value in header_block.split_fields(letter.header)
        if name.lower().decode("latin-1") in kind_of
    )
    header = header_block.remove_named(letter.header, kind_of)
    whole = isinstance(attached.body, bytes)
    kind = b"message/rfc822" if whole else b"text/rfc822-headers"
    behind = attached.header + attached.body if isinstance(attached.body, bytes) else attached.header.rstrip(b"\n")
    mixed = f'Content-Type: multipart/mixed;\n boundary="{boundary}"\nContent-Transfer-Encoding: 8bit\n\n'.encode()
    header = header.removesuffix(b"\n") + mixed
    edge = f"--{boundary}".encode()
    body = b"".join((edge, b"\n", inner, b"\n", letter.body, b"\n", edge, b"\nContent-Type: ", kind, b"\n\n", behind))
    body += (b"" if body.endswith(b"\n") else b"\n") + edge + b"--\n"
    return Content(header, body, header.count(b"\n") + body.count(b"\n"))
