"""What our own Authentication-Results on top of a kept message says, as small words ("spf pass"; RFC 8601 §2.2)."""

from __future__ import annotations

import re

from mailbox_appliance.mail.header import header_end, unfold

_FIELD = re.compile(rb"^authentication-results[ \t]*:((?:.*\n[ \t])*.*)", re.IGNORECASE | re.MULTILINE)
_RESULT = re.compile(rb"(?:^|;)\s*(spf|dkim|dmarc|arc|iprev)\s*=\s*([a-z]{2,12})", re.IGNORECASE)
_PASSED = re.compile(
    rb";\s*(?:dmarc=pass\b[^;]*\bheader\.from=|dkim=pass\b[^;]*\bheader\.d=|spf=pass\b[^;]*\bsmtp\.mailfrom=(?:[^\s;]*@)?)"
    rb"\"?([a-z0-9._-]{1,255})",
    re.IGNORECASE,
)
_PIECE = re.compile(rb'\\.|[()"]|[^\\()"]+|\\', re.DOTALL)
_ENDS = re.compile(rb"[;\s]")
_TOP = 16_384  # octets: ours stands above what the sender wrote


def without_comments(value: bytes) -> bytes:
    """A field's value without comments, nested ones neither (RFC 5322 §3.2.2), so that ``;`` divides it.

    In quoted strings (§3.2.4) pairs are undone, ``;`` and blanks become ``_``: what a sender put there says nothing.
    """
    kept: list[bytes] = []
    depth, quoted = 0, False
    for piece in _PIECE.findall(value):
        if depth:
            depth += (piece == b"(") - (piece == b")")
        elif piece == b'"':
            quoted = not quoted
            kept.append(piece)
        elif quoted:
            kept.append(_ENDS.sub(b"_", piece[1:] if piece[:1] == b"\\" else piece))
        elif piece == b"(":
            depth = 1
            kept.append(b" ")
        else:
            kept.append(piece)
    return b"".join(kept)


def seen_senders(octets: bytes, authserv_id: str) -> tuple[frozenset[str], str]:
    """The domains that passed (DMARC, DKIM, SPF of MAIL FROM), and the peer's address ("" for none), as our own field
    says."""
    value = _ours(octets, authserv_id)
    address = re.search(rb"\bpolicy\.iprev=\"?([0-9A-Fa-f.:]{2,45})", value)
    return (
        frozenset(found.decode("ascii", "replace").lower() for found in _PASSED.findall(value)),
        address[1].decode("ascii") if address is not None else "",
    )


def _ours(octets: bytes, authserv_id: str) -> bytes:
    """The value of our own field without its comments, b"" when it is not there."""
    head = octets[: min(header_end(octets), _TOP)].replace(b"\r\n", b"\n")
    ours = authserv_id.encode("ascii", "replace").lower()
    for match in _FIELD.finditer(head):
        value = without_comments(unfold(match[1])).strip()
        if value.partition(b";")[0].strip().lower().split(b" ")[:1] == [ours]:
            return value
    return b""


def seen_words(octets: bytes, authserv_id: str) -> tuple[str, ...]:
    """Each method with its result, once; () where no field of ``authserv_id`` is there.

    Fields that claim to be ours are taken out at the border, so this one is.
    """
    rest = _ours(octets, authserv_id).partition(b";")[2]
    found = {b"%b %b" % pair for pair in _RESULT.findall(b";" + rest)}
    return tuple(sorted(one.decode("ascii").lower() for one in found))
