"""Report files out of a message, unpacked within bounds (RFC 7489 §7.2.1.1: gzip, in practice zip too).

A few kilobytes can unpack to gigabytes: nothing here grows beyond ``MOST_UNPACKED`` octets. Runs in a worker.
"""

from __future__ import annotations

import binascii
import io
import lzma
import quopri
import zipfile
import zlib

from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.mime_scan import scan
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.reports.values import ReportWrong

MOST_MAIL = 4 << 20
MOST_UNPACKED = 8 << 20
MOST_ZIP = 1 << 20
MOST_FILES = 5
MOST_PARTS = 50
_XML, _JSON, _ARF = "xml", "json", "arf"


@dataclass(frozen=True, slots=True)
class Paper:
    """One file: ``kind`` is xml, json or arf; of an arf report ``about`` is the header of the message it speaks of."""

    kind: str
    octets: bytes
    about: bytes = b""


def papers_of(message: bytes) -> tuple[Paper, ...]:
    """All that may be a report in ``message`` (LF line ends). Raises ReportWrong."""
    if len(message) > MOST_MAIL:
        raise ReportWrong(f"the message has more than {MOST_MAIL >> 20} MB")
    found: list[Paper] = []
    parts = _leaves(scan(message))
    for number, part in enumerate(parts):
        kind = f"{part.type}/{part.subtype}"
        if kind == "message/feedback-report":
            following = parts[number + 1] if number + 1 < len(parts) else None
            about = b"" if following is None else _decoded(message, following)[:65536]
            found.append(Paper(_ARF, _decoded(message, part)[:65536], about))
        elif part.type in ("application", "text") and kind not in ("text/plain", "text/html"):
            found += _unpacked(_decoded(message, part))
        if len(found) >= MOST_FILES:
            break
    return tuple(found[:MOST_FILES])


def _leaves(root: Part) -> list[Part]:
    """In order; what is inside an enclosed message is nobody's report."""
    found: list[Part] = []
    waiting = [root]
    while waiting and len(found) < MOST_PARTS:
        part = waiting.pop()
        if part.type == "multipart":
            waiting += reversed(part.children)
        else:
            found.append(part)
    return found


def _decoded(message: bytes, part: Part) -> bytes:
    octets = message[part.body : part.end]
    try:
        if part.encoding == "base64":
            return binascii.a2b_base64(octets)
    except binascii.Error as error:
        raise ReportWrong(f"its base64 is broken: {error}") from None
    return quopri.decodestring(octets) if part.encoding == "quoted-printable" else octets


def _unpacked(octets: bytes) -> list[Paper]:
    """By what it is, not by what it is called: half of the world's reports bear a wrong type."""
    if octets.startswith(b"\x1f\x8b"):
        return _plain(_gunzip(octets))
    if octets.startswith(b"PK\x03\x04"):
        return _unzip(octets)
    return _plain(octets)


def _plain(octets: bytes) -> list[Paper]:
    head = octets[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<") or octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return [Paper(_XML, octets)]
    return [Paper(_JSON, octets)] if head.startswith(b"{") else []


def _gunzip(octets: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        unpacked = stream.decompress(octets, MOST_UNPACKED + 1)
    except zlib.error as error:
        raise ReportWrong(f"its gzip is broken: {error}") from None
    if len(unpacked) > MOST_UNPACKED:
        raise ReportWrong(f"it unpacks to more than {MOST_UNPACKED >> 20} MB")
    if not stream.eof:
        raise ReportWrong("its gzip is cut off")
    return unpacked


def _unzip(octets: bytes) -> list[Paper]:
    if len(octets) > MOST_ZIP:
        raise ReportWrong(f"its zip file has more than {MOST_ZIP >> 20} MB")
    found: list[Paper] = []
    left = MOST_UNPACKED
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            for info in archive.infolist()[:MOST_FILES]:
                # The other methods unpack without a bound (and nobody sends reports with them).
                if info.filename.endswith("/") or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    continue
                with archive.open(info) as file:
                    unpacked = file.read(left + 1)
                if len(unpacked) > left:
                    raise ReportWrong(f"it unpacks to more than {MOST_UNPACKED >> 20} MB")
                left -= len(unpacked)
                found += _plain(unpacked)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ReportWrong(f"its zip file is broken: {error}"[:200]) from None
    except (zlib.error, lzma.LZMAError, OverflowError) as error:
        raise ReportWrong(f"its zip file is broken: {error}"[:200]) from None
    return found
