"""The Outbox: what an account has submitted and what has not left yet, as a mailbox.

    waiting     the message itself; \\Seen, so that it does not call for attention; $Sending while it is being sent,
                $Deferred after a failed try, $Held while the operator keeps it back
    failed      a letter that says in plain words who did not get it and why, with the message in it; $Failed

Deleting (or moving away) a message that waits cancels it; \\Flagged sends it now, and a failed one once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.header import first, header_end
from mailbox_appliance.mail.letter import Letter, body_text, mail_fields
from mailbox_appliance.mail.mailbox import SEEN, MailboxStatus
from mailbox_appliance.mail.message import Content
from mailbox_appliance.outbox.folder import SmallFolder
from mailbox_appliance.outbox.sheets import LARGE, Octets, Sheet
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.ports.queue import OwnMessage, OwnMessages, OwnQueue
from mailbox_appliance.ports.store import (
    Appended,
    Copied,
    FlagAction,
    Flagged,
    NewMessage,
    Problem,
    StoreError,
    Watcher,
)
from mailbox_appliance.ports.workers import Workers

NAME = "Outbox"
SENDING, DEFERRED, HELD, FAILED = "$Sending", "$Deferred", "$Held", "$Failed"
BUSY = "it is being sent or has left: too late to take it back"
GONE = "it has left meanwhile"
TOO_LARGE = "a message of this size cannot be copied out of the Outbox: delete it to take it back"
MOST_COPIED = 32 * 1024 * 1024

Append = Callable[[str, Sequence[NewMessage]], Awaitable[Appended]]


class Outbox(SmallFolder):
    """Made for an account while somebody has it open. ``append`` puts copies into other folders."""

    def __init__(
        self,
        account: Address,
        queue: OwnQueue,
        append: Append,
        clock: Clock,
        workers: Workers,
        journal: HasFailed,
        released: Callable[[], None],
    ) -> None:
        super().__init__(NAME, 1, f"O{account}", clock, workers, (SENDING, DEFERRED, HELD, FAILED))
        self._account = account
        self._queue = queue
        self._append = append
        self._journal = journal
        self._released = released
        self._lock = DeferredLock()
        queue.watch(account, self._changed)

    # ------------------------------------------------------------ what is there

    def _changed(self) -> None:
        def broken(failure: Failure) -> None:
            if isinstance(failure.value, Exception):
                self._journal.broken("outbox", failure.value)

        Deferred.fromCoroutine(self.refresh()).addErrback(broken)

    async def refresh(self) -> None:
        """Look again; one look at a time, so that an old answer never comes last."""
        await self._lock.acquire()
        try:
            found = await self._queue.of(self._account)
            self.uidvalidity = found.uidvalidity
            there = {sheet.uid: sheet for sheet in self.sheets}
            sheets = []
            for message in found.messages:
                known = there.get(message.uid)
                if known is not None:
                    sheets.append(replace(known, keywords=_keywords(message)))
                else:
                    sheets.append(await self.workers.run("disk", _sheet, message, self._account))
            self.lay(sheets, found.uidnext)
        finally:
            self._lock.release()

    def release(self, watcher: Watcher) -> None:
        super().release(watcher)
        if not self.watchers:
            self._queue.unwatch(self._account, self._changed)
            self._released()

    # ------------------------------------------------------------ what a user does

    async def mark(
        self,
        uids: Sequence[int],
        action: FlagAction,
        flags: Iterable[str],
        unchanged_since: int | None = None,
        by: Watcher | None = None,
    ) -> Flagged:
        flags = tuple(flags)
        done = await super().mark(uids, action, flags, unchanged_since, by)
        if action is not FlagAction.REMOVE and "\\flagged" in (flag.lower() for flag in flags):
            await self._queue.send_now(self._account, [uid for uid in uids if uid not in done.conflicting])
        return done

    async def remove(self, uids: Sequence[int]) -> tuple[int, ...]:
        cancelled = await self._queue.cancel(self._account, uids)
        await self.refresh()
        if not cancelled:
            raise StoreError(Problem.BUSY, BUSY)
        there = set(self.uids)
        return tuple(uid for uid in uids if uid not in there)

    async def copy(self, uids: Sequence[int], target: str, *, move: bool = False) -> Copied:
        if target == NAME:
            raise StoreError(Problem.NOT_ALLOWED, "it is in the Outbox already")
        chosen = self.chosen(uids)
        if sum(sheet.size for sheet in chosen) > MOST_COPIED:
            raise StoreError(Problem.LIMIT, TOO_LARGE)
        messages = []
        for sheet in chosen:
            try:
                octets = await self.workers.run("disk", sheet.look, _all_of)
            except OSError:
                raise StoreError(Problem.GONE, GONE) from None
            end = header_end(octets)
            content = Content(octets[:end], octets[end:], octets.count(b"\n"))
            messages.append(NewMessage(content, frozenset({"\\Seen"}), float(sheet.date)))
        # The copy first: a fault in between leaves the message twice, never nowhere.
        appended = await self._append(target, messages)
        moved = tuple(sheet.uid for sheet in chosen)
        if move and moved:
            cancelled = await self._queue.cancel(self._account, moved)
            await self.refresh()
            if len(cancelled) < len(moved):
                raise StoreError(Problem.BUSY, f"{BUSY}; a copy is in {target}")
        return Copied(appended.uidvalidity, moved, appended.uids)


def status_of(found: OwnMessages) -> MailboxStatus:
    """What STATUS tells of an Outbox that nobody has open."""
    failed = sum(message.failed for message in found.messages)
    return MailboxStatus(
        messages=len(found.messages),
        recent=0,
        uidnext=found.uidnext,
        uidvalidity=found.uidvalidity,
        unseen=failed,
        highest_modseq=1,
        size=sum(message.size for message in found.messages),
        deleted=0,
    )


def _all_of(octets: Octets) -> bytes:
    return octets[:]


def _keywords(message: OwnMessage) -> frozenset[str]:
    if message.failed:
        return frozenset({FAILED})
    states = {one.state for one in message.recipients}
    words = set()
    if "active" in states:
        words.add(SENDING)
    if states & {"held", "frozen"}:
        words.add(HELD)
    if any(one.tries for one in message.recipients):
        words.add(DEFERRED)
    return frozenset(words)


def _sheet(message: OwnMessage, account: Address) -> Sheet:
    """The message as its folder shows it. For workers."""
    date = int(message.arrived)
    if message.failed:
        octets = _letter(message, account)
        size = len(octets) + octets.count(b"\n")
        return Sheet(message.uid, date, size, octets=octets, keywords=_keywords(message))
    return Sheet(
        message.uid,
        date,
        message.size,
        SEEN,
        path=message.path,
        length=message.octets,
        keywords=_keywords(message),
    )


def _letter(message: OwnMessage, account: Address) -> bytes:
    """Who did not get it and why, with the message (its header only, when it is large) behind it."""
    whole = message.octets <= LARGE
    try:
        with open(message.path, "rb") as file:
            original = file.read(message.octets if whole else message.header_size)
    except OSError:
        original, whole = b"", False
    subject = decode_words(first(original[: header_end(original)], "subject") or b"") or "(no subject)"
    lines = ["Your message was not delivered to:", ""]
    for one in message.recipients:
        lines += [f"  {one.address}", f"      {one.last_reply}"] + ([f"      {one.reason}"] if one.reason else [])
    lines += [
        "",
        "It is not tried any more, and disappears from here after two weeks.",
        "Delete it when you have read this. Give it a star (flag it) to send it once more.",
    ]
    letter = Letter(
        Address("postmaster", account.domain), account, f"Not sent: {subject}", "\n".join(lines), display="Postmaster"
    )
    text, encoding = body_text(letter.text)
    boundary = f"=_{message.trace}.{message.uid}"
    fields = mail_fields(letter, f"<{message.trace}.{message.uid}.outbox@{account.domain}>", message.arrived)
    fields += f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{boundary}"\n\n'
    kind = "message/rfc822" if whole else "text/rfc822-headers"
    return b"".join(
        (
            fields.encode("utf-8", "replace"),
            f"--{boundary}\nContent-Type: text/plain; charset=utf-8\n".encode(),
            f"Content-Transfer-Encoding: {encoding}\n\n".encode(),
            text,
            f"\n--{boundary}\nContent-Type: {kind}\nContent-Disposition: inline\n".encode(),
            f"Content-Transfer-Encoding: {'7bit' if original.isascii() else '8bit'}\n\n".encode(),
            original,
            f"\n--{boundary}--\n".encode(),
        )
    )
