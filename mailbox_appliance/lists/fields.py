"""What a list writes on top of a post: RFC 2369, RFC 2919 (List-Id), RFC 8058 (one click); From where DMARC needs it.

From is the author's as long as his domain lets it be. Where the domain publishes quarantine or reject, the list writes
in his name ("Ann via Family") and Reply-To keeps his address. Values are addresses and one-line texts only.
"""

from __future__ import annotations

from email.header import Header

from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.letter import encoded_field, one_line
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.lists import MailingList

# What only the list may say, and what would betray readers to the author.
REMOVED = frozenset(
    "precedence errors-to return-receipt-to disposition-notification-to x-confirm-reading-to x-pmrqc".split()
)
MOST_SUBJECT = 500


def list_id(one: MailingList) -> str:
    """RFC 2919 §3: the list's name as a domain name."""
    return f"{one.address.local}.{one.address.domain}"


def is_ours(header: bytes, one: MailingList) -> bool:
    """Has this list sent the message before?"""
    wanted = f"<{list_id(one)}>".encode("ascii", "replace").lower()
    return any(wanted in value.lower() for value in header_block.every(header, "list-id"))


def phrase(text: str) -> str:
    """A display name as it may stand before an address (RFC 5322 §3.2.5, RFC 2047)."""
    text = one_line(text)[:100]
    if text.isascii():
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Header(text, "utf-8", maxlinelen=70).encode(linesep="\n")


def author_of(header: bytes) -> tuple[Address, str] | None:
    """The address in From and its display name; the border has made sure that there is one."""
    for mailbox in header_block.from_addresses(header):
        if mailbox.is_whole and mailbox.local is not None and mailbox.domain is not None:
            try:
                address = Address.of(mailbox.local.decode("utf-8"), mailbox.domain.decode("utf-8"))
            except (ValueError, UnicodeDecodeError):
                return None
            return address, one_line(decode_words(mailbox.name or b""))
    return None


def dressed(one: MailingList, content: Content, author: Address, name: str, *, rewrite: bool) -> Content:
    """The post as all members get it: the list's fields on top, From and Subject changed where that is wanted."""
    removed = set(REMOVED)
    on_top = []
    if rewrite:
        removed |= {"from", "sender", "dkim-signature"}  # a signature over another From would only count against us
        shown = name or author.local
        on_top.append(f"From: {phrase(f'{shown} via {one.title}')}\n <{one.address}>\n")
        if not header_block.count(content.header, "reply-to"):
            on_top.append(f"Reply-To: {phrase(name)} <{author}>\n" if name else f"Reply-To: {author}\n")
    if one.tag:
        subject = one_line(decode_words(header_block.first(content.header, "subject") or b""))[:MOST_SUBJECT]
        if one.tag.lower() not in subject.lower():
            removed |= {"subject", "dkim-signature"}
            on_top.append(encoded_field("Subject", f"{one.tag} {subject}".strip()))
    header = header_block.remove_fields(
        content.header, lambda field, value: field in removed or field.startswith("list-")
    )
    lines = content.lines - (content.header.count(b"\n") - header.count(b"\n"))
    top = _list_fields(one) + "".join(on_top)
    return Content(header, content.body, lines).with_prefix(top.encode("utf-8", "replace"))


def _list_fields(one: MailingList) -> str:
    post = "NO" if one.posting == "moderators" else f"<mailto:{one.address}>"
    return (
        f"List-Id: {phrase(one.title)} <{list_id(one)}>\n"
        f"List-Post: {post}\n"
        f"List-Help: <mailto:{one.part('request')}?subject=help>\n"
        f"List-Subscribe: <mailto:{one.part('subscribe')}>\n"
        f"List-Owner: <mailto:{one.part('owner')}>\n"
        "Precedence: list\n"
    )


def leaving(one: MailingList, token: str, base: str) -> bytes:
    """List-Unsubscribe: one member's with a ``token``; by one click where ``base`` is a page."""
    mailto = f"<mailto:{one.part('unsubscribe', token)}>"
    if not token or not base:
        return f"List-Unsubscribe: {mailto}\n".encode()
    link = f"<{base}{list_id(one)}/{token}>"
    return f"List-Unsubscribe: {link},\n {mailto}\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n".encode()
