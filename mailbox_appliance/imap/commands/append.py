"""APPEND with one message or many (RFC 3501 §6.3.11, RFC 3502 MULTIAPPEND, RFC 4315 APPENDUID, RFC 7889 APPENDLIMIT).

What can be refused is refused before "+", so that no client sends a message in vain; a message that comes without
waiting is swallowed. All messages are stored or none.
"""

from __future__ import annotations

from typing import NoReturn

from mailbox_appliance.imap.commands.store import checked_flags
from mailbox_appliance.imap.intake import HoldsNul, Intake
from mailbox_appliance.imap.session import Ended, Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row, refusal
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.store import NewMessage, StoreError
from mailbox_appliance.wire.imap import responses, sets
from mailbox_appliance.wire.imap.commands import MessageHead
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor
from mailbox_appliance.wire.imap.parse import message_head
from mailbox_appliance.wire.imap.server import Chunk, MessageAhead, MessagesEnd, Signal, Unreadable

MOST_MESSAGES = 1000  # of one command


def without_message(cursor: Cursor) -> NoReturn:
    """APPEND with no literal at its end."""
    raise BadSyntax("the message has to come as a literal")


async def append(session: Session, ahead: MessageAhead) -> Done:
    """Take the messages as they come, then store them."""
    intakes: list[Intake] = []
    try:
        mailbox, messages = await _take_all(session, ahead, intakes)
        try:
            appended = await session.store.append(mailbox, messages)
        except StoreError as error:
            raise refusal(error, target=True) from None
    except BaseException as error:
        if not session.reader.abandon() and isinstance(error, (Refused, BadSyntax)):
            raise Ended("abuse", str(error)) from None
        raise
    finally:
        for intake in intakes:
            await intake.discard()
    return Done("Appended.", b"APPENDUID %d %b" % (appended.uidvalidity, sets.say_set(appended.uids)))


async def _take_all(session: Session, ahead: MessageAhead, intakes: list[Intake]) -> tuple[str, tuple[NewMessage, ...]]:
    messages: list[NewMessage] = []
    mailbox = ""
    octets = 0
    while True:
        head = message_head(Cursor(ahead.octets, ahead.at), first=ahead.first)
        flags = checked_flags(head.flags)
        mailbox = mailbox or head.mailbox
        octets += ahead.size
        await _check(session, mailbox, ahead, octets, len(messages))
        session.reader.accept()
        if ahead.waits:
            session.say(responses.CONTINUE)
        settings = session.house.settings
        intake = Intake(session.house.workers, settings.spool, settings.in_memory if len(intakes) < 4 else 16_384)
        intakes.append(intake)
        content = await _take(session, intake)
        messages.append(NewMessage(content, flags, *_date(head)))
        following = await _next(session)
        if isinstance(following, MessageAhead):
            ahead = following
        elif isinstance(following, MessagesEnd):
            if following.octets.strip(b" "):
                raise BadSyntax("there is more in the command than belongs to it")
            return mailbox, tuple(messages)
        else:
            raise BadSyntax("the command is broken")


def _date(head: MessageHead) -> tuple[float | None, int]:
    return head.date, head.zone


async def _check(session: Session, mailbox: str, ahead: MessageAhead, octets: int, before: int) -> None:
    """Everything that can be refused before the message is sent. Raises Refused."""
    limit = session.house.settings.message_size
    if limit and ahead.size > limit:
        raise Refused(f"A message may have at most {limit} octets.", b"TOOBIG")
    if not ahead.size:
        raise Refused("An empty message cannot be stored.")
    if before >= MOST_MESSAGES:
        raise Refused(f"At most {MOST_MESSAGES} messages can be appended at once.", b"LIMIT")
    if not ahead.waits and octets <= session.house.settings.in_memory:
        return  # it is on its way already, and small: the store will say it
    if ahead.first and not any(
        info.name == mailbox and info.selectable and info.exists for info in await session.store.mailboxes()
    ):
        raise Refused("There is no such mailbox.", b"TRYCREATE")
    quota = await session.store.quota()
    if quota.limit and quota.used + octets > quota.limit:
        raise Refused("The mailbox is full.", b"OVERQUOTA")


async def _take(session: Session, intake: Intake) -> Content:
    """One message literal."""
    try:
        while True:
            event = await _next(session)
            if isinstance(event, Chunk):
                await intake.take(event.octets)
            elif event is Signal.MESSAGE_ENDS:
                return await intake.finish()
            else:
                raise BadSyntax("the message is broken")
    except HoldsNul:
        raise Refused("The message holds a NUL, which IMAP cannot carry.", b"CANNOT") from None
    except OSError as error:
        session.house.journal.broken("imap", error)
        raise Refused("The message cannot be kept now, try again later.", b"UNAVAILABLE") from None


async def _next(session: Session) -> Chunk | Signal | MessageAhead | MessagesEnd | Unreadable:
    while True:
        event = session.reader.next()
        if event is None:
            await session.more()
        elif isinstance(event, (Chunk, Signal, MessageAhead, MessagesEnd, Unreadable)):
            return event
        else:
            raise BadSyntax("the message is broken")


ROWS = (Row("APPEND", LOGGED_IN, without_message, append),)
