"""APPEND and REPLACE (RFC 3501 §6.3.11, RFC 3502 MULTIAPPEND, RFC 4315 APPENDUID, RFC 7889 APPENDLIMIT, RFC 8508).

A message comes as a literal, as one that may hold NUL (RFC 3516), as UTF8 (RFC 9755) or in pieces (RFC 4469 CATENATE).
What can be refused is refused before "+", so that no client sends a message in vain; a message that comes without
waiting is swallowed. All messages are stored or none.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import field

from mailbox_appliance.imap import ration
from mailbox_appliance.imap.catenate import pour
from mailbox_appliance.imap.commands.chosen import chosen_uids
from mailbox_appliance.imap.commands.store import checked_flags
from mailbox_appliance.imap.incoming import Incoming
from mailbox_appliance.imap.intake import HoldsNul, Intake
from mailbox_appliance.imap.session import Ended, Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row, State, refusal
from mailbox_appliance.journal.events.store import StoreFull
from mailbox_appliance.mail.search import SequenceSet
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Appended, FlagAction, NewMessage, StoreError
from mailbox_appliance.wire.imap import commands, responses, sets
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor
from mailbox_appliance.wire.imap.parse import message_head
from mailbox_appliance.wire.imap.server import Command, MessageAhead

MOST_MESSAGES = 1000  # of one command


@dataclass(slots=True)
class _Load:
    """Messages on their way to ``mailbox``."""

    session: Session
    incoming: Incoming
    mailbox: str
    intakes: list[Intake] = field(default_factory=list)
    octets: int = 0  # of all messages so far
    of_message: int = 0

    def intake(self) -> Intake:
        """For one more message."""
        settings = self.session.house.settings
        made = Intake(
            self.session.house.workers, settings.spool, settings.in_memory if len(self.intakes) < 4 else 16_384
        )
        self.intakes.append(made)
        self.of_message = 0
        return made

    async def count(self, size: int, *, waits: bool) -> None:
        """``size`` octets more are to come: everything that can be refused before they do. Raises Refused."""
        settings = self.session.house.settings
        self.octets += size
        self.of_message += size
        if settings.message_size and self.of_message > settings.message_size:
            raise Refused(f"A message may have at most {settings.message_size} octets.", b"TOOBIG")
        if len(self.intakes) > MOST_MESSAGES:
            raise Refused(f"At most {MOST_MESSAGES} messages can be appended at once.", b"LIMIT")
        if not waits and self.octets <= settings.in_memory:
            return  # it is on its way already, and small: the store will say it
        try:
            await self.session.store.check_room(self.mailbox, self.octets)
        except StoreError as error:
            raise refusal(error, target=True) from None

    async def literal(self, intake: Intake) -> None:
        """One literal into the message."""
        ahead = self.incoming.ahead
        await self.count(ahead.size, waits=ahead.waits)
        await self.incoming.literal(intake.take_binary if ahead.binary else intake.take)

    async def url(self, intake: Intake) -> None:
        """What a URL names, into the message."""
        await self.count(0, waits=True)  # a mailbox that is not there is worse than a URL
        url = await self.incoming.astring()

        async def take(octets: bytes) -> None:
            await self.count(len(octets), waits=False)
            await intake.take(octets)

        await pour(self.session, url, take)


def by_itself(cursor: Cursor) -> Cursor:
    """APPEND and REPLACE without a literal: only CATENATE can do without."""
    return cursor


async def append(session: Session, given: MessageAhead | Cursor) -> Done:
    """Take the messages as they come, then store them."""

    def head(cursor: Cursor) -> str:
        cursor.space()
        return cursor.mailbox()

    _, appended = await _append(session, given, head)
    return Done("Appended.", _code(appended))


async def _append(
    session: Session, given: MessageAhead | Cursor, head: Callable[[Cursor], str], most: int = 0
) -> tuple[str, Appended]:
    event = given if isinstance(given, MessageAhead) else Command(session.tag, "", given.octets, given.at)
    incoming = Incoming(session, event)
    load: _Load | None = None
    try:
        mailbox = head(incoming.cursor)
        load = _Load(session, incoming, mailbox)
        messages = [await _message(load)]
        while not incoming.ended and (not most or len(messages) < most):
            ration.check(session, len(messages) + 1)
            messages.append(await _message(load))
        incoming.cursor.end()
        try:
            return mailbox, await session.store.append(mailbox, messages)
        except StoreError as error:
            raise refusal(error, target=True) from None
    except BaseException as error:
        if not session.reader.abandon() and isinstance(error, (Refused, BadSyntax)):
            raise Ended("abuse", str(error)) from None
        raise
    finally:
        for intake in load.intakes if load is not None else ():
            await intake.discard()


async def _message(load: _Load) -> NewMessage:
    """[flags] [date] and the message, in one of its four forms."""
    incoming = load.incoming
    head: commands.MessageHead = message_head(incoming.cursor)
    flags = checked_flags(head.flags)
    intake = load.intake()
    try:
        if incoming.cursor.skip_word("CATENATE"):
            await _pieces(load, intake)
        elif incoming.cursor.skip_word("UTF8"):  # RFC 9755 §4
            incoming.cursor.expect(b" (")
            if not incoming.ahead.binary:
                raise BadSyntax("UTF8 takes a literal of the kind ~{…}")
            await load.literal(intake)
            incoming.cursor.expect(b")")
        elif not incoming.ahead.size:
            raise Refused("An empty message cannot be stored.")
        else:
            await load.literal(intake)
        if not load.of_message:
            raise Refused("An empty message cannot be stored.")
        content = await intake.finish()
    except HoldsNul:
        raise Refused("The message holds a NUL, which cannot be stored.", b"UNKNOWN-CTE") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            load.session.house.journal.tell(StoreFull(account=str(load.session.account), private=str(error)))
            raise Refused("The disk of the server is full; nothing was lost.", b"UNAVAILABLE") from None
        load.session.house.journal.broken("imap", error)
        raise Refused("The message cannot be kept now, try again later.", b"UNAVAILABLE") from None
    return NewMessage(content, flags, head.date, head.zone)


async def _pieces(load: _Load, intake: Intake) -> None:
    """CATENATE SP "(" TEXT SP literal / URL SP astring … ")" (RFC 4469 §5)."""
    incoming = load.incoming
    incoming.cursor.expect(b" (")
    while True:
        word = incoming.cursor.word()
        incoming.cursor.space()
        if word == "TEXT":
            await load.literal(intake)
        elif word == "URL":
            await load.url(intake)
        else:
            raise BadSyntax("expected TEXT or URL")
        if incoming.cursor.skip(b")"):
            return
        incoming.cursor.space()


def _code(appended: Appended) -> bytes:
    return b"APPENDUID %d %b" % (appended.uidvalidity, sets.say_set(appended.uids))


async def replace(session: Session, given: MessageAhead | Cursor) -> Done:
    """REPLACE: the new message is stored, then the old one goes (RFC 8508)."""
    return await _replace(session, given, uids=False)


async def uid_replace(session: Session, given: MessageAhead | Cursor) -> Done:
    """UID REPLACE."""
    return await _replace(session, given, uids=True)


async def _replace(session: Session, given: MessageAhead | Cursor, *, uids: bool) -> Done:
    box = session.box
    chosen: list[int] = []

    def head(cursor: Cursor) -> str:
        cursor.space()
        number = None if cursor.skip(b"*") else cursor.nonzero()
        cursor.space()
        mailbox = cursor.mailbox()
        chosen.extend(chosen_uids(session, SequenceSet(((number, number),), uids)))
        if box.read_only:
            raise Refused("This mailbox is open for reading only.", b"CANNOT")
        if not {"t", "e"} <= box.mailbox.rights:
            raise Refused("You may not take messages out of this mailbox.", b"NOPERM")
        if not chosen or box.index(chosen[0]) < 0:
            raise Refused("There is no such message.", b"EXPUNGEISSUED")
        return mailbox

    _, appended = await _append(session, given, head, most=1)
    session.say(responses.condition(b"OK", "The replacement is stored.", _code(appended)))
    await box.mailbox.mark(chosen, FlagAction.ADD, ("\\Deleted",), None, box)
    await box.mailbox.expunge(chosen)
    return Done("Replaced.")


ROWS = (
    Row("APPEND", LOGGED_IN, by_itself, append),
    Row("REPLACE", State.SELECTED, by_itself, replace),
    Row("UID REPLACE", State.SELECTED, by_itself, uid_replace),
)
