"""Keywords on disk: ``dovecot-keywords`` for the first 26, ``mailappliance-keywords`` beside it for further ones.

Dovecot's file has lines ``<number> <name>``; number 0 is the letter "a" in file names. Maildir has no more letters, so
keyword 26 and above are written by us: ``K <number> <name>`` names one, ``M <hexadecimal mask> <base>`` says which of
them a message has (bit 0 is keyword 26; a later line for the same base wins). That file is no cache: it is the only
record of those keywords.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import field

from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT, MOST_KEYWORDS
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.store import uidlist as uidlists
from mailbox_appliance.store.dotlock import dotlock
from mailbox_appliance.store.durable import read_file, replace_file, write_all
from mailbox_appliance.store.filenames import LETTERS
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.uidlist import Signature, signature

DOVECOT = "dovecot-keywords"
OURS = "mailappliance-keywords"
HEAD = b"mailappliance-keywords 1\n"
MOST_OCTETS = 64 * 1024 * 1024
LONGEST = 64
HIGH_SHIFT = FIRST_KEYWORD_BIT + LETTERS
HIGH_BITS = ((1 << MOST_KEYWORDS - LETTERS) - 1) << HIGH_SHIFT
_NUMBERED = re.compile(r"(\d{1,3}) ([^\x00-\x20\x7f]{1,200})")
_MASK = re.compile(r"([0-9a-f]{1,8}) ([^\n]+)")

Signatures = tuple[Signature, Signature]


@dataclass(slots=True)
class KeywordList:
    """``names[i]`` is keyword i; ``masks`` has the high keywords by base (as flag bits)."""

    names: list[str] = field(default_factory=list)
    masks: dict[str, int] = field(default_factory=dict)
    lines: int = 0


def placeholder(number: int) -> str:
    """The name of a letter that nobody has named (Dovecot says it so too)."""
    return f"unknown-{number}"


def parse_dovecot(octets: bytes) -> list[str]:
    """Names by number; what cannot be read is passed over, gaps get a placeholder."""
    named: dict[int, str] = {}
    taken: set[str] = set()
    for line in octets.decode("utf-8", "replace").split("\n"):
        match = _NUMBERED.fullmatch(line)
        if match and int(match[1]) < LETTERS and match[2].lower() not in taken:
            named.setdefault(int(match[1]), match[2])
            taken.add(match[2].lower())
    return [named.get(number, placeholder(number)) for number in range(max(named, default=-1) + 1)]


def parse_ours(octets: bytes) -> tuple[dict[int, str], dict[str, int], int]:
    """Names by number, masks by base, and how many lines were there. A torn last line is passed over."""
    named: dict[int, str] = {}
    masks: dict[str, int] = {}
    lines = octets.decode("utf-8", "replace").split("\n")[:-1]
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "K" and (match := _NUMBERED.fullmatch(rest)) and LETTERS <= int(match[1]) < MOST_KEYWORDS:
            named[int(match[1])] = match[2]
        elif kind == "M" and (match := _MASK.fullmatch(rest)):
            mask = int(match[1], 16) << HIGH_SHIFT & HIGH_BITS
            if mask:
                masks[match[2]] = mask
            else:
                masks.pop(match[2], None)
    return named, masks, len(lines)


def signatures(folder: Folder) -> Signatures:
    """What tells whether the two files have changed."""
    return signature(folder.file(DOVECOT)), signature(folder.file(OURS))


def read(folder: Folder) -> KeywordList:
    """Both files together."""
    names = parse_dovecot(read_file(folder.file(DOVECOT), MOST_OCTETS) or b"")
    octets = read_file(folder.file(OURS), MOST_OCTETS)
    found = KeywordList(names)
    if octets:
        high, found.masks, found.lines = parse_ours(octets)
        if high:
            names += [placeholder(number) for number in range(len(names), LETTERS)]
            names += [high.get(number, placeholder(number)) for number in range(LETTERS, max(high) + 1)]
    return found


def check_keyword(name: str) -> str:
    """A keyword is an atom (RFC 3501 §9 flag-keyword). Raises StoreError."""
    if not name or len(name) > LONGEST or not name.isascii() or re.search(r"[\x00-\x20\x7f(){%*\"\\\]]", name):
        raise StoreError(Problem.NOT_ALLOWED, "a keyword is a short word without blanks or special characters")
    return name


def number_of(names: Sequence[str], keyword: str) -> int | None:
    """The keyword's number, compared without regard to case; None when it is not there yet."""
    wanted = keyword.lower()
    for number, name in enumerate(names):
        if name.lower() == wanted:
            return number
    return None


def add(folder: Folder, wanted: Iterable[str]) -> list[str]:
    """Give numbers to keywords that have none; returns all names. For worker threads.

    Under the lock of dovecot-uidlist, for Dovecot guards its list of keywords with that one.

    Raises StoreError (LIMIT) when there is no number left; then nothing has changed.
    """
    with dotlock(folder.file(uidlists.NAME)):
        names = read(folder).names
        before = len(names)
        for keyword in wanted:
            if number_of(names, keyword) is None:
                names.append(check_keyword(keyword))
        if len(names) > MOST_KEYWORDS:
            raise StoreError(Problem.LIMIT, f"a mailbox can have {MOST_KEYWORDS} keywords, and has them")
        high = [f"K {number} {names[number]}\n" for number in range(max(before, LETTERS), len(names))]
        if high:
            _append(folder, "".join(high).encode(), sync=True)
        if before < LETTERS and len(names) > before:
            lines = [f"{number} {name}\n" for number, name in enumerate(names[:LETTERS])]
            _replace_newer(folder.file(DOVECOT), "".join(lines).encode())
        return names


def _replace_newer(path: str, octets: bytes) -> None:
    """Replace the file by one of a later second: Dovecot reads it again only when the second has changed."""
    try:
        before = int(os.stat(path).st_mtime)
    except FileNotFoundError:
        before = 0
    replace_file(path, octets)
    if int(os.stat(path).st_mtime) <= before:
        os.utime(path, (before + 1, before + 1))


def is_placeholder(number: int, name: str) -> bool:
    """Has nobody named it?"""
    return name == placeholder(number)


def merged(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """``names`` of the files, with what the index knows of letters that the files no longer name."""
    found = list(names) + [placeholder(number) for number in range(len(names), len(known))]
    taken = {name.lower() for name in found}
    for number, name in enumerate(known):
        if is_placeholder(number, found[number]) and name.lower() not in taken:
            found[number] = name
    return found


def restore(folder: Folder, known: Sequence[str], masks: dict[str, int]) -> KeywordList:
    """Write down again what was lost of the two files; returns both as they are then. For worker threads.

    ``masks`` are the high keywords by base, when the record of them has gone. Raises OSError, LockTimeout.
    """
    with dotlock(folder.file(uidlists.NAME)):
        held = read(folder)
        names = merged(held.names, known)
        if names[:LETTERS] != held.names[:LETTERS]:
            lines = [f"{n} {name}\n" for n, name in enumerate(names[:LETTERS]) if not is_placeholder(n, name)]
            _replace_newer(folder.file(DOVECOT), "".join(lines).encode())
        if masks or names[LETTERS:] != held.names[LETTERS:]:
            compact(folder, KeywordList(names, masks | held.masks))
        return KeywordList(names, masks | held.masks)


def set_masks(folder: Folder, masks: Iterable[tuple[str, int]]) -> None:
    """Record the high keywords of messages, (base, flag bits) each; kill -9 cannot lose them, a power cut may."""
    text = "".join([f"M {(bits & HIGH_BITS) >> HIGH_SHIFT:x} {base}\n" for base, bits in masks])
    if text:
        _append(folder, text.encode(), sync=False)


def compact(folder: Folder, live: KeywordList) -> None:
    """Rewrite our file without what later lines made void."""
    lines = [f"K {number} {name}\n" for number, name in enumerate(live.names) if number >= LETTERS]
    lines += [f"M {bits >> HIGH_SHIFT:x} {base}\n" for base, bits in live.masks.items()]
    replace_file(folder.file(OURS), HEAD + "".join(lines).encode())


def _append(folder: Folder, octets: bytes, *, sync: bool) -> None:
    path = folder.file(OURS)
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size == 0:
            octets = HEAD + octets
        elif os.pread(fd, 1, size - 1) != b"\n":
            octets = b"\n" + octets
        write_all(fd, octets)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
