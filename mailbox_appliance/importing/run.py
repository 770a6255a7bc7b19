"""The import itself: read, write down, hand over, strike out; batch after batch, folder after folder.

Nothing grows with the mailbox: a batch has at most BATCH messages or BATCH_OCTETS octets (or one larger message), and
what has been filed stands in the ledger, not in memory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import Protocol

from mailbox_appliance.importing import names
from mailbox_appliance.importing.filing import Filing, Wanted
from mailbox_appliance.importing.found import OldFolder, OldMessage, Source, Unreadable
from mailbox_appliance.importing.ledger import Item, Ledger
from mailbox_appliance.importing.normal import Empty, TooLarge, copy
from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR, SpecialUse
from mailbox_appliance.mail.values import dataclass

BATCH = 200
BATCH_OCTETS = 8 << 20
FLAGS = frozenset(("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"))


class Screen(Protocol):
    """Who is told how far it is."""

    def folder(self, name: str, total: int) -> None:
        """Work on this folder begins."""

    def step(self, cost: int, messages: int) -> None:
        """So much of it is behind us."""

    def remark(self, where: str, text: str) -> None:
        """Something to be said about one message."""


@dataclass(slots=True)
class Summary:
    """What came of it."""

    filed: int = 0
    there: int = 0  # had been filed by an earlier run, or lies elsewhere already
    adopted: int = 0
    refused: int = 0
    folders: dict[str, int] = field(default_factory=dict)


class Batch:
    """Messages gathered in one file."""

    def __init__(self, path: str, owner: tuple[int, int] | None) -> None:
        self.path = path
        fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
        self.file = os.fdopen(fd, "w+b")
        if owner is not None:
            os.fchown(fd, *owner)
        self.items: list[Item] = []
        self.keys: set[tuple[str, str]] = set()
        self.octets = 0
        self.cost = 0

    @property
    def is_full(self) -> bool:
        """Time to hand it over?"""
        return len(self.items) >= BATCH or self.octets >= BATCH_OCTETS

    def undo(self) -> None:
        """The last message is not wanted, or broke off."""
        self.file.seek(self.octets)
        self.file.truncate()

    def clear(self) -> None:
        """Begin anew."""
        self.items, self.keys, self.octets, self.cost = [], set(), 0, 0
        self.undo()


Adopter = Callable[[OldFolder, "Import"], tuple[str, int] | None]


class Import:
    """One run. ``room`` is the folder for batches, ``under`` a mailbox below which everything goes."""

    def __init__(
        self,
        source: Source,
        filing: Filing,
        ledger: Ledger,
        room: str,
        screen: Screen,
        *,
        under: str = "",
        owner: tuple[int, int] | None = None,
    ) -> None:
        self.source = source
        self.filing = filing
        self.ledger = ledger
        self.screen = screen
        self.summary = Summary()
        self._under = under
        self._uidnext: dict[str, int] = {}
        self._targets: dict[tuple[str, SpecialUse | None], str] = {}
        self._batch_path = os.path.join(room, f"batch-{os.getpid()}")
        self._owner = owner

    def run(self, adopt: Adopter | None = None) -> Summary:
        """Everything. Raises FilingRefused, SourceTrouble, OSError; run it again to go on."""
        self.recover()
        batch = Batch(self._batch_path, self._owner)
        try:
            folders = self.source.folders()
            self._settle(folders)
            for folder in folders:
                self._folder(folder, batch, adopt)
        finally:
            batch.file.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(batch.path)
        return self.summary

    # ------------------------------------------------------------ where things go

    def _settle(self, folders: Sequence[OldFolder]) -> None:
        """Special folders first: their children go below what the account calls them."""
        special = [folder for folder in folders if folder.use is not None]
        for folder in special:
            self.target(folder.name, folder.use, subscribed=folder.subscribed)

    def target(self, name: str, use: SpecialUse | None, *, subscribed: bool = True) -> str:
        """The mailbox here, made if need be."""
        found = self._targets.get((name, use))
        if found is not None:
            return found
        wanted = name
        if self._under:
            wanted = names.below(self._under, name)
        elif use is None:
            wanted = self._below_special(name)
        (ready,) = self.filing.ready([Wanted(wanted, None if self._under else use, subscribed)])
        self._targets[name, use] = ready.mailbox
        self._uidnext[ready.mailbox] = ready.uidnext
        return ready.mailbox

    def _below_special(self, name: str) -> str:
        for (old, use), here in self._targets.items():
            if use is not None and old != INBOX and name.startswith(old + SEPARATOR):
                return here + name[len(old) :]
        return name

    # ------------------------------------------------------------ one folder

    def _folder(self, folder: OldFolder, batch: Batch, adopt: Adopter | None) -> None:
        self.screen.folder(folder.name, folder.total)
        self.ledger.forget_occurrences()
        adopted = adopt(folder, self) if adopt is not None and not self._under else None
        if adopted is not None:
            target, messages = adopted
            self.summary.adopted += messages
            self._targets[folder.name, folder.use] = target
            (ready,) = self.filing.ready([Wanted(target, subscribed=folder.subscribed)])
            self._uidnext[target] = ready.uidnext
        else:
            target = self.target(folder.name, folder.use, subscribed=folder.subscribed)
        for one in self.source.messages(folder, lambda keys: self._known(folder, keys)):
            if isinstance(one, Unreadable):
                self._refuse(one.label, one.why)
                self.screen.step(one.cost, 0)
                continue
            self._gather(folder, target, one, batch)
            if batch.is_full:
                self._hand_over(batch)
        self._hand_over(batch)

    def _known(self, folder: OldFolder, keys: Sequence[str]) -> set[str]:
        known = self.ledger.known(folder.place, keys)
        self.summary.there += len(known)
        if known:
            self.screen.step(len(known), 0)
        return known

    def _gather(self, folder: OldFolder, target: str, one: OldMessage, batch: Batch) -> None:
        label = one.label or f"{folder.name}: {one.key}"
        place = folder.place if one.key_folder is None else one.key_folder
        try:
            made = copy(one.octets(), batch.file, one.strip)
        except (TooLarge, Empty, FileNotFoundError, PermissionError) as error:
            batch.undo()
            words: dict[type, str] = {TooLarge: "it is larger than 1 GiB", Empty: "there is nothing in it"}
            self._refuse(label, words.get(type(error)) or f"it cannot be read: {getattr(error, 'strerror', error)}")
            self.screen.step(one.cost, 0)
            return
        key = one.key or f"{made.digest}.{self.ledger.occurrence(made.digest)}"
        if (place, key) in batch.keys or self.ledger.has(place, key):
            batch.undo()
            self.summary.there += 1
            self.screen.step(one.cost, 0)
            return
        for text in made.remarks:
            self.screen.remark(label, text)
        mailbox = target if one.mailbox is None else self.target(one.mailbox, one.use)
        date, zone = (one.date, one.zone) if one.date is not None else made.date or (0.0, 0)
        flags = tuple(sorted(flag for flag in one.flags if not flag.startswith("\\") or flag in FLAGS))
        batch.items.append(
            Item(place, key, mailbox, batch.octets, made.octets, made.lines, made.digest, flags, int(date), zone, label)
        )
        batch.keys.add((place, key))
        batch.octets += made.octets
        batch.cost += one.cost

    def _refuse(self, label: str, why: str) -> None:
        self.summary.refused += 1
        self.screen.remark(label, why)

    def _hand_over(self, batch: Batch) -> None:
        if not batch.items:
            return
        batch.file.flush()
        mailboxes = {item.mailbox for item in batch.items}
        number = self.ledger.begin(batch.items, {name: self._uidnext[name] for name in mailboxes})
        uidnext, refused = self.filing.take(batch.path, batch.items)
        self._uidnext.update(uidnext)
        filed = [item for at, item in enumerate(batch.items) if at not in refused]
        self.ledger.end(number, [(item.folder, item.key) for item in filed])
        for at, why in refused.items():
            self._refuse(batch.items[at].label, why)
        self._count(filed)
        self.screen.step(batch.cost, len(filed))
        batch.clear()

    def _count(self, filed: Sequence[Item]) -> None:
        self.summary.filed += len(filed)
        for item in filed:
            self.summary.folders[item.mailbox] = self.summary.folders.get(item.mailbox, 0) + 1

    # ------------------------------------------------------------ after a crash

    def recover(self) -> None:
        """What was on its way when the last run ended: found in its mailboxes, or filed anew by this run."""
        for number, items, uidnext in self.ledger.open_batches():
            there: list[tuple[str, str]] = []
            for mailbox, its in _by_mailbox(items):
                found = self.filing.seek(mailbox, uidnext.get(mailbox, 1), its)
                there += [(item.folder, item.key) for item, is_there in zip(its, found, strict=True) if is_there]
            self.ledger.end(number, there)


def _by_mailbox(items: Sequence[Item]) -> Iterator[tuple[str, list[Item]]]:
    for mailbox in dict.fromkeys(item.mailbox for item in items):
        yield mailbox, [item for item in items if item.mailbox == mailbox]
