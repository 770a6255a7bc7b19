"""Who a message says it is from: exactly one From field with exactly one address, or a refusal (RFC 5322 §3.6.2).

Readers and checkers disagree about odd From fields, and forgers live on that. So this reader is suspicious: it looks
for everything that anybody might take for an address, and there must be one only. Two harmless habits of real mailers
pass: an unquoted comma in a display name, and a display name that repeats the address.
"""

from __future__ import annotations

import re

from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.header import unfold


class AuthorError(ValueError):
    """No single author; str() says why in words fit for the peer."""


_PLAIN = re.compile(r"(?:[^\x00-\x1f\"()<>@,:;\\\[\]]*<)?([\w!#$%&'*+\-/=?^`{|}~.]+)@([\w\-.]+)(>?)")
_SPECIAL = re.compile(r'["(]')
_QUOTED_END = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)
_COMMENT_STOP = re.compile(r"[()\\]")
_ANGLE = re.compile(r"<([^<>]*)>")
_BETWEEN = re.compile(r"[\s,;:<>]+")
_MARK = "\x1a"  # stands for a quoted string: no field may hold it


def author_of(values: list[bytes]) -> Address:
    """The one address of the one From field. ``values``: the raw values of all From fields. Raises AuthorError."""
    if len(values) != 1:
        raise AuthorError("A message has exactly one From field" if values else "The From field is missing")
    try:
        text = unfold(values[0]).strip().decode("utf-8")
    except UnicodeDecodeError:
        text = unfold(values[0]).strip().decode("latin-1")
    plain = _PLAIN.fullmatch(text)
    if plain is not None and ("<" in text) == bool(plain[3]):
        return _address(plain[1], plain[2])
    return _suspicious(text)


def _suspicious(text: str) -> Address:
    if _MARK in text:
        raise AuthorError("The From field holds control characters")
    quoted: list[str] = []
    skeleton = _without_quotes_and_comments(text, quoted)
    if skeleton is None:
        raise AuthorError("A quoted string or comment in the From field has no end")
    inside = [part.strip() for part in _ANGLE.findall(skeleton)]
    outside = _ANGLE.sub(" ", skeleton)
    if "<" in outside or ">" in outside:
        raise AuthorError("The From field has unbalanced angle brackets")
    found = {part.lower(): part for part in inside}
    found.update((part.lower(), part) for part in _BETWEEN.split(outside) if "@" in part)
    if len(found) != 1 or len(inside) > 1:
        raise AuthorError("The From field must hold exactly one address")
    if not inside and not _stands_apart(outside):
        raise AuthorError("It is not clear where the address in the From field begins and ends")
    (address,) = found.values()
    local, at, domain = address.partition("@")
    if not at or "@" in domain:
        raise AuthorError("The From field holds no valid address")
    if _MARK in domain or (_MARK in local and local != _MARK) or re.search(r"[\s\\]", address):
        raise AuthorError("The address in the From field is malformed")
    if local == _MARK:
        local = _quoted_local(skeleton, quoted)
    return _address(local, domain)


def _stands_apart(outside: str) -> bool:
    """Is a bare address the last word, with no dot around it? ``eve@victim .test`` is eve@victim.test to some."""
    words = [word for word in _BETWEEN.split(outside) if word]
    return "@" in words[-1] and not (len(words) > 1 and words[-2].endswith("."))


def _without_quotes_and_comments(text: str, quoted: list[str]) -> str | None:
    """``text`` with a mark for each quoted string (kept in ``quoted``), a space for each comment; None when unended."""
    pieces: list[str] = []
    at = 0
    while (found := _SPECIAL.search(text, at)) is not None:
        pieces.append(text[at : found.start()])
        if found[0] == '"':
            end = _QUOTED_END.match(text, found.end())
            if end is None:
                return None
            quoted.append(re.sub(r"\\(.)", r"\1", end[0][:-1]))
            pieces.append(_MARK)
            at = end.end()
        else:
            depth, at = 1, found.end()
            while depth:
                stop = _COMMENT_STOP.search(text, at)
                if stop is None:
                    return None
                at = stop.end() + (stop[0] == "\\")
                depth += {"(": 1, ")": -1, "\\": 0}[stop[0]]
            pieces.append(" ")  # a comment parts words: "b.test(c)x" is never "b.testx" (RFC 5322 §3.2.2)
    pieces.append(text[at:])
    return "".join(pieces)


def _quoted_local(skeleton: str, quoted: list[str]) -> str:
    """The quoted string that stands before the ``@``."""
    return quoted[skeleton[: skeleton.index(_MARK + "@")].count(_MARK)]


def _address(local: str, domain: str) -> Address:
    try:
        return Address.of(local, domain)
    except AddressError:
        raise AuthorError("The address in the From field is malformed") from None
