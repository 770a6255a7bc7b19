"""The arguments of APPEND and REPLACE as they come: text, literals that are messages or pieces of one, text again.

A literal is never kept here; who asks for it says where its octets go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailbox_appliance.imap.session import Session
from mailbox_appliance.wire.imap import responses
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor
from mailbox_appliance.wire.imap.server import Chunk, Command, MessageAhead, MessagesEnd, Signal, Unreadable

MOST_STRING = 8192
Sink = Callable[[bytes], Awaitable[None]]


class Incoming:
    """``cursor`` reads the text up to the next literal, or up to the end of the command."""

    def __init__(self, session: Session, event: MessageAhead | Command) -> None:
        self._session = session
        self._ahead = event if isinstance(event, MessageAhead) else None
        self.cursor = Cursor(event.octets, event.at, session.utf8)

    @property
    def ahead(self) -> MessageAhead:
        """The literal that comes next. Raises BadSyntax."""
        if self._ahead is None or not self.cursor.at_end():
            raise BadSyntax("a literal has to come here")
        return self._ahead

    @property
    def ended(self) -> bool:
        """Is the command read to its end?"""
        return self._ahead is None and not self.cursor.octets[self.cursor.at :].strip(b" ")

    async def literal(self, sink: Sink) -> None:
        """Take the literal that comes next. Raises BadSyntax, and what ``sink`` raises."""
        ahead = self.ahead
        reader = self._session.reader
        reader.accept()
        self._ahead = None
        if ahead.waits:
            self._session.say(responses.CONTINUE)
        while True:
            event = await self._next()
            if isinstance(event, Chunk):
                await sink(event.octets)
            elif event is Signal.MESSAGE_ENDS:
                break
            else:
                raise BadSyntax("the message is broken")
        following = await self._next()
        if not isinstance(following, (MessageAhead, MessagesEnd)):
            raise BadSyntax("the command is broken")
        self._ahead = following if isinstance(following, MessageAhead) else None
        self.cursor = Cursor(following.octets, 0, self._session.utf8)

    async def astring(self) -> bytes:
        """An astring, which may come as a literal."""
        if self._ahead is None or not self.cursor.at_end():
            return self.cursor.astring()
        if self._ahead.size > MOST_STRING:
            raise BadSyntax("the string is too long", b"TOOBIG")
        parts: list[bytes] = []

        async def keep(octets: bytes) -> None:
            parts.append(octets)

        await self.literal(keep)
        return b"".join(parts)

    async def _next(self) -> Chunk | Signal | MessageAhead | MessagesEnd | Unreadable:
        while True:
            event = self._session.reader.next()
            if event is None:
                await self._session.more(hurry=True)
            elif isinstance(event, (Chunk, Signal, MessageAhead, MessagesEnd, Unreadable)):
                return event
            else:
                raise BadSyntax("the message is broken")
