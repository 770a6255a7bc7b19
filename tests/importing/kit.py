"""An import into a real store, without processes: the filing desk is asked at once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.filing import ROOM, FilingDesk
from mailbox_appliance.admin.importing import DeskFiling
from mailbox_appliance.admin.result import Result
from mailbox_appliance.importing.adopt import TakingOver
from mailbox_appliance.importing.found import Source
from mailbox_appliance.importing.ledger import Ledger
from mailbox_appliance.importing.run import Import, Summary
from mailbox_appliance.mail.address import Address
from mailbox_appliance.store.flags import flag_names
from tests.store.kit import ANN, Shop


class Killed(BaseException):
    """kill -9, so to say: nothing of ours catches it."""


class Said:
    """importing.run.Screen that remembers."""

    def __init__(self) -> None:
        self.remarks: list[tuple[str, str]] = []
        self.costs = 0
        self.messages = 0

    def folder(self, name: str, total: int) -> None:
        pass

    def step(self, cost: int, messages: int) -> None:
        self.costs += cost
        self.messages += messages

    def remark(self, where: str, text: str) -> None:
        self.remarks.append((where, text))


class ImportCase(SynchronousTestCase):
    """Ann gets her old mail."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "/tmp"))
        self.addCleanup(self._remove)
        self.shop = Shop(self.folder)
        self.addCleanup(self._stop)
        self.old = os.path.join(self.folder, "old")
        os.mkdir(self.old)
        self.room = os.path.join(self.folder, ROOM)
        os.mkdir(self.room)
        self.screen = Said()
        self.before: Callable[[str], None] = lambda verb: None
        self.after: Callable[[str], None] = lambda verb: None

    def _remove(self) -> None:
        import shutil

        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self) -> None:
        self.shop.stores.stop()
        self.assertEqual(self.shop.journal.failures, [])

    def ask(self, noun: str, verb: str, arguments: Mapping[str, Any]) -> Result:
        async def accounts() -> tuple[Address, ...]:
            return (ANN,)

        self.before(verb)
        desk = FilingDesk(self.shop.stores, accounts, self.folder)
        result: Result = self.shop.do(getattr(desk, verb)(arguments))
        self.after(verb)
        return result

    def bring(self, source: Source, *, under: str = "", takes_over: bool = False) -> Summary:
        """One run of the import."""
        self.screen = Said()
        ledger = Ledger(self.room, str(ANN), source.name)
        try:
            filing = DeskFiling(self.ask, str(ANN))
            run = Import(source, filing, ledger, self.room, self.screen, under=under)
            home = os.path.dirname(self.shop.root)
            return run.run(TakingOver(home, None) if takes_over else None)
        finally:
            source.close()
            ledger.close()

    def mail(self, name: str = "INBOX") -> list[tuple[str, frozenset[str], int, bytes]]:
        """Subject, flags, date and octets (LF) of each message, by UID."""
        box = self.shop.open(name)
        found = []
        for file in self.shop.collect(box.files(list(box.uids))):
            at = box.position(file.uid)
            octets = b""
            while piece := self.shop.do(file.read(len(octets), 256 * 1024)):
                octets += piece
            file.close()
            octets = octets.replace(b"\r\n", b"\n")
            subject = octets.partition(b"Subject: ")[2].partition(b"\n")[0].decode("utf-8", "replace")
            flags = frozenset(flag_names(box.flags[at], box.keywords))
            found.append((subject, flags, box.dates[at], octets))
        return found

    def subjects(self, name: str = "INBOX") -> list[str]:
        return [subject for subject, _, _, _ in self.mail(name)]
