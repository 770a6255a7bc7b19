"""A Dovecot Maildir taken over with its UIDs, so that no mail program downloads anything again.

Each folder is copied beside the account's Maildir (linked, where both lie on one file system under one owner), with its
dovecot-uidlist and dovecot-keywords, and put in the place of the empty mailbox at once. A copy that broke off goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil

from mailbox_appliance.importing.filing import FilingRefused, Wanted
from mailbox_appliance.importing.found import OldFolder
from mailbox_appliance.importing.maildir import _files, base_of, uids, validity
from mailbox_appliance.importing.run import Import
from mailbox_appliance.mail.mailbox import INBOX

FEW = 20  # messages which INBOX may have already: a welcome
KEPT = ("dovecot-uidlist", "dovecot-keywords", "mailappliance-keywords")


def staging(home: str, place: str) -> str:
    """Where the old folder ``place`` is gathered."""
    return os.path.join(home, f"adopting-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}")


class TakingOver:
    """An ``Import.run`` adopter. ``home`` is STATE/mail/DOMAIN/LOCALPART."""

    def __init__(self, home: str, owner: tuple[int, int] | None) -> None:
        self._home = home
        self._owner = owner

    def __call__(self, folder: OldFolder, run: Import) -> tuple[str, int] | None:
        """The mailbox, and how many messages came with their UIDs.

        None when the folder has no UIDs or the mailbox has messages of its own.
        """
        theirs = validity(folder.place)
        if not theirs:
            return None
        target = folder.name
        (ready,) = run.filing.ready([Wanted(target, subscribed=folder.subscribed)])
        staged = staging(self._home, folder.place)
        if ready.uidvalidity == theirs:
            if os.path.isdir(staged):  # a crash has come between its uidlist and its messages
                run.filing.adopt(target, os.path.basename(staged), folder.use)
            # Taken over by an earlier run: what came to the old server since then is filed as any other message.
            known = list(uids(os.path.join(self._home, "Maildir", _disk(target))))
            run.ledger.mark((folder.place, base) for base in known)
            return target, 0
        if ready.messages > (FEW if target == INBOX else 0):
            return None
        self._stage(folder, run, staged)
        try:
            adopted = run.filing.adopt(target, os.path.basename(staged), folder.use)
        except FilingRefused as refused:
            if "of its own" not in str(refused):
                raise
            shutil.rmtree(staged, ignore_errors=True)
            return None
        adopted -= ready.messages
        run.ledger.mark((folder.place, base) for base in uids(folder.place))
        run.summary.folders[target] = run.summary.folders.get(target, 0) + adopted
        return target, adopted

    def _stage(self, folder: OldFolder, run: Import, staged: str) -> None:
        for path in (staged, *(os.path.join(staged, place) for place in ("cur", "new", "tmp"))):
            os.makedirs(path, 0o700, exist_ok=True)
            self._give(path)
        there = {base_of(name) for _, name in _files(staged)}
        for place, name in _files(folder.place):
            if base_of(name) in there:
                run.screen.step(1, 0)
                continue
            try:
                self._bring(os.path.join(folder.place, place, name), os.path.join(staged, place, name), staged)
            except FileNotFoundError:
                continue  # renamed meanwhile: found by the next run
            except OSError as error:
                if not os.path.isfile(os.path.join(folder.place, place, name)):
                    run.screen.remark(f"{folder.name}: {name}", "it is no file")
                    continue
                raise error
            run.screen.step(1, 1)
        for name in KEPT:
            with contextlib.suppress(FileNotFoundError):
                self._bring(os.path.join(folder.place, name), os.path.join(staged, name), staged, copy=True)
        os.sync()

    def _bring(self, old: str, new: str, staged: str, *, copy: bool = False) -> None:
        found = os.stat(old)
        us = self._owner or (os.geteuid(), os.getegid())
        if not copy and found.st_uid == us[0]:
            try:
                os.link(old, new)
                return
            except FileExistsError:
                return
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
        beside = os.path.join(staged, "tmp", "coming")
        shutil.copyfile(old, beside)
        os.chmod(beside, 0o600)
        self._give(beside)
        os.utime(beside, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.rename(beside, new)

    def _give(self, path: str) -> None:
        if self._owner is not None:
            os.chown(path, *self._owner)


def _disk(mailbox: str) -> str:
    from mailbox_appliance.wire.imap import utf7

    return "" if mailbox == INBOX else "." + utf7.encode(mailbox).decode("ascii")
