"""The keeping end of an import: messages come in a file, in batches, and are appended as IMAP's APPEND does it.

Asked over the control socket by the process that reads the old mail, or at once when the service does not run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import DeferredLock

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import address_argument
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import SpecialUse
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.ports.store import NewMessage, Problem, StoreError
from mailbox_appliance.store.adopt import adopt
from mailbox_appliance.store.store import AccountStore
from mailbox_appliance.store.stores import MailStores

ROOM = "imports"
PIECE = 256 * 1024
_USES = {use.value: use for use in SpecialUse}


class FilingDesk:
    """``accounts`` names the living ones. ``state`` is STATE."""

    def __init__(self, stores: MailStores, accounts: Callable[[], Awaitable[Sequence[Address]]], state: str) -> None:
        self._stores = stores
        self._accounts = accounts
        self._room = os.path.join(state, ROOM)
        self._turn = DeferredLock()

    async def _store(self, arguments: Arguments) -> AccountStore:
        account = address_argument(arguments)
        if account.folded() not in [one.folded() for one in await self._accounts()]:
            raise Refused(f"there is no account {account}: mailappliance account add {account}")
        return await self._stores.of(account)

    def ready(self, arguments: Arguments) -> Awaitable[Result]:
        """Mailboxes are made; special uses find theirs."""
        return self._refusing(self._ready, arguments)

    def take(self, arguments: Arguments) -> Awaitable[Result]:
        """A batch is filed."""
        return self._refusing(self._take, arguments)

    def seek(self, arguments: Arguments) -> Awaitable[Result]:
        """Which messages are there?"""
        return self._refusing(self._seek, arguments)

    def adopt(self, arguments: Arguments) -> Awaitable[Result]:
        """A whole folder is put in the place of an empty mailbox."""
        return self._refusing(self._adopt, arguments)

    async def end(self, arguments: Arguments) -> Result:
        """An import is over: the journal is told what came of it."""
        return Result((str(arguments.get("words") or ""),))

    async def _refusing(
        self, work: Callable[[AccountStore, Arguments], Awaitable[Any]], arguments: Arguments
    ) -> Result:
        try:
            store = await self._store(arguments)
            await self._turn.acquire()  # a batch of a killed import is finished before anybody asks what came of it
            try:
                return Result(data=await work(store, arguments))
            finally:
                self._turn.release()
        except StoreError as error:
            raise Refused(_remedied(error, arguments)) from None

    async def _ready(self, store: AccountStore, arguments: Arguments) -> list[list[Any]]:
        found = []
        for name, use, subscribed in arguments["wanted"]:
            name = await self._made(store, str(name), _USES.get(str(use)), bool(subscribed))
            box = await store.box(name)
            await box.refresh()
            found.append([name, len(box.uids), box.uidvalidity, box.uidnext])
        return found

    async def _made(self, store: AccountStore, name: str, use: SpecialUse | None, subscribed: bool) -> str:
        infos = {info.name: info for info in await store.mailboxes()}
        if use is SpecialUse.ALL:
            use = SpecialUse.ARCHIVE
        if use is not None:
            there = [info.name for info in infos.values() if info.special_use is use and info.selectable]
            if there:
                return there[0]
        if name not in infos or not infos[name].selectable:
            settable = use not in (None, SpecialUse.FLAGGED)
            await store.create(name, use if settable else None)
            if subscribed:
                await store.subscribe(name, True)
        return name

    async def _take(self, store: AccountStore, arguments: Arguments) -> dict[str, Any]:
        path = os.path.join(self._room, os.path.basename(str(arguments["file"])))
        by_mailbox: dict[str, list[tuple[int, NewMessage]]] = {}
        for at, (mailbox, offset, octets, lines, flags, date, zone) in enumerate(arguments["items"]):
            content = Content(b"", SpooledBody(path, int(offset), int(octets)), int(lines))
            moment = float(date) if date else None
            message = NewMessage(content, frozenset(map(str, flags)), moment, int(zone))
            by_mailbox.setdefault(str(mailbox), []).append((at, message))
        refused: dict[int, str] = {}
        uidnext: dict[str, int] = {}
        for mailbox, numbered in by_mailbox.items():
            refused |= await _append(store, mailbox, numbered)
            uidnext[mailbox] = (await store.box(mailbox)).uidnext
        return {"uidnext": uidnext, "refused": {str(at): why for at, why in refused.items()}}

    async def _seek(self, store: AccountStore, arguments: Arguments) -> list[bool]:
        wanted: dict[str, list[int]] = {}
        sizes: set[int] = set()
        for at, (digest, wire_size) in enumerate(arguments["items"]):
            wanted.setdefault(str(digest), []).append(at)
            sizes.add(int(wire_size))
        found = [False] * len(arguments["items"])
        try:
            box = await store.box(str(arguments["mailbox"]))
        except StoreError as error:
            if error.problem is Problem.NO_SUCH_MAILBOX:
                return found
            raise
        await box.refresh()
        uids = [uid for uid in box.uids if uid >= int(arguments["uidnext"])]
        await box.measure(uids)
        uids = [uid for uid in uids if box.sizes[box.position(uid)] in sizes]
        async for batch in box.files(uids):
            for file in batch:
                digest = await _digest(file)
                file.close()
                if wanted.get(digest):
                    found[wanted[digest].pop()] = True
        return found

    async def _adopt(self, store: AccountStore, arguments: Arguments) -> int:
        use = _USES.get(str(arguments.get("use") or ""))
        return await adopt(store, str(arguments["mailbox"]), str(arguments["staged"]), use)


async def _append(store: AccountStore, mailbox: str, numbered: Sequence[tuple[int, NewMessage]]) -> dict[int, str]:
    """All at once; when that is refused for one message's sake, one by one without their keywords."""
    try:
        await store.append(mailbox, [message for _, message in numbered])
        return {}
    except StoreError as error:
        if error.problem not in (Problem.LIMIT, Problem.NOT_ALLOWED):
            raise
    refused = {}
    for at, message in numbered:
        try:
            await store.append(mailbox, [message])
        except StoreError as error:
            if error.problem not in (Problem.LIMIT, Problem.NOT_ALLOWED):
                raise
            system = frozenset(flag for flag in message.flags if flag.startswith("\\"))
            try:
                await store.append(mailbox, [NewMessage(message.content, system, message.date, message.date_zone)])
            except StoreError as again:
                if again.problem not in (Problem.LIMIT, Problem.NOT_ALLOWED):
                    raise
                refused[at] = str(again)
    return refused


async def _digest(file: Any) -> str:
    """Of the message with LF line ends."""
    sha = hashlib.sha256()
    at = 0
    carried = b""
    while piece := await file.read(at, PIECE):
        at += len(piece)
        piece = carried + piece
        carried = b"\r" if piece.endswith(b"\r") else b""
        sha.update((piece[:-1] if carried else piece).replace(b"\r\n", b"\n"))
    sha.update(carried)
    return sha.hexdigest()


def _remedied(error: StoreError, arguments: Arguments) -> str:
    if error.problem is Problem.OVER_QUOTA:
        return f"{error}: mailappliance account quota {arguments.get('address')} SIZE, then run the import again"
    if error.problem is Problem.DISK:
        return f"{error}: then run the import again, it goes on where it stopped"
    return str(error)
