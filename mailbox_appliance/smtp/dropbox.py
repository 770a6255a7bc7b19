"""Mail of local programs (cron, backup scripts, a web form): taken from the folder where `sendmail` leaves it.

The folder is open for writing to every user of the machine and for reading to none but us (mode 1733); names are
random, so nobody reads another's mail. A file counts for its owner, as the kernel says: links, devices, second names
and files too large are put aside. What we have accepted is removed, what is put off stays; a crash between the two
sends twice.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from mailbox_appliance.journal.events.dropbox import DropIgnored, DropRefused, DropTaken, DropTrouble
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.delivery import Acceptance, Parcel
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.smtp import dropfolder
from mailbox_appliance.smtp.dropfolder import Found
from mailbox_appliance.smtp.intake import Budget, Intake
from mailbox_appliance.smtp.localmail import Author, LocalMail
from mailbox_appliance.wire.dropped import LONGEST_HEAD, DropError, Dropped, read_head

MOST_AT_ONCE = 50
PIECE = 256 * 1024  # octets
STUCK = 86_400.0  # seconds until a file is looked at again that cannot be put aside
YOUNG = 2.0  # seconds; a folder that has just changed may change again without a change of its time


class DropBox:
    """``user_name`` gives the name of a uid; ``notify`` writes a letter to one of our people."""

    def __init__(
        self,
        clock: Clock,
        workers: Workers,
        journal: FullJournal,
        mail: LocalMail,
        acceptance: Acceptance,
        budget: Budget,
        user_name: Callable[[int], str],
        notify: Callable[[Address, str, str], Awaitable[object]],
    ) -> None:
        self._clock = clock
        self._workers = workers
        self._journal = journal
        self._mail = mail
        self._acceptance = acceptance
        self._budget = budget
        self._user_name = user_name
        self._notify = notify
        self._timer: Timer | None = None
        self._seen = -1  # st_mtime_ns of the folder when it was last emptied
        self._not_before: dict[str, float] = {}  # files that were put off
        self._troubled = False
        self._stopped = False

    # ------------------------------------------------------------ watching

    async def start(self) -> None:
        """Make the folder, and look into it from now on. Trouble is told, and tried again."""
        await self._look()

    async def stop(self) -> None:
        """No more looks; what lies there is found by the next start."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _later(self) -> None:
        if not self._stopped:
            self._timer = self._clock.callLater(self._mail.settings.every, self._tick)

    def _tick(self) -> None:
        Deferred.fromCoroutine(self._look())

    async def _look(self) -> None:
        settings = self._mail.settings
        try:
            moment = await self._workers.run("disk", dropfolder.prepared, settings.folder, settings.mode)
            now = self._clock.seconds()
            if moment != self._seen or any(due <= now for due in self._not_before.values()):
                if await self._empty() and now - moment / 1e9 > YOUNG:
                    self._seen = moment
            self._troubled = False
        except (OSError, Busy) as error:
            self._tell_trouble(error)
        except Exception as error:  # noqa: BLE001 - one look only
            self._journal.broken("dropbox", error)
        self._later()

    def _tell_trouble(self, error: Exception) -> None:
        if not self._troubled and isinstance(error, OSError):
            self._troubled = True
            folder = self._mail.settings.folder
            remedy = f"make {folder} a folder of the service's user, or name another one as [sendmail] drop"
            self._journal.tell(DropTrouble(path=folder, reason=error.strerror or str(error), remedy=remedy))

    async def _empty(self) -> bool:
        """Take what is there; False when there is more."""
        names = await self._workers.run("disk", dropfolder.names, self._mail.settings.folder)
        now = self._clock.seconds()
        self._not_before = {name: due for name, due in self._not_before.items() if name in names}
        due = [name for name in names if self._not_before.get(name, 0.0) <= now]
        for name in due[:MOST_AT_ONCE]:
            if self._stopped:
                return False
            try:
                await self._take(name)
            except (OSError, Busy) as error:
                self._tell_trouble(error)
                self._not_before[name] = now + self._mail.settings.again
            except Exception as error:  # noqa: BLE001 - one file only
                self._journal.broken("dropbox", error)
                self._not_before[name] = now + self._mail.settings.again
        return len(due) <= MOST_AT_ONCE

    # ------------------------------------------------------------ one file

    async def _take(self, name: str) -> None:
        settings = self._mail.settings
        folder, limits = settings.folder, settings.limits
        most = limits.message_size + LONGEST_HEAD if limits.message_size else 0
        found = await self._workers.run("disk", dropfolder.open_file, folder, name, most)
        if isinstance(found, str):
            await self._put_aside(name, "?", found)
            return
        user = self._user_name(found.uid)
        try:
            done = await self._take_open(found, user)
        except DropError as error:
            await self._put_aside(name, user, str(error))
            return
        finally:
            os.close(found.descriptor)
        if done:
            await self._workers.run("disk", dropfolder.remove, folder, name)
        else:
            self._not_before[name] = self._clock.seconds() + self._mail.settings.again

    async def _put_aside(self, name: str, user: str, reason: str) -> None:
        """One that stays where it is comes last from now on: nobody keeps us from the mail of others."""
        self._journal.tell(DropIgnored(user=user, reason=reason))
        if not await self._workers.run("disk", dropfolder.put_aside, self._mail.settings.folder, name):
            self._not_before[name] = self._clock.seconds() + STUCK

    async def _take_open(self, found: Found, user: str) -> bool:
        """False: try again later. Raises DropError."""
        settings, now = self._mail.settings, self._clock.seconds()
        first = await self._workers.run("disk", os.pread, found.descriptor, LONGEST_HEAD, 0)
        dropped, offset = read_head(first)
        author = await self._mail.author(dropped, found.uid, user)
        trace = new_trace_id(now)
        intake = Intake(trace, settings.spool, settings.limits, self._workers, self._budget, self._broken)
        try:
            await self._read(found, offset, intake)
            content = await intake.finish()
            if isinstance(content, Reply):
                return await self._answer(author, dropped.recipients, content)
            return await self._accept(trace, now, author, dropped, content)
        finally:
            await intake.discard()

    async def _read(self, found: Found, offset: int, intake: Intake) -> None:
        """Line ends become LF, NUL goes; a message that begins with no field gets its empty line."""
        begins, carry = True, b""
        while True:
            piece = await self._workers.run("disk", os.pread, found.descriptor, PIECE, offset)
            offset += len(piece)
            text = carry + piece
            carry = b""
            if piece and text.endswith(b"\r"):
                text, carry = text[:-1], b"\r"
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
            if begins and text:
                begins = False
                head = text.partition(b"\n")[0].partition(b":")
                if not head[1] or not head[0] or b" " in head[0].rstrip() or head[0][:1].isspace():
                    text = b"\n" + text
            await intake.take(text, text.count(b"\n"))
            if not piece:
                return

    def _broken(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            self._journal.broken("dropbox", error)

    # ------------------------------------------------------------ into the house

    async def _accept(self, trace: str, now: float, author: Author, dropped: Dropped, content: Content) -> bool:
        addresses = [await self._mail.recipient(text) for text in dropped.recipients]
        forward_paths = tuple(dict.fromkeys(address for address in addresses if address is not None))
        wrong = [text for text, address in zip(dropped.recipients, addresses, strict=True) if address is None]
        if wrong:
            await self._tell(author, tuple(wrong), "that is no address")
        if not forward_paths:
            return True
        if not self._mail.within_limit(author, forward_paths, now):
            reason = f"a user may write to {self._mail.settings.outside_a_day} recipients elsewhere a day"
            return await self._answer(author, dropped.recipients, Reply(550, "5.7.1", reason))
        finished = await self._mail.finished(trace, now, author, dropped.name, content)
        if isinstance(finished, Reply):
            return await self._answer(author, dropped.recipients, finished)
        content, message_id = finished
        sender = author.sender
        envelope = Envelope(
            sender,
            tuple(Recipient(path) for path in forward_paths),
            eight_bit=True,
            smtputf8=not all(path.is_ascii for path in (*forward_paths, *((sender,) if sender else ()))),
        )
        parcel = Parcel(trace, Origin.LOCAL, envelope, content, message_id=message_id)
        receipts = await self._acceptance.accept(parcel)
        taken = tuple(str(one.recipient.forward_path) for one in receipts if one.reply.is_positive)
        refused = [one for one in receipts if not one.reply.is_positive]
        if refused and not taken and any(one.reply.code < 500 for one in refused):
            return False
        if taken:
            shown = str(sender) if sender is not None else ""
            self._journal.tell(
                DropTaken(trace=trace, user=author.user, sender=shown, recipient=taken, size=content.size)
            )
        for one in refused:
            await self._tell(author, (str(one.recipient.forward_path),), one.reply.text)
        return True

    # ------------------------------------------------------------ bad news

    async def _answer(self, author: Author, recipients: tuple[str, ...], reply: Reply) -> bool:
        """True: refused for good, and said so. False: later."""
        if reply.code < 500:
            return False
        await self._tell(author, recipients, reply.text)
        return True

    async def _tell(self, author: Author, recipients: tuple[str, ...], reason: str) -> None:
        sender = author.sender
        shown = str(sender) if sender is not None else ""
        self._journal.tell(DropRefused(user=author.user, sender=shown, recipient=recipients[:20], reason=reason))
        if sender is None or not self._mail.is_ours(sender):
            return
        listed = "\n    ".join(recipients[:20])
        host = self._mail.settings.hostname
        text = (
            f"A message that {author.user} left on {host} could not be sent to\n\n    {listed}\n\nbecause {reason}.\n"
        )
        await self._notify(sender, "A message of a program on this machine could not be sent", text)
