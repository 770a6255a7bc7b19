"""Names of message files: unique, with sizes, and with the flags that are the truth about a message's state.

``1795363265.M993929P13853_7.host,S=24,W=28:2,FSab``: everything before ":" (the *base*) names the message for ever,
``S=`` is its size on disk, ``W=`` with CRLF line ends, and after ":2," stand flags: D(raft) F(lagged) R(eplied) S(een)
T(rashed), P(assed) which we keep, and a–z for the first 26 keywords of the mailbox.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import secrets
from collections.abc import Sequence

from mailbox_appliance.mail.mailbox import ANSWERED, DELETED, DRAFT, FIRST_KEYWORD_BIT, FLAGGED, SEEN

LETTERS = 26
_LETTER_BITS = {"D": DRAFT, "F": FLAGGED, "R": ANSWERED, "S": SEEN, "T": DELETED} | {
    chr(ord("a") + number): 1 << FIRST_KEYWORD_BIT + number for number in range(LETTERS)
}
SYSTEM_BITS = DRAFT | FLAGGED | ANSWERED | SEEN | DELETED
LETTER_BITS = SYSTEM_BITS | ((1 << LETTERS) - 1) << FIRST_KEYWORD_BIT
_SIZE = re.compile(r",S=(\d{1,15})(?=[,:]|$)")
_WIRE_SIZE = re.compile(r",W=(\d{1,15})(?=[,:]|$)")
# Names we would not like to see in dovecot-uidlist: controls, blanks, a colon too early, what is no UTF-8.
_TIDY = re.compile(r"[^\x00-\x20\x7f:/\udc80-\udcff][^\x00-\x20\x7f:/\udc80-\udcff]{0,199}")
_PLAIN = re.compile(r"(?:[0-9]{10}\.[^\x00-\x20\x7f:/\udc80-\udcff]{1,189}+(?:\n|\Z))*+")


def base_of(name: str) -> str:
    """The part that names the message for ever.

    >>> base_of("17.M1P2.host,S=3:2,S")
    '17.M1P2.host,S=3'
    """
    return name.partition(":")[0]


def is_tidy(base: str) -> bool:
    """Can this base stand in a line of dovecot-uidlist, and is it short enough to get flags?"""
    return _TIDY.fullmatch(base) is not None


@functools.lru_cache(maxsize=4096)
def _read_info(info: str) -> tuple[int, str]:
    bits = 0
    kept = []
    if info.startswith("2,"):
        for letter in info[2:].partition(",")[0]:
            bit = _LETTER_BITS.get(letter)
            if bit is not None:
                bits |= bit
            elif letter.isascii() and letter.isalpha():
                kept.append(letter)
    return bits, "".join(kept)


@functools.lru_cache(maxsize=4096)
def _write_info(bits: int, kept: str) -> str:
    letters = {letter for letter, bit in _LETTER_BITS.items() if bits & bit}
    return ":2," + "".join(sorted(letters.union(kept)))


def flags_of(name: str) -> int:
    """The flag bits a file name tells.

    >>> flags_of("17.M1P2.host:2,FS") == FLAGGED | SEEN
    True
    """
    return _read_info(name.partition(":")[2])[0]


def with_flags(name: str, bits: int) -> str:
    """The same message's name with other flags; letters that mean nothing to us are kept.

    >>> with_flags("17.M1P2.host:2,PS", FLAGGED)
    '17.M1P2.host:2,FP'
    """
    base, _, info = name.partition(":")
    return base + _write_info(bits & LETTER_BITS, _read_info(info)[1])


def size_of(base: str) -> int | None:
    """``S=``, or None."""
    found = _SIZE.search(base)
    return int(found[1]) if found else None


def wire_size_of(base: str) -> int | None:
    """``W=``, or None."""
    found = _WIRE_SIZE.search(base) if ",W=" in base else None
    return int(found[1]) if found else None


def time_of(base: str) -> int:
    """When the file was made, epoch seconds; 0 when the name does not tell."""
    head, dot, _ = base.partition(".")
    return int(head) if dot and len(head) <= 12 and head.isdecimal() else 0


def order_of(base: str) -> tuple[int, str]:
    """The key by which newcomers are sorted before they get UIDs."""
    return time_of(base), base


def are_plain(bases: Sequence[str]) -> bool:
    """Are all of them tidy names of the usual kind, ten digits and a dot first? Then ``order_of`` is their own order.

    One expression over all: a mailbox with tens of thousands of strangers is opened while somebody waits.
    """
    text = "\n".join(bases)
    return _PLAIN.fullmatch(text) is not None and text.count("\n") == len(bases) - 1


class UniqueNames:
    """Makes names that nobody else makes (Maildir: time, microseconds, process, counter, host)."""

    def __init__(self, host: str, pid: int | None = None) -> None:
        safe = host.replace("/", "\\057").replace(":", "\\072")
        self._host = re.sub(r"[^!-~]|,", "_", safe)[:64] or "localhost"
        self._pid = os.getpid() if pid is None else pid
        # A process that bears the pid of one before (in a container they all do) begins to count elsewhere.
        self._count = itertools.count(secrets.randbelow(1 << 20))

    def make(self, now: float, size: int | None = None, wire_size: int | None = None) -> str:
        """A fresh base. Sizes in octets, on disk and with CRLF."""
        seconds, micros = divmod(max(int(now * 1_000_000), 0), 1_000_000)
        # Figures of one width: names of one moment sort in the order in which they were made, and so get their UIDs.
        name = f"{seconds}.M{micros:06d}P{self._pid}_{next(self._count):08d}.{self._host}"
        if size is not None:
            name += f",S={size}"
        if wire_size is not None:
            name += f",W={wire_size}"
        return name
