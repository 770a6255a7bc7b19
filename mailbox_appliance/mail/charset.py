"""Octets into text: charsets by their mail names, RFC 2047 words, RFC 2231 values. Nothing here raises or imports more.

A charset name comes from a stranger. It is looked for in Python's own table of aliases only, so that hostile names
neither import modules nor fill caches; unknown ones are read as UTF-8 where that fits, else as Windows-1252.
"""

from __future__ import annotations

import binascii
import codecs
import functools
import re
from collections.abc import Iterable
from encodings.aliases import aliases

# Codecs that are no charsets, or whose decoding is not linear.
_NOT_CHARSETS = frozenset(
    "base64_codec bz2_codec hex_codec quopri_codec rot_13 uu_codec zlib_codec idna punycode mbcs oem undefined "
    "raw_unicode_escape unicode_escape unicode_internal string_escape".split()
)
# What is meant where a name is used too narrowly (WHATWG Encoding §4.2) or is unknown to Python.
_MEANT = {
    "iso8859_1": "cp1252",
    "latin_1": "cp1252",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x_gbk": "gb18030",
    "shift_jis": "cp932",
    "x_sjis": "cp932",
    "sjis": "cp932",
    "euc_kr": "cp949",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "windows_874": "cp874",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "utf8mb4": "utf_8",
    "x_utf_8": "utf_8",
    "unicode_1_1_utf_7": "utf_7",
    "cp_850": "cp850",
    "x_mac_roman": "mac_roman",
    "macintosh": "mac_roman",
    "x_mac_cyrillic": "mac_cyrillic",
    "ks_c_5601_1987": "cp949",
    "big5": "big5hkscs",
    "x_big5": "big5hkscs",
}
_KNOWN = (frozenset(aliases.values()) | {"utf_8_sig", "koi8_u", "koi8_r", "cp1252", "latin_1"}) - _NOT_CHARSETS
_NOT_A_LETTER = re.compile(r"[^a-z0-9]+")


@functools.lru_cache(maxsize=256)
def codec_of(charset: str) -> str | None:
    """Python's codec for a charset name as written in mail; None when unknown."""
    if len(charset) > 64:
        return None
    name = _NOT_A_LETTER.sub("_", charset.strip().lower()).strip("_")
    if name in _MEANT:
        return _MEANT[name]
    found = aliases.get(name) or (name if name in _KNOWN else aliases.get(name.replace("_", "")))
    if found is None and name.startswith("x_"):
        found = aliases.get(name[2:])
    if found is None or found in _NOT_CHARSETS:
        return None
    return _MEANT.get(found, found)


def decode(octets: bytes, charset: str = "") -> str:
    """The text of ``octets``; what does not decode becomes U+FFFD. Plain ASCII is quick whatever the charset."""
    codec = codec_of(charset) if charset else None
    if codec is None:
        return decode_unknown(octets)
    if codec == "cp1252":
        # ASCII or Latin-1 was promised; UTF-8 is what such a promise is most often broken with.
        return octets.decode("ascii") if octets.isascii() else _western(octets)
    try:
        return octets.decode(codec, "replace")
    except (UnicodeError, LookupError):
        return decode_unknown(octets)


def decode_unknown(octets: bytes) -> str:
    """Text without a known charset: UTF-8 when it is, else Windows-1252."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return _western(octets)


def _western(octets: bytes) -> str:
    try:
        return octets.decode("cp1252")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


class SlicedText:
    """Decodes a text that comes in slices; ``take(octets, last)`` gives text as :func:`decode` would."""

    def __init__(self, charset: str) -> None:
        codec = codec_of(charset) if charset else None
        self._decoder = codecs.getincrementaldecoder(codec or "utf-8")("replace")

    def take(self, octets: bytes, *, last: bool = False) -> str:
        """Never raises."""
        try:
            return self._decoder.decode(octets, last)
        except UnicodeError:
            self._decoder.reset()
            return octets.decode("latin-1")


# ---- RFC 2047 encoded words

LARGEST_FIELD = 1 << 18  # octets of a field with encoded words that are read

_WORD = re.compile(rb"=\?([^?\s]{1,75})\?([BbQq])\?([^?\n]*)\?=")
_BETWEEN = re.compile(rb"(\?=)[ \t\r\n]+(?==\?[^?\s]{1,75}\?[BbQq]\?)")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")


def decode_words(value: bytes) -> str:
    """An unfolded field value as people read it (RFC 2047 §6); words that are broken stay as they are."""
    if b"=?" not in value:
        return value.decode("ascii") if value.isascii() else decode_unknown(value)
    value = _BETWEEN.sub(rb"\1", value[:LARGEST_FIELD])
    pieces: list[tuple[str, bytes]] = []  # charset ("" = none was said), octets
    at = 0
    for match in _WORD.finditer(value):
        octets = _word_octets(match[2], match[3])
        if octets is None:
            continue
        if match.start() > at:
            pieces.append(("", value[at : match.start()]))
        charset = match[1].partition(b"*")[0].decode("latin-1")  # RFC 2231 §5: "utf-8*en"
        if pieces and pieces[-1][0] == charset:
            # A character may be torn between two words of one charset: against the RFC, and common.
            pieces[-1] = (charset, pieces[-1][1] + octets) if len(pieces[-1][1]) < 4096 else pieces[-1]
            if len(pieces[-1][1]) >= 4096:
                pieces.append((charset, b""))
        else:
            pieces.append((charset, octets))
        at = match.end()
    if at < len(value):
        pieces.append(("", value[at:]))
    return "".join(decode(octets, charset) for charset, octets in pieces)


def _word_octets(coding: bytes, text: bytes) -> bytes | None:
    if coding in b"Qq":
        return _unquote(text.replace(b"_", b" "), _HEX)
    try:
        return binascii.a2b_base64(text + b"==")
    except binascii.Error:
        return None


def _unquote(text: bytes, pattern: re.Pattern[bytes]) -> bytes:
    return pattern.sub(lambda match: bytes((int(match[1], 16),)), text)


# ---- RFC 2231 parameter values

_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


def decode_extended(value: str) -> str:
    """``charset'language'percent-encoded`` (RFC 2231 §4) as text; language is dropped."""
    charset, mark, rest = value.partition("'")
    if not mark:
        charset, rest = "", value
    else:
        rest = rest.partition("'")[2] if "'" in rest else rest
    return decode(_unquote(rest.encode("utf-8", "surrogateescape"), _PERCENT), charset)


def parameter_text(parameters: Iterable[tuple[str, str]], name: str) -> str | None:
    """The parameter ``name`` (lower case) as people read it: ``name*`` (RFC 2231) before ``name``; RFC 2047 words
    inside a plain value are against the RFC, common, and decoded. None when it is not there."""
    plain = None
    for key, value in parameters:
        if key == name + "*":
            return decode_extended(value)
        if key == name and plain is None:
            plain = decode_words(value.encode("utf-8", "surrogateescape"))
    return plain
