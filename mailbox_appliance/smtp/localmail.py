"""What a message of a local program becomes: who it is from, whom bare names mean, which fields it lacks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from email.header import Header

from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.checks import Signing
from mailbox_appliance.ports.users import Directory, Known
from mailbox_appliance.smtp import fields
from mailbox_appliance.smtp.author import AuthorError, author_of
from mailbox_appliance.smtp.limits import Limits
from mailbox_appliance.wire.dropped import Dropped

ROOT = 0
DAY = 86_400


@dataclass(frozen=True, slots=True)
class DropSettings:
    """``trusted`` users may write as anybody of ours and without a daily limit; root and our own user may anyway.

    ``outside_a_day``: recipients elsewhere for each other user. Times in seconds.
    """

    folder: str
    spool: str
    hostname: str
    limits: Limits
    mode: int
    trusted: frozenset[str] = frozenset()
    outside_a_day: int = 200
    every: float = 2.0
    again: float = 60.0  # after a 4xx


@dataclass(frozen=True, slots=True)
class Author:
    """Who left the message: a user of this machine, and the reverse path that is that user's (None: the null one)."""

    uid: int
    user: str
    trusted: bool
    sender: Address | None


class LocalMail:
    """``is_user`` knows the names of this machine's users."""

    def __init__(
        self,
        settings: DropSettings,
        directory: Directory,
        signing: Signing | None,
        is_user: Callable[[str], bool],
    ) -> None:
        self.settings = settings
        self._directory = directory
        self._signing = signing
        self._is_user = is_user
        self._outside: dict[int, tuple[int, int]] = {}  # uid: (day, recipients)

    async def author(self, dropped: Dropped, uid: int, user: str) -> Author:
        """Whom to take the message for."""
        trusted = uid in (ROOT, os.geteuid()) or user in self.settings.trusted
        return Author(uid, user, trusted, await self._sender(dropped, user, trusted))

    def is_ours(self, address: Address) -> bool:
        """Is the domain ours?"""
        return address.domain in self._directory.domains()

    def home(self) -> str:
        """The domain of bare names: the host's own, or its parent's, or the first of ours."""
        domains = self._directory.domains()
        hostname = self.settings.hostname
        for domain in (hostname, hostname.partition(".")[2]):
            if domain in domains:
                return domain
        return min(domains, default="")

    async def _sender(self, dropped: Dropped, user: str, trusted: bool) -> Address | None:
        """The reverse path: as named, when that is the user's right; else the user's own address, or the owner's."""
        if dropped.sender == "":
            return None
        home = self.home()
        if dropped.sender is not None:
            with contextlib.suppress(AddressError):
                named = Address.parse(dropped.sender if "@" in dropped.sender else f"{dropped.sender}@{home}")
                if trusted or named.local.lower() == user.lower():
                    if isinstance(await self._directory.resolve(named), Known):
                        return named
        return await self._own(user)

    async def _own(self, user: str) -> Address | None:
        home = self.home()
        with contextlib.suppress(AddressError):
            own = Address.of(user.lower(), home)
            if isinstance(await self._directory.resolve(own), Known):
                return own
        return await self._directory.owner(home)

    async def recipient(self, text: str) -> Address | None:
        """Bare names are ours; those of the machine's own users, whom nobody has as an address, are the owner's."""
        local, at, domain = text.rpartition("@") if "@" in text else (text, "", "")
        if at and not domain:
            return None
        home = self.home()
        try:
            if domain and domain.lower() != self.settings.hostname.lower():
                return Address.parse(text)
            address = Address.of(local, home)
        except AddressError:
            return None
        if isinstance(await self._directory.resolve(address), Known):
            return address
        return await self._directory.owner(home) if self._is_user(local) else address

    def within_limit(self, author: Author, paths: tuple[Address, ...], now: float) -> bool:
        if author.trusted:
            return True
        outside = sum(path.domain not in self._directory.domains() for path in paths)
        today = int(now // DAY)
        day, spent = self._outside.get(author.uid, (today, 0))
        spent = outside + (spent if day == today else 0)
        if outside and spent > self.settings.outside_a_day:
            return False
        if len(self._outside) > 1000:
            self._outside.clear()
        self._outside[author.uid] = (today, spent)
        return True

    async def finished(
        self, trace: str, now: float, left_by: Author, name: str, content: Content
    ) -> tuple[Content, str] | Reply:
        """The message as it leaves, and its Message-ID; or why it may not."""
        settings = self.settings
        facts = fields.read_facts(content.header)
        if facts.received > settings.limits.received_fields:
            return Reply(554, "5.4.6", "it goes round in circles")
        if facts.suspicious:
            header = fields.strip_border_fields(content.header, settings.hostname, submission=True)
            lines = content.lines - (content.header.count(b"\n") - header.count(b"\n"))
            content = Content(header, content.body, lines)
        date = fields.date_field(now).decode("ascii").removeprefix("Date: ")
        top = f"Received: by {settings.hostname} (from userid {left_by.uid})\n\tid {trace}; {date}".encode()
        author = left_by.sender or await self._own(left_by.user)
        if facts.authors:
            try:
                author = author_of(facts.authors)
            except AuthorError as error:
                return Reply(550, "5.6.0", str(error))
            ours = author.domain in self._directory.domains()
            if ours and not left_by.trusted and author.local.lower() != left_by.user.lower():
                reason = f"{left_by.user} may not write as {author}: [sendmail] trusted names who may"
                return Reply(550, "5.7.1", reason)
        elif author is not None:
            top += _from_field(author, name)
        if not facts.has_date:
            top += fields.date_field(now)
        message_id = facts.message_id
        if not message_id:
            added, message_id = fields.message_id_field(trace, settings.hostname)
            top += added
        content = content.with_prefix(top)
        if self._signing is not None and author is not None and author.domain in self._directory.domains():
            content = content.with_prefix(await self._signing.sign(content, author.domain))
        return content, message_id


def _from_field(author: Address, name: str) -> bytes:
    if not name:
        return f"From: {author}\n".encode()
    if name.isascii():
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'From: "{escaped}" <{author}>\n'.encode()
    return f"From: {Header(name, 'utf-8').encode(maxlinelen=70, linesep=chr(10))}\n <{author}>\n".encode()
