"""Old mail in mbox files: one file, a tree of them, Thunderbird's folders (``.sbd``), Gmail's archive (Takeout).

Where a message begins is told by a line "From " behind an empty line that has a date in it (RFC 4155 §3.2), unless the
header's Content-Length leads to such a line or to the end of the file (mboxcl, mboxcl2). Bodies lose one ">" before
"From " (mboxo, mboxrd), but for mboxcl2, which quotes nothing. Files are read in lines of bounded length.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from mailbox_appliance.importing import names
from mailbox_appliance.importing.found import Known, OldFolder, OldMessage, SourceTrouble, Unreadable
from mailbox_appliance.importing.labels import placed
from mailbox_appliance.mail.dates import parse_date
from mailbox_appliance.mail.header import every, first
from mailbox_appliance.mail.mailbox import INBOX
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.imap import utf7

LINE = 64 * 1024
HEADER = 256 * 1024
MOST_LEVELS = 16
_FROM = re.compile(
    rb"From (?:.* )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* +\d{1,2},? .*\d{1,2}:\d\d.*|"
    rb"From (?:.* )?\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{2,4} \d{1,2}:\d\d.*",
    re.DOTALL,
)
_QUOTED = re.compile(rb">+From ")
_INTERNAL = re.compile(rb"(?im)^(?:Subject: DON'T DELETE THIS MESSAGE|X-IMAP(?:base)?: \d+)")
STRIP = frozenset(
    (
        b"status", b"x-status", b"x-uid", b"x-keywords", b"x-imap", b"x-imapbase", b"content-length",
        b"x-mozilla-status", b"x-mozilla-status2", b"x-mozilla-keys", b"x-gmail-labels", b"x-gm-thrid",
    )
)  # fmt: skip
_NO_MAIL = (".msf", ".dat", ".html", ".json", ".sqlite", ".lock", ".index", ".log", ".xml", ".txt", ".wdseml")


@dataclass(slots=True)
class _Start:
    """Where a message stands in the file: the From line, the header, the body, what comes after."""

    line: bytes
    header_at: int
    header: bytes
    body_at: int
    end: int = 0
    quoted: bool = True


class MboxSource:
    """importing.found.Source over a file or a folder of files."""

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)

    @property
    def name(self) -> str:
        return f"mbox {self.path}"

    def close(self) -> None:
        """Nothing is open."""

    def folders(self) -> Sequence[OldFolder]:
        """Raises SourceTrouble."""
        if os.path.isfile(self.path):
            name = _stem(os.path.basename(self.path))
            if not _is_mbox(self.path):
                raise SourceTrouble(f'{self.path} is no mbox file: it does not begin with "From "')
            # One file alone is the inbox, unless its name says otherwise.
            levels = [name] if names.use_of([name]) is not None else [INBOX]
            return [_old_folder(levels, self.path)]
        if not os.path.isdir(self.path):
            raise SourceTrouble(f"{self.path} does not exist")
        found = sorted(self._walk(self.path, []), key=lambda one: (one.name != INBOX, one.name))
        if not found:
            raise SourceTrouble(f"{self.path} holds no mbox file")
        return found

    def _walk(self, path: str, levels: list[str]) -> Iterator[OldFolder]:
        if len(levels) >= MOST_LEVELS:
            return
        with os.scandir(path) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir():
                if entry.name.endswith(".mbox") and os.path.isfile(os.path.join(entry.path, "mbox")):  # Apple Mail
                    yield _old_folder([*levels, _stem(entry.name)], os.path.join(entry.path, "mbox"))
                else:
                    yield from self._walk(entry.path, [*levels, entry.name.removesuffix(".sbd")])
            elif entry.is_file() and not entry.name.endswith(_NO_MAIL):
                if _is_mbox(entry.path):
                    yield _old_folder([*levels, _stem(entry.name)], entry.path)

    def messages(self, folder: OldFolder, known: Known) -> Iterator[OldMessage | Unreadable]:
        """From the top of the file to its end."""
        with open(folder.place, "rb") as file:
            for number, one in enumerate(starts(file), 1):
                label = f"{folder.name}: message {number} (at octet {one.header_at})"
                made = self._message(file, one, label)
                if made is not None:
                    yield made

    def _message(self, file: BinaryIO, one: _Start, label: str) -> OldMessage | Unreadable | None:
        cost = one.end - one.header_at + len(one.line)
        header = one.header
        if not header.strip():
            return Unreadable(label, "it has no header", cost)
        mozilla = _hex(first(header, "x-mozilla-status"))
        if mozilla & 0x0008:
            return Unreadable(label, "Thunderbird had deleted it already (the file was not compacted)", cost)
        if one.header_at < 100 and _INTERNAL.search(header) and b"FOLDER INTERNAL DATA" in header:
            return None
        here = placed(first(header, "x-gmail-labels"))
        flags = _flags(header, mozilla) | here.flags
        if here.is_unread:
            flags -= {"\\Seen"}

        def octets() -> Iterable[bytes]:
            return body(file, one)

        return OldMessage(
            "", octets, frozenset(flags), _from_date(one.line), cost=cost, mailbox=here.mailbox, use=here.use,
            strip=STRIP, label=label,
        )  # fmt: skip


def _old_folder(levels: list[str], path: str) -> OldFolder:
    name = names.mailbox_of(levels)
    use = names.use_of(levels) if name != INBOX else None
    return OldFolder(name, path, use, total=os.path.getsize(path))


def _stem(name: str) -> str:
    try:
        name = utf7.decode(os.fsencode(name)) if "&" in name and name.isascii() else name
    except utf7.BadName:
        pass
    return os.fsencode(name.removesuffix(".mbox").removesuffix(".mbx")).decode("utf-8", "replace")


def _is_mbox(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(512).lstrip(b"\r\n\xef\xbb\xbf")
    except OSError:
        return False
    return head.startswith(b"From ")


# -------------------------------------------------------------------------------- where messages begin and end


def _is_from(line: bytes) -> bool:
    return line.startswith(b"From ") and _FROM.match(line) is not None


def starts(file: BinaryIO) -> Iterator[_Start]:
    """Every message of the file; memory stays bounded whatever its size."""
    at = _first_from(file)
    while at is not None:
        one = _read_head(file, at)
        found, at = _by_length(file, one)
        if not found:
            at = _by_lines(file, one)
        yield one


def _first_from(file: BinaryIO) -> int | None:
    file.seek(0)
    at = 0
    for line in _lines(file):
        if line.removeprefix(b"\xef\xbb\xbf").startswith(b"From "):
            return at
        if line.strip() and at > 4096:
            return None
        at += len(line)
    return None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LINE):
        yield line


def _read_head(file: BinaryIO, at: int) -> _Start:
    file.seek(at)
    line = b""
    while piece := file.readline(LINE):
        line = line or piece
        at += len(piece)
        if piece.endswith(b"\n"):
            break
    header = b""
    header_at = at
    while len(header) < HEADER:
        piece = file.readline(LINE)
        # A From line here is the next message's: this one has no body, or no header either.
        if not piece or _is_from(piece):
            break
        header += piece
        if piece in (b"\n", b"\r\n"):
            break
    return _Start(line, header_at, header.replace(b"\r\n", b"\n"), header_at + len(header))


def _by_length(file: BinaryIO, one: _Start) -> tuple[bool, int | None]:
    """Does Content-Length lead to a message or the end of the file? Then (True, where the next one begins)."""
    said = first(one.header, "content-length")
    if said is None or not said.strip().isdigit() or len(said.strip()) > 12:
        return False, None
    end = one.body_at + int(said)
    if end > file.seek(0, os.SEEK_END):
        return False, None
    file.seek(end)
    behind = file.read(512)
    skipped = len(behind) - len(behind.lstrip(b"\r\n"))
    if skipped > 4 or (behind.strip(b"\r\n") and not _is_from(behind.lstrip(b"\r\n").split(b"\n")[0] + b"\n")):
        return False, None
    one.end = end
    one.quoted = not _holds_bare_from(file, one)
    return True, end + skipped if behind.strip(b"\r\n") else None


def _holds_bare_from(file: BinaryIO, one: _Start) -> bool:
    """mboxcl2: a From line within the body that nobody has quoted."""
    file.seek(one.body_at)
    at = one.body_at
    whole = True
    for line in _lines(file):
        if at >= one.end:
            return False
        if whole and line.startswith(b"From "):
            return True
        whole = line.endswith(b"\n")
        at += len(line)
    return False


def _by_lines(file: BinaryIO, one: _Start) -> int | None:
    at = one.body_at
    file.seek(at)
    # Behind a header without its empty line the very next line may be the next message's.
    empty = True
    whole = True
    gap = 0
    for line in _lines(file):
        if empty and whole and _is_from(line):
            one.end = max(at - gap, one.body_at)
            return at
        empty = whole and line in (b"\n", b"\r\n")
        gap = len(line) if empty else 0
        whole = line.endswith(b"\n")
        at += len(line)
    one.end = max(at - gap, one.body_at) if at > one.body_at else at
    return None


def body(file: BinaryIO, one: _Start) -> Iterator[bytes]:
    """Header and body as they were before they stood in the file."""
    yield one.header
    file.seek(one.body_at)
    left = one.end - one.body_at
    whole = True
    gathered: list[bytes] = []
    size = 0
    while left > 0:
        line = file.readline(min(LINE, left))
        if not line:
            break
        left -= len(line)
        if whole and one.quoted and line.startswith(b">") and _QUOTED.match(line):
            line = line[1:]
        whole = line.endswith(b"\n")
        gathered.append(line)
        size += len(line)
        if size >= LINE:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


# -------------------------------------------------------------------------------- what it says about them


def _hex(value: bytes | None) -> int:
    try:
        return int((value or b"0").strip()[:8], 16)
    except ValueError:
        return 0


def _flags(header: bytes, mozilla: int) -> set[str]:
    flags: set[str] = set()
    status = (first(header, "status") or b"") + (first(header, "x-status") or b"")
    for letter, flag in ((b"R", "\\Seen"), (b"A", "\\Answered"), (b"F", "\\Flagged"), (b"T", "\\Draft")):
        if letter in status:
            flags.add(flag)
    if b"D" in (first(header, "x-status") or b""):
        flags.add("\\Deleted")
    for bit, flag in ((0x1, "\\Seen"), (0x2, "\\Answered"), (0x4, "\\Flagged"), (0x1000, "$Forwarded")):
        if mozilla & bit:
            flags.add(flag)
    for field in ("x-keywords", "x-mozilla-keys"):
        for value in every(header, field):
            flags.update(filter(None, map(names.keyword_of, value.decode("utf-8", "replace").split())))
    return flags


def _from_date(line: bytes) -> float | None:
    """The moment in the From line, taken as UTC when it names no zone; None for the header's."""
    text = line[5:].strip()
    if text.startswith(b"-"):  # Thunderbird's moment of filing
        return None
    found = parse_date(text.partition(b" ")[2].strip()) if b" " in text else None
    return float(found.epoch) if found is not None and found.epoch > 0 else None
