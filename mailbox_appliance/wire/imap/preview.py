"""PREVIEW: the beginning of a message's text, on one line (RFC 8970 §3)."""

from __future__ import annotations

from mailbox_appliance.mail.header import Octets
from mailbox_appliance.mail.mime_scan import Node
from mailbox_appliance.mail.text import beginning_of, first_text

PREVIEW_CHARACTERS = 200


def preview_of(root: Node, octets: Octets) -> bytes:
    """UTF-8, at most PREVIEW_CHARACTERS; b"" for a message without text. ``root``: the parts found in ``octets``."""
    text = first_text(root)
    if not isinstance(text, Node):
        return b""
    return beginning_of(text, octets, text.body_at, text.end_at, PREVIEW_CHARACTERS).encode("utf-8", "replace")
