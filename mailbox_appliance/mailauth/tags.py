"""Tag lists ``a=b; c=d``: the language of DKIM, ARC and DMARC (RFC 6376 §3.2)."""

from __future__ import annotations

import re

MOST_TAGS = 100
LIST_OCTETS = 32_768
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BLANKS = re.compile(r"[ \t\r\n]+")


class TagError(ValueError):
    """The list breaks the grammar; str() says where."""


def read_tags(octets: bytes) -> dict[str, str]:
    """The tags in order. Names keep their case. Raises TagError."""
    if len(octets) > LIST_OCTETS:
        raise TagError("the list is too long")
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise TagError("the list holds octets that are no text") from None
    tags: dict[str, str] = {}
    specs = text.split(";", MOST_TAGS)
    if not specs[-1].strip(" \t\r\n"):
        specs.pop()  # one final semicolon is allowed
    if len(specs) > MOST_TAGS:
        raise TagError("the list has too many tags")
    for spec in specs:
        name, equals, value = spec.partition("=")
        name = name.strip(" \t\r\n")
        if not equals or not _NAME.fullmatch(name):
            raise TagError(f"{spec.strip()[:40]!r} is no tag")
        if name in tags:
            raise TagError(f"the tag {name}= stands twice")
        tags[name] = value.strip(" \t\r\n")
    return tags


def without_blanks(text: str) -> str:
    """Folding white space taken out, as of base64 values."""
    return _BLANKS.sub("", text)
