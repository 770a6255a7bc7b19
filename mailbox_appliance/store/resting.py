"""Expunged messages rest beside the Maildir, on the same file system, until they are wanted back or are too old.

``LOCALPART/rest/<day>/<folder, or INBOX>/<when>-<the name it had>``: one rename for each message, so that EXPUNGE stays
as quick as with unlink and a crash leaves a message here or there, never nowhere. ``keywords`` in such a folder names
the keywords of those that had any, since their letters mean something in their mailbox only. What rests counts against
no quota; whole days go when they are too old, and the oldest messages when there are too many or the disk is full.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import heapq
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence

from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT, INBOX
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.store import keywords
from mailbox_appliance.store.durable import write_all
from mailbox_appliance.store.filenames import base_of, flags_of, size_of
from mailbox_appliance.store.paths import Folder

NAME = "rest"
KEYWORDS = "keywords"
DAY = 86_400
MOST_MESSAGES = 100_000  # of one account
_NO_RESTING = (errno.ENOSPC, errno.EDQUOT, errno.EXDEV, errno.EMLINK, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)


@dataclass(frozen=True, slots=True)
class Rested:
    """One message that rests. Times in epoch seconds; ``octets`` on disk."""

    path: str
    disk: str  # the folder it lay in, "" for INBOX
    when: int
    file: str  # the name it had
    octets: int

    @property
    def base(self) -> str:
        """What named it for ever."""
        return base_of(self.file)


class Bed:
    """Where the messages of one mailbox are laid, today. ``root`` is the account's rest folder. For workers."""

    def __init__(self, root: str, disk: str, now: float) -> None:
        self.when = int(now)
        self._path = os.path.join(root, str(self.when // DAY), disk or INBOX)
        self._is_there = False

    def lay(self, path: str, file: str) -> None:
        """Take the message file away from ``path``; where it cannot rest it is removed. Raises FileNotFoundError."""
        try:
            if not self._is_there:
                os.makedirs(self._path, 0o700, exist_ok=True)
                self._is_there = True
            os.rename(path, f"{self._path}/{self._name(file)}")
        except OSError as error:
            if error.errno not in _NO_RESTING:
                raise
            os.unlink(path)

    def _name(self, file: str) -> str:
        name = f"{self.when}-{file}"
        if len(os.fsencode(name)) <= 255:
            return name
        base, colon, info = file.partition(":")
        return f"{self.when}-{hashlib.sha256(os.fsencode(base)).hexdigest()[:40]}{colon}{info}"

    def note_keywords(self, words: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Remember the keywords of messages, (file, names) each, before they are laid down."""
        lines = [
            f"{base_of(self._name(file).partition('-')[2])}\t{' '.join(names)}\n" for file, names in words if names
        ]
        if not lines:
            return
        with contextlib.suppress(OSError):
            os.makedirs(self._path, 0o700, exist_ok=True)
            fd = os.open(os.path.join(self._path, KEYWORDS), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                write_all(fd, "".join(lines).encode("utf-8", "surrogateescape"))
            finally:
                os.close(fd)


def names_of(flags: int, names: Sequence[str]) -> list[str]:
    """The keywords among flag bits."""
    bits = flags >> FIRST_KEYWORD_BIT
    return [name for number, name in enumerate(names) if bits >> number & 1]


def lay_all(root: str, folder: Folder, disk: str, now: float) -> None:
    """A whole mailbox, moved aside to ``folder``, is laid down; what cannot rest is left for the caller to remove."""
    bed = Bed(root, disk, now)
    held = keywords.read(folder)
    for directory in (folder.cur, folder.new):
        with contextlib.suppress(OSError):
            files = [name for name in os.listdir(directory) if name[0] != "."]
            bed.note_keywords(
                (file, names_of(flags_of(file) | held.masks.get(base_of(file), 0), held.names)) for file in files
            )
            for file in files:
                with contextlib.suppress(OSError):
                    bed.lay(f"{directory}/{file}", file)


def days(root: str) -> list[int]:
    """Days on which something was expunged, oldest first."""
    try:
        return sorted(int(name) for name in os.listdir(root) if name.isdecimal())
    except (FileNotFoundError, NotADirectoryError):
        return []


def of_day(root: str, day: int) -> Iterator[Rested]:
    """What rests since that day, in no order."""
    path = os.path.join(root, str(day))
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for disk in os.listdir(path):
            folder = os.path.join(path, disk)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for name in os.listdir(folder):
                    when, dash, file = name.partition("-")
                    if not dash or not when.isdecimal() or not file:
                        continue
                    octets = size_of(base_of(file))
                    whole = os.path.join(folder, name)
                    if octets is None:
                        try:
                            octets = os.stat(whole, follow_symlinks=False).st_size
                        except OSError:
                            continue
                    yield Rested(whole, "" if disk == INBOX else disk, int(when), file, octets)


def keywords_beside(path: str) -> dict[str, list[str]]:
    """Keywords by base, of the messages in the folder in which ``path`` lies."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError), open(os.path.join(os.path.dirname(path), KEYWORDS), "rb") as file:
        for line in file:
            base, tab, names = line.decode("utf-8", "surrogateescape").rstrip("\n").partition("\t")
            if tab:
                found[base] = names.split(" ")
    return found


def sweep(root: str, now: float, age: float, most_octets: int, most: int = MOST_MESSAGES) -> int:
    """What is too old goes, then the oldest of what is too much. Returns the octets that stay. For workers."""
    octets = messages = 0
    full = False
    for day in reversed(days(root)):
        if full or (day + 1) * DAY <= now - age:
            shutil.rmtree(os.path.join(root, str(day)), ignore_errors=True)
            continue
        resting = sorted(of_day(root, day), key=lambda one: one.when, reverse=True)
        for one in resting:
            full = full or octets + one.octets > most_octets or messages >= most
            if full or one.when < now - age:
                _remove(one.path)
            else:
                octets += one.octets
                messages += 1
        if not messages:
            shutil.rmtree(os.path.join(root, str(day)), ignore_errors=True)
    return octets


def empty(root: str, before: float) -> int:
    """For good: everything expunged before that moment. Returns how many messages. For workers."""
    gone = 0
    for day in days(root):
        stays = False
        for one in of_day(root, day):
            if one.when < before:
                _remove(one.path)
                gone += 1
            else:
                stays = True
        if not stays:
            shutil.rmtree(os.path.join(root, str(day)), ignore_errors=True)
    return gone


def accounts_with_rest(mail: str) -> Iterator[str]:
    """The rest folders of all accounts below STATE/mail."""
    with contextlib.suppress(OSError):
        for domain in os.listdir(mail):
            with contextlib.suppress(OSError):
                for local in os.listdir(os.path.join(mail, domain)):
                    root = os.path.join(mail, domain, local, NAME)
                    if os.path.isdir(root):
                        yield root


def make_room(mail: str, wanted: int) -> int:
    """The disk is full: the oldest rests of all accounts go, until ``wanted`` octets are free. Returns octets freed."""
    freed = 0
    roots = [(day, root) for root in accounts_with_rest(mail) for day in days(root)]
    for day, root in sorted(roots):
        if freed >= wanted:
            break
        oldest = list(of_day(root, day))
        heapq.heapify(heap := [(one.when, one.path, one.octets) for one in oldest])
        while heap and freed < wanted:
            _, path, octets = heapq.heappop(heap)
            if _remove(path):
                freed += octets
        if not heap:
            shutil.rmtree(os.path.join(root, str(day)), ignore_errors=True)
    return freed


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
