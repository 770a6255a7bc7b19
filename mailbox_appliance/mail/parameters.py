"""Structured MIME values: Content-Type, Content-Disposition and their like with parameters (RFC 2045 §5.1, RFC 2183).

Continuations are put together (RFC 2231 §3, which asks it of IMAP servers in §6): ``name*0``, ``name*1`` become one
``name``, or ``name*`` when any of them is charset-encoded; decoding that is mail.charset.parameter_text's. Broken
values give what can be read; nothing raises; parameters are bounded.
"""

from __future__ import annotations

import functools
import re

MOST_PARAMETERS = 200

Parameters = tuple[tuple[str, str], ...]

_TOKEN = rb"[A-Za-z0-9!#$%&'*+\-^_`{|}~.\x80-\xff]"
_TYPE = re.compile(rb"(" + _TOKEN + rb"+)/(" + _TOKEN + rb"+)[ \t\r\n]*(?=;|$)")
_LONE_TOKEN = re.compile(rb"(" + _TOKEN + rb"*)[ \t\r\n]*")
_PLAIN_PARAMETER = re.compile(
    rb";[ \t\r\n]*(" + _TOKEN + rb"+)=(?:(" + _TOKEN + rb"+)|\"([^\"\\\r\n]*)\")[ \t\r\n]*(?=;|$)"
)
_BLANKS = re.compile(rb"[ \t\r\n]*")
_COMMENT_STOP = re.compile(rb"[()\\]")
_QUOTED_STOP = re.compile(rb"[\"\\]")
_FOLD = re.compile(rb"\r?\n")
_RAW_VALUE = re.compile(rb"[^; \t\r\n]*")


def content_type_of(value: bytes) -> tuple[str, str, Parameters]:
    """Type and subtype in lower case, parameters with lower-case names. ("", "", …) when it is no type at all."""
    return _known_type(value) if len(value) <= 160 else _content_type(value)


def _content_type(value: bytes) -> tuple[str, str, Parameters]:
    at, more = _skip(value, 0)
    match = _TYPE.match(value, at) if more else None
    if match is not None:
        type_, subtype, at = match[1], match[2], match.end()
        return _word(type_), _word(subtype), _parameters(value, at)
    # With comments or blanks around the slash.
    type_, at, more = _token(value, at)
    if not more:
        return _word(type_), "", ()  # a lone word: all we know is the type
    if not type_ or value[at : at + 1] != b"/":
        return "", "", ()
    at, more = _skip(value, at + 1)
    if not more:
        return "", "", ()
    subtype, at, more = _token(value, at)
    if not subtype or (more and value[at : at + 1] != b";"):
        return "", "", ()
    return _word(type_), _word(subtype), _parameters(value, at)


_known_type = functools.lru_cache(maxsize=512)(_content_type)


def disposition_of(value: bytes) -> tuple[str, Parameters]:
    """The disposition in lower case (RFC 2183 §2) and its parameters; ("", …) when it is none."""
    at, _ = _skip(value, 0)
    token, at, _ = _token(value, at)
    return _word(token), _parameters(value, at)


def lone_token_of(value: bytes) -> str:
    """A value that is one token, in lower case (Content-Transfer-Encoding); "" when it is anything else."""
    at, more = _skip(value, 0)
    if not more:
        return ""
    token, at, more = _token(value, at)
    return "" if more else _word(token)


def languages_of(value: bytes) -> tuple[str, ...]:
    """The tags of a Content-Language field (RFC 3282 §2)."""
    tags = []
    for piece in value.split(b",", MOST_PARAMETERS)[:MOST_PARAMETERS]:
        at, more = _skip(piece, 0)
        token, _, _ = _token(piece, at) if more else (b"", 0, False)
        if not token:
            break
        tags.append(token.decode("utf-8", "surrogateescape"))
    return tuple(tags)


def _word(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape").lower()


def _skip(value: bytes, at: int) -> tuple[int, bool]:
    """Pass blanks and comments; the new place, and whether something follows."""
    while True:
        at = _BLANKS.match(value, at).end()  # type: ignore[union-attr]
        if value[at : at + 1] != b"(":
            return at, at < len(value)
        level = 0
        while True:
            match = _COMMENT_STOP.search(value, at)
            if match is None:
                return len(value), False
            at = match.end()
            if match[0] == b"\\":
                at += 1
            else:
                level += 1 if match[0] == b"(" else -1
                if level == 0:
                    break


def _token(value: bytes, at: int) -> tuple[bytes, int, bool]:
    match = _LONE_TOKEN.match(value, at)
    assert match is not None  # the pattern matches nothing, too
    at, more = match.end(), match.end() < len(value)
    if value[at : at + 1] == b"(":
        at, more = _skip(value, at)
    return match[1], at, more


def _parameters(value: bytes, at: int) -> Parameters:
    found: list[tuple[str, str]] = []
    continued = False
    end = len(value)
    while at < end and len(found) < MOST_PARAMETERS:
        match = _PLAIN_PARAMETER.match(value, at)
        if match is not None:
            name, token, quoted = match.groups()
            octets = token if token is not None else quoted
            at = match.end()
        else:
            read = _odd_parameter(value, at)
            if isinstance(read, int):
                at = read
                continue
            name, octets, at = read
        continued = continued or b"*" in name
        if b"\0" in octets:
            octets = octets.replace(b"\0", b"\xef\xbf\xbd")
        found.append((_word(name), octets.decode("utf-8", "surrogateescape")))
    return tuple(_joined(found) if continued else found)


def _odd_parameter(value: bytes, at: int) -> tuple[bytes, bytes, int] | int:
    """One parameter that the plain pattern does not know, or the place from which to try again."""
    if value[at : at + 1] != b";":
        semicolon = value.find(b";", at)
        return len(value) if semicolon < 0 else semicolon
    at, more = _skip(value, at + 1)
    if not more:
        return len(value)
    name, after, more = _token(value, at)
    if not more or value[after : after + 1] != b"=":
        return after + 1
    at, more = _skip(value, after + 1)
    sign = value[at : at + 1]
    if not more:
        return name, b"", at
    if sign == b'"':
        quoted = _quoted(value, at + 1)
        return (name, *quoted) if quoted is not None else len(value)
    if sign == b"=":  # name==?utf-8?q?…?= without quotes
        raw = _RAW_VALUE.match(value, at)
        assert raw is not None
        return name, raw[0], raw.end()
    token, at, _ = _token(value, at)
    return name, token, at


def _quoted(value: bytes, at: int) -> tuple[bytes, int] | None:
    pieces: list[bytes] = []
    start = at
    while match := _QUOTED_STOP.search(value, at):
        pieces.append(value[start : match.start()])
        at = match.end()
        if match[0] == b'"':
            return _FOLD.sub(b"", b"".join(pieces)), _skip(value, at)[0]
        start = at
        if value[at : at + 1] in (b"\r", b"\n"):
            pieces.append(b"\\")
        else:
            at += 1
    return None


def _joined(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Continuations put together (RFC 2231 §3); with a number missing they stay as written."""
    plain: list[tuple[str, str]] = []
    sections: dict[str, list[tuple[int, bool, str]]] = {}
    for name, value in found:
        base, star, rest = name.partition("*")
        if not star:
            plain.append((name, value))
            continue
        extended = rest.endswith("*") or not rest
        number = rest.removesuffix("*")
        if number and not (number.isascii() and number.isdigit() and len(number) < 6):
            plain.append((name, value))
        else:
            sections.setdefault(base, []).append((int(number or "0"), extended, value))
    for base in sorted(sections):
        pieces = sorted(sections[base], key=lambda piece: piece[0])
        if [number for number, _, _ in pieces] != list(range(len(pieces))):
            plain += [(f"{base}*{number}{'*' if extended else ''}", value) for number, extended, value in pieces]
            continue
        any_extended = any(extended for _, extended, _ in pieces)
        text = "''" if any_extended and not pieces[0][1] else ""
        for _, extended, value in pieces:
            text += value.replace("%", "%25") if any_extended and not extended else value
        plain.append((base + "*" if any_extended else base, text))
    return plain
