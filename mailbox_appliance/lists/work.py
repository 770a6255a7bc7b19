"""One message to a list on its way through the station, and the letters a list writes itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from mailbox_appliance.journal.events import lists as told
from mailbox_appliance.lists import fields
from mailbox_appliance.lists.memory import ListMemory
from mailbox_appliance.lists.tokens import Tokens
from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address, show_reverse_path
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.letter import Letter, compose
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.checks import ArcSealing, Signing
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Outgoing, Parcel
from mailbox_appliance.ports.lists import Archives, AuthorPolicies, MailingList, Memberships, Taken

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
class Work:
    """One message on its way through."""

    parcel: Parcel
    one: MailingList
    token: str
    outgoing: list[Outgoing] = field(default_factory=list)

    @property
    def sender(self) -> str:
        """The reverse path, for the journal."""
        return show_reverse_path(self.parcel.envelope.reverse_path)

    def people(self) -> list[Address]:
        """Whose message it may be: From first, then the return path."""
        author = fields.author_of(self.parcel.content.header)
        path = self.parcel.envelope.reverse_path
        return [one for one in (author[0] if author else None, path) if one is not None]


async def signed(parts: ListParts, content: Content, domain: str) -> Content:
    """With the signature of ``domain`` on top, where we sign."""
    if parts.signing is None:
        return content
    return content.with_prefix(await parts.signing.sign(content, domain))


async def send(
    parts: ListParts, work: Work, letter: Letter, *, reply_to: Address | None = None, attached: Content | None = None
) -> None:
    """A letter of the list's own; the null path, so that no machine answers it (RFC 3834 §3.3)."""
    now = parts.clock.seconds()
    trace = new_trace_id(now)
    content = compose(letter, f"<{trace}.list@{parts.hostname}>", now)
    if attached is not None:
        content = with_attachment(content, attached, trace)
    if reply_to is not None:
        content = content.with_prefix(f"Reply-To: {reply_to}\n".encode())
    content = await signed(parts, content, work.one.address.domain)
    to = (Recipient(letter.to, NEVER),)
    envelope = Envelope(None, to, eight_bit=True, smtputf8=not letter.to.is_ascii)
    work.outgoing.append(Outgoing(trace, envelope, content))


def refused(parcel: Parcel, one: MailingList, reply: Reply, reason: str) -> Taken:
    """Nothing is taken; the peer hears ``reply``, the journal ``reason``."""
    sender = show_reverse_path(parcel.envelope.reverse_path)
    event = told.PostRefused(trace=parcel.trace, account=str(one.address), sender=sender, reason=reason)
    return Taken(reply, told=(event,))


def ignored(work: Work, reason: str) -> Taken:
    """Taken, and nothing follows from it."""
    event = told.WishIgnored(trace=work.parcel.trace, account=str(work.one.address), sender=work.sender, reason=reason)
    return Taken(told=(event,))


def with_attachment(letter: Content, attached: Content, trace: str) -> Content:
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
