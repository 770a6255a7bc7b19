"""``mailappliance sendmail [FLAGS] [RECIPIENTS]``: what cron, mailx and web forms call, also as /usr/sbin/sendmail.

The message goes into the drop folder, synced, and the service takes it from there, now or when it next runs. Exit
codes are those of sysexits.h: 0 taken over, 64 usage, 65 no recipients, 73 cannot be written, 75 try again later.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterable, Sequence
from typing import IO

from mailbox_appliance.config.local import load_or_local
from mailbox_appliance.config.read import ConfigWrong
from mailbox_appliance.mail.address_reader import MISSING_DOMAIN
from mailbox_appliance.mail.addresses import addresses_of
from mailbox_appliance.mail.header import header_end, split_fields
from mailbox_appliance.wire.dropped import MOST_RECIPIENTS, SUFFIX, Dropped

USAGE, NO_RECIPIENTS, CANNOT_CREATE, TRY_LATER = 64, 65, 73, 75
USUAL_FOLDER = "/var/spool/mailappliance"  # for users who may not read the config
_WITH_VALUE = "BCNOoRXpqLhV"  # flags of other sendmails that bring a value, which is skipped
_IGNORED = "mnvGU"


class Stop(Exception):
    """The exit code, and what is said on standard error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Wishes:
    """The command line. Raises Stop for what cannot be done."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.recipients: list[str] = []
        self.sender: str | None = None
        self.name = ""
        self.from_header = False  # -t
        self.dots = False  # a line with a dot alone is content
        rest = list(arguments)
        while rest:
            word = rest.pop(0)
            if word == "--":
                self.recipients += rest
                break
            if not word.startswith("-") or word == "-":
                self.recipients.append(word)
            else:
                self._flag(word[1], word[2:], rest)

    def _flag(self, flag: str, value: str, rest: list[str]) -> None:
        def wanted() -> str:
            return value if value or not rest else rest.pop(0)

        if flag in "fr":
            self.sender = wanted().strip("<>")
        elif flag == "F":
            self.name = " ".join(wanted().split())
        elif flag == "t":
            self.from_header = True
            self.dots = self.dots or "i" in value
        elif flag == "i":
            self.dots = True
            self.from_header = self.from_header or "t" in value
        elif flag == "o" and value:
            self.dots = self.dots or value[0] == "i"
        elif flag == "b":
            if value not in ("m", ""):
                raise Stop(USAGE, f"sendmail -b{value} is not done here; `mailappliance queue list` shows what waits")
        elif flag in _WITH_VALUE:
            wanted()
        elif flag not in _IGNORED:
            raise Stop(USAGE, f"sendmail does not know -{flag}")


def recipients_of(header: bytes) -> list[str]:
    """The addresses of To, Cc and Bcc (of the Resent ones alone, when there are any)."""
    found: dict[bool, list[str]] = {False: [], True: []}
    for name, value in split_fields(header):
        word = name.decode("latin-1").strip().lower()
        if word.removeprefix("resent-") not in ("to", "cc", "bcc"):
            continue
        for mailbox in addresses_of(value):
            bare = mailbox.domain == MISSING_DOMAIN  # without any domain it is the name of a group, or its end
            if mailbox.local and (bare or mailbox.is_whole):
                octets = mailbox.local if bare else mailbox.local + b"@" + (mailbox.domain or b"")
                found[word.startswith("resent-")].append(octets.decode("utf-8", "replace"))
    return found[True] or found[False]


def read_message(stream: IO[bytes], *, dots: bool) -> bytes:
    """Standard input to its end, or to a line with a dot alone."""
    if dots:
        return stream.read()
    lines = []
    for line in stream:
        if line.rstrip(b"\r\n") == b".":
            break
        lines.append(line)
    return b"".join(lines)


def drop(folder: str, head: bytes, message: bytes) -> str:
    """Write it, synced, under a name nobody can guess; returns its path. Raises OSError."""
    path = os.path.join(folder, f"{int(time.time()):x}.{secrets.token_hex(16)}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(descriptor, 0o644)  # the service is another user; the folder lets nobody else look
        for piece in (head, message):
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
        os.rename(path, path + SUFFIX)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)
    _sync_folder(folder)
    return path + SUFFIX


def _sync_folder(folder: str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # mode 1733: only its owner may open it; the file itself is synced
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def folder_of(config: str | None) -> str:
    """Where to drop. Raises Stop."""
    try:
        found = load_or_local(config, os.environ, look=False)
    except ConfigWrong as wrong:
        if os.path.isdir(USUAL_FOLDER) and config is None:
            return USUAL_FOLDER
        raise Stop(TRY_LATER, str(wrong)) from None
    return found.sendmail.drop or os.path.join(found.state, "drop")


def run(arguments: Sequence[str], config: str | None, stream: IO[bytes]) -> None:
    """Do it. Raises Stop."""
    wishes = Wishes(arguments)
    message = read_message(stream, dots=wishes.dots)
    recipients = list(wishes.recipients)
    if wishes.from_header:
        block = message[:400_000].replace(b"\r\n", b"\n")
        end = header_end(block)
        recipients += recipients_of(block[: end if end >= 0 else len(block)])
    flat = [word for text in recipients for word in _listed(text)]
    if not flat:
        raise Stop(NO_RECIPIENTS, "no recipients: name some, or use -t to take them from To, Cc and Bcc")
    if len(flat) > MOST_RECIPIENTS:
        raise Stop(NO_RECIPIENTS, f"{len(flat)} recipients, {MOST_RECIPIENTS} at most")
    folder = folder_of(config)
    try:
        drop(folder, Dropped(tuple(flat), wishes.sender, wishes.name).head(), message)
    except OSError as error:
        remedy = f"start the service once, or name another folder as [sendmail] drop (now {folder})"
        raise Stop(CANNOT_CREATE, f"the message cannot be left in {folder}: {error.strerror}; {remedy}") from None


def _listed(text: str) -> Iterable[str]:
    """``a@b, c@d`` in one word, as mailx says it."""
    return (word.strip().strip("<>") for word in text.split(",") if word.strip())


def main(arguments: Sequence[str] | None = None, config: str | None = None) -> None:
    """The console script ``mailappliance-sendmail``, and the verb."""
    try:
        run(sys.argv[1:] if arguments is None else arguments, config, sys.stdin.buffer)
    except Stop as stop:
        print(f"sendmail: {stop}", file=sys.stderr)
        sys.exit(stop.code)
