"""One part while the scanner finds it: its place, and what its header says (RFC 2045, 2183, 3282)."""

from __future__ import annotations

from mailbox_appliance.mail.header import Octets, group_fields, header_end, unfold
from mailbox_appliance.mail.parameters import (
    Parameters,
    content_type_of,
    disposition_of,
    languages_of,
    lone_token_of,
)

LONGEST_BOUNDARY = 80
LARGEST_HEADER = 1 << 20  # octets of one part's header that are read for fields


class Node:
    """A part while it is being found; the same names as :class:`Part`, offsets of the octets that were scanned."""

    __slots__ = (
        "at",
        "body",
        "body_at",
        "children",
        "content_id",
        "description",
        "digest",
        "disposition",
        "encoding",
        "end",
        "end_at",
        "fields",
        "is_cut",
        "is_multipart",
        "language",
        "lines",
        "location",
        "md5",
        "parameters",
        "start",
        "subtype",
        "type",
    )

    def __init__(self, start: int) -> None:
        self.start = start
        self.body = start
        self.end = start
        self.lines = 0
        self.at = self.body_at = self.end_at = start
        self.type = "text"
        self.subtype = "plain"
        self.parameters: Parameters = ()
        self.encoding = "7bit"
        self.content_id: bytes | None = None
        self.description: bytes | None = None
        self.disposition: tuple[str, Parameters] | None = None
        self.language: tuple[str, ...] = ()
        self.location: bytes | None = None
        self.md5: bytes | None = None
        self.children: list[Node] = []
        self.fields: dict[bytes, list[bytes]] | None = None
        self.is_multipart = False  # with a boundary to look for
        self.is_cut = False  # the header was ended by a boundary line
        self.digest = False


def boundary_of(node: Node) -> bytes | None:
    for name, value in node.parameters:
        if name == "boundary":
            return value.encode("utf-8", "surrogateescape")[:LONGEST_BOUNDARY]
    return None


def read_header(octets: Octets, node: Node, start: int, limit: int, parent: Node | None) -> None:
    """Read the header at ``start``, which ends at its empty line or at ``limit`` (a boundary line or the end)."""
    end = header_end(octets, start, limit)
    block = octets[start : min(end, start + LARGEST_HEADER)]
    if end == limit < len(octets) and block not in (b"\n", b"\r\n") and not block.endswith((b"\n\n", b"\n\r\n")):
        # A boundary line ends the header, and the line end before it is the boundary's.
        end = max(end - (2 if block.endswith(b"\r\n") else 1), start)
        node.is_cut = True
    node.body = node.end = end
    fields = group_fields(block)
    in_message = parent is None or not parent.is_multipart
    if in_message:
        node.fields = fields
    content_type = fields.get(b"content-type")
    if content_type is not None:
        _take_type(node, content_type[0])
        if node.is_cut:
            node.is_multipart = False  # Dovecot: the boundary line that ended the header is an outer one
    else:
        if parent is not None and parent.digest:  # RFC 2046 §5.1.5
            node.type, node.subtype = "message", "rfc822"
        if in_message and b"mime-version" not in fields:
            return  # not MIME: other Content- fields mean nothing (RFC 2045 §4)
    _take_fields(node, fields)


def _take_type(node: Node, value: bytes) -> None:
    node.type, node.subtype, node.parameters = content_type_of(value)
    if node.type == "multipart":
        node.digest = node.subtype == "digest"
        node.is_multipart = boundary_of(node) is not None


def _take_fields(node: Node, fields: dict[bytes, list[bytes]]) -> None:
    if values := fields.get(b"content-transfer-encoding"):
        node.encoding = lone_token_of(values[0]) or "7bit"
    if values := fields.get(b"content-disposition"):
        for value in values:  # of several the first that has parameters
            disposition, parameters = disposition_of(value)
            if disposition or parameters:
                node.disposition = disposition, parameters
            if parameters:
                break
    if values := fields.get(b"content-id"):
        node.content_id = unfold(values[0])
    if values := fields.get(b"content-description"):
        node.description = unfold(values[0])
    if values := fields.get(b"content-md5"):
        node.md5 = unfold(values[0])
    if values := fields.get(b"content-location"):
        node.location = unfold(values[0])
    if values := fields.get(b"content-language"):
        node.language = languages_of(values[0])
