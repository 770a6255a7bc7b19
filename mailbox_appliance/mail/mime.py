"""The MIME structure of a message as offsets into its octets (RFC 2045, 2046): found by scanning, nothing is copied."""

from __future__ import annotations

from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One body part. Offsets are octets from the start of the message; ``start`` ≤ ``body`` ≤ ``end``.

    ``start`` is the first octet of the part's header, ``body`` the first after the empty line that ends it, ``end``
    one past the last octet of the body (the CRLF before a boundary belongs to the boundary, RFC 2046 §5.1.1).
    ``lines`` counts line ends in the body. A message/rfc822 part has the enclosed message as its only
    child (whose ``start`` is this part's ``body``); a multipart has its parts as children.
    """

    start: int
    body: int
    end: int
    lines: int
    type: str  # lower case, "text"
    subtype: str  # lower case, "plain"
    parameters: tuple[tuple[str, str], ...]
    encoding: str  # Content-Transfer-Encoding, lower case; "7bit" when absent
    content_id: bytes | None
    description: bytes | None
    disposition: tuple[str, tuple[tuple[str, str], ...]] | None
    language: tuple[str, ...]
    location: bytes | None
    md5: bytes | None
    children: tuple[Part, ...]
