"""Mail to a member that came back: does a message say that he cannot be reached? (RFC 3464, and what others write)"""

from __future__ import annotations

import re

from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.message import Content

_ACTION = re.compile(rb"(?im)^action[ \t]*:[ \t]*([a-z]+)")
_RECIPIENT = re.compile(rb"(?im)^(?:original|final)-recipient[ \t]*:[ \t]*[a-z0-9-]+[ \t]*;[ \t]*<?([^\s<>;]{3,320})>?")
_DAEMONS = re.compile(rb"mailer-?daemon@|postmaster@", re.IGNORECASE)
LOOKED_AT = 65_536  # octets of the body


def has_failed(content: Content) -> bool:
    """A delay is no failure, nor is somebody's vacation."""
    body = content.body[:LOOKED_AT] if isinstance(content.body, bytes) else b""
    actions = {found.lower() for found in _ACTION.findall(body)}
    kind = (header_block.first(content.header, "content-type") or b"").lower()
    if kind.startswith(b"multipart/report") and b"delivery-status" in kind:
        return b"failed" in actions or (not actions and isinstance(content.body, bytes) is False)
    if header_block.count(content.header, "auto-submitted"):
        automatic = (header_block.first(content.header, "auto-submitted") or b"").lower()
        if automatic.startswith((b"auto-replied", b"auto-generated")) and not _is_daemon(content.header):
            return False
    return _is_daemon(content.header) and not (actions and b"failed" not in actions)


def whom(content: Content) -> list[Address]:
    """The recipients that the report names."""
    body = content.body[:LOOKED_AT] if isinstance(content.body, bytes) else b""
    found = []
    for octets in _RECIPIENT.findall(body)[:100]:
        try:
            found.append(Address.parse(octets.decode("utf-8")))
        except (AddressError, UnicodeDecodeError):
            continue
    return found


def _is_daemon(header: bytes) -> bool:
    return any(_DAEMONS.search(value) for value in header_block.every(header, "from"))
