"""Files that do harm: by what their first octets are, whatever name and type they give themselves.

=========== ============================================================================================
disguised   a program that calls itself something else, or two endings, or a name that turns its direction
program     something the reader's machine would run when it is opened, also within an archive
image       a disk image: opened like a folder, and what lies in it comes without the mark of the net
macros      an office file that brings a program along
smuggling   a web page that makes a file out of itself when it is opened
login       a web page, or a picture with a program, that asks for a password or leads elsewhere by itself
locked open an archive whose password stands in the letter: the key is for the reader, the lock for whoever looks
locked      an archive with a password: nobody can look into it on the way
nested      archives within archives within archives
page        a web page as a file: the usual false log-in form
=========== ============================================================================================

Archives are read without unpacking them: the names in a ZIP's headers, and the first octets of a few members.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence

from mailbox_appliance.checks.inside import Attached
from mailbox_appliance.checks.readable import names_a_key
from mailbox_appliance.mail.lookalike import turns_direction
from mailbox_appliance.mail.verdict import Evidence

MOST_MEMBERS = 200  # of an archive that are looked at
MOST_UNPACKED = 8  # of those, whose first octets are unpacked
UNPACKED = 4096  # octets of each
DEEPEST = 3  # archives within archives

# What runs when it is opened, on some system that people have.
_RUNS = frozenset(
    "exe com scr pif bat cmd vbs vbe js jse wsf wsh hta lnk msi msp ps1 psm1 cpl jar reg scf url inf appx msix "
    "application gadget chm xll dll sh run command workflow action terminal apk desktop".split()
)
_IMAGES = frozenset("iso img vhd vhdx dmg udf".split())
_ARCHIVES = frozenset("zip rar 7z gz bz2 xz tar tgz cab ace arj lzh z".split())
_PAGES = frozenset("html htm xhtml shtml mht mhtml svg".split())
_DOCUMENTS = frozenset(
    "pdf doc docx xls xlsx ppt pptx txt rtf jpg jpeg png gif mp3 mp4 avi csv odt ods odp htm html eml".split()
)
_WITH_MACROS = frozenset("one onepkg docm dotm xlsm xltm xlsb xlam pptm potm ppsm ppam sldm".split())
_ORDER = (
    "disguised", "program", "smuggling", "login", "locked open", "macros", "image", "nested", "locked", "page"
)  # fmt: skip

# First octets: what it is.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"MZ", "program"),
    (b"\x7fELF", "program"),
    (b"\xcf\xfa\xed\xfe", "program"),
    (b"\xce\xfa\xed\xfe", "program"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "program"),  # Windows shortcut
    (b"#!", "script"),
    (b"PK\x03\x04", "zip"),
    (b"PK00PK\x03\x04", "zip"),
    (b"Rar!\x1a\x07", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"MSCF", "archive"),
    (b"\x1f\x8b", "archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"conectix", "image"),
    (b"vhdxfile", "image"),
)
_ISO_AT = 0x8001
_VBA = (b"_\x00V\x00B\x00A\x00_\x00P\x00R\x00O\x00J", b"M\x00a\x00c\x00r\x00o\x00s\x00", b"_VBA_PROJECT")
_INSTALLER = b"\x84\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"  # MSI, as its root says
_SMUGGLES = re.compile(
    rb"createobjecturl|mssaveoropenblob|new blob\s*\(|\batob\s*\(|fromcharcode|unescape\s*\(|\beval\s*\("
)
_ASKS = re.compile(
    rb"<input\b[^>]{0,400}type\s*=\s*[\"']?password\b|http-equiv\s*=\s*[\"']?refresh|\blocation\s*(?:\.(?:href|replace|assign))?\s*[=(]"
)
_ENDING = re.compile(r"\.([A-Za-z0-9]{1,12})[ .]*$")
_TRAILING = re.compile(r"[ .\u00a0\u200b]+$")
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f]")

Found = tuple[str, str]  # result, what was seen


def check_attachments(files: Sequence[Attached], text: str = "") -> list[Evidence]:
    """The worst of it, so that many small files are not many points. ``text`` is what is seen of the letter."""
    found: list[tuple[int, str, str]] = []
    for file in files:
        for result, reason in judge_file(file.name, file.type, file.head, file.is_whole):
            if result == "locked" and names_a_key(text):
                result, reason = "locked open", f"{reason}, which stands in the letter"
            found.append((_ORDER.index(result), result, f"{_shown(file.name)}: {reason}"))
    if not found:
        return []
    _, result, reason = min(found)
    return [Evidence("attachment", result, reason=reason[:250], remedy="the file without what makes it dangerous")]


def judge_file(name: str, said: str, head: bytes, is_whole: bool = True, depth: int = 0) -> Iterator[Found]:
    """Everything that is wrong with one file."""
    kind = kind_of(head)
    ending = ending_of(name)
    runs = kind == "program" or ending in _RUNS or said in ("application/x-msdownload", "application/hta")
    if turns_direction(name):
        yield "disguised", "its name is shown in another order than it stands"
    elif kind == "program" and ending and ending not in _RUNS | {"bin", "ocx", "sys", "so", "o"}:
        yield "disguised", f"a program that calls itself .{ending}"
    elif runs and _has_two_endings(name):
        yield "disguised", "a program with a document's ending before its own"
    if runs:
        yield "program", "it is a program"
    if kind == "image" or ending in _IMAGES:
        yield "image", "it is a disk image"
    if ending in _WITH_MACROS:
        yield "macros", f"a .{ending} brings a program along"
    if kind == "ole":
        if _INSTALLER in head[:8192]:
            yield "program", "it installs a program"
        elif any(sign in head for sign in _VBA):
            yield "macros", "an office file that brings a program along"
    if ending in _PAGES or (said == "text/html" and not ending):
        yield from _judge_page(head)
    if kind == "zip":
        yield from _judge_zip(head, depth)
    elif kind == "rar":
        yield from _judge_rar(head)


def _judge_page(head: bytes) -> Iterator[Found]:
    low = head.lower()
    if _SMUGGLES.search(low) is not None and b"<script" in low:
        yield "smuggling", "a web page that makes a file out of itself"
    elif (b"<svg" in low[:4096] and (b"<script" in low or b"foreignobject" in low)) or _ASKS.search(low) is not None:
        yield "login", "a page that asks for a password, or leads elsewhere by itself"
    else:
        yield "page", "a web page as a file"


def kind_of(head: bytes) -> str:
    """What the first octets say it is; "" when nothing that matters here."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[_ISO_AT : _ISO_AT + 5] in (b"CD001", b"BEA01", b"NSR02", b"NSR03"):
        return "image"
    return ""


def ending_of(name: str) -> str:
    """In lower case, as the reader's machine sees it: without blanks and dots behind."""
    match = _ENDING.search(_TRAILING.sub("", name))
    return match[1].lower() if match is not None else ""


def _has_two_endings(name: str) -> bool:
    stem = _TRAILING.sub("", name).rpartition(".")[0]
    return ending_of(stem) in _DOCUMENTS or "   " in stem


def _members(head: bytes) -> Iterator[tuple[str, int, int, bytes]]:
    """Name, flags, method and packed octets of each member whose header is there (APPNOTE 4.3.7, 4.3.12)."""
    at = head.find(b"PK\x03\x04")
    for _ in range(MOST_MEMBERS):
        if at < 0 or at + 30 > len(head):
            break
        flags = int.from_bytes(head[at + 6 : at + 8], "little")
        method = int.from_bytes(head[at + 8 : at + 10], "little")
        length = int.from_bytes(head[at + 26 : at + 28], "little")
        extra = int.from_bytes(head[at + 28 : at + 30], "little")
        begin = at + 30 + length + extra
        yield _text(head[at + 30 : at + 30 + min(length, 512)]), flags, method, head[begin : begin + 2 * UNPACKED]
        at = head.find(b"PK\x03\x04", max(at + 30 + length, at + 4))
    at = head.find(b"PK\x01\x02")
    for _ in range(MOST_MEMBERS):
        if at < 0 or at + 46 > len(head):
            break
        flags = int.from_bytes(head[at + 8 : at + 10], "little")
        length = int.from_bytes(head[at + 28 : at + 30], "little")
        yield _text(head[at + 46 : at + 46 + min(length, 512)]), flags, -1, b""
        at = head.find(b"PK\x01\x02", at + 46)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _judge_zip(head: bytes, depth: int) -> Iterator[Found]:
    names: set[str] = set()
    locked = False
    unpacked = 0
    for name, flags, method, packed in _members(head):
        first = name not in names
        names.add(name)
        is_locked = bool(flags & 1)
        locked = locked or is_locked
        inner = b""
        if packed and not is_locked and unpacked < MOST_UNPACKED and not _is_office(name):
            unpacked += 1
            inner = _unpack(method, packed)
        if not first or name.endswith("/"):
            continue
        if inner.startswith(b"PK") and depth + 1 >= DEEPEST:
            yield "nested", "archives within archives"
            continue
        for result, reason in judge_file(name.rpartition("/")[2], "", inner, False, depth + 1):
            yield result, f"in it {_shown(name)}: {reason}"
    if "[Content_Types].xml" in names:
        if any(name.lower().endswith("vbaproject.bin") for name in names):
            yield "macros", "an office file that brings a program along"
    elif locked:
        yield "locked", "an archive with a password"


def _judge_rar(head: bytes) -> Iterator[Found]:
    """Of RAR only what stands at its beginning: encrypted headers (version 5: header type 4; 4: main flag 0x80)."""
    if head[6:8] == b"\x01\x00":
        if b"\x04" in head[12:15]:
            yield "locked", "an archive with a password"
    elif len(head) > 12 and int.from_bytes(head[10:12], "little") & 0x80:
        yield "locked", "an archive with a password"
    names = re.findall(rb"[\w .()-]{1,80}\.[A-Za-z0-9]{2,4}(?=[\x00-\x1f\x80-\xff])", head[:8192])
    yield from _named_programs(_text(name) for name in names[:MOST_MEMBERS])


def _named_programs(names: Iterable[str]) -> Iterator[Found]:
    for name in names:
        if ending_of(name) in _RUNS:
            yield "program", f"in it {_shown(name)}: it is a program"
            return


def _is_office(name: str) -> bool:
    return name.startswith(("word/", "xl/", "ppt/", "docProps/", "_rels/", "META-INF/")) or name == "mimetype"


def _unpack(method: int, packed: bytes) -> bytes:
    """The first octets of a member; b"" when it cannot be read."""
    if method == 0:
        return packed
    if method != 8:
        return b""
    try:
        return zlib.decompressobj(-15).decompress(packed, UNPACKED)
    except zlib.error:
        return b""


def _shown(name: str) -> str:
    return repr(_UNREADABLE.sub("?", name)[:80]) if name else "a file without a name"
