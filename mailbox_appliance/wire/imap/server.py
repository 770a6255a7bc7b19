"""The server's ear: octets in, commands out, literals put in their places, every buffer bounded (RFC 3501 §2.2).

``feed`` takes what the peer sent, ``next`` gives one event or None when more octets are needed. Commands are pulled, so
that whatever the peer pipelines waits here until its turn; ``buffered`` tells how much does. A synchronizing literal
gives Continue: the session says "+ OK" when its turn has come (RFC 7888 literals give nothing).

The message literals of APPEND are never kept: MessageAhead asks the session, which calls ``accept`` and then gets
Chunks and a MessageEnds, or calls ``refuse``: then what comes without waiting is swallowed.

State           what the next octets are
--------------  -----------------------------------------------------------------------------
line            the command's line up to LF; ends in a literal's length, or the command is whole
literal         ``_literal`` octets that belong into the command
message         ``_message`` octets of an APPEND, given on as they come
swallowing      ``_swallow`` octets, then the rest of a command that was refused already
"""

from __future__ import annotations

import enum
import re

from mailbox_appliance.mail.values import dataclass

CHUNK = 65536
# Commands whose last literals are messages, and how many arguments come before these.
STREAMED = {"APPEND": 1, "REPLACE": 2, "UID REPLACE": 2}

_VERB = re.compile(rb"([^\x00-\x20(){%*\"\\+\x7f-\xff]{1,100}) ([A-Za-z0-9_.-]{1,30})(?: ([A-Za-z]{1,30})(?= ))?")
_TAG = re.compile(rb"([^\x00-\x20(){%*\"\\+\x7f-\xff]{1,100})(?: |$)")
# A web browser that was led here, perhaps with a script in its lines, which must not come back as tags.
_HTTP = re.compile(rb"[A-Z]{3,7} (?=\S*[/:*])\S+ HTTP/[0-9]")
_LITERAL = re.compile(rb"(~?)\{([0-9]{1,20})([+-]?)\}$")


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets: of one line, of one literal, of one command with all its literals (messages not counted)."""

    line: int = 65_536
    literal: int = 8_192
    command: int = 131_072


@dataclass(frozen=True, slots=True)
class Command:
    """A whole command: ``verb`` in upper case ("UID FETCH" is one), its arguments from ``octets[at]`` on."""

    tag: bytes
    verb: str
    octets: bytes
    at: int


class Signal(enum.Enum):
    """Events without contents."""

    CONTINUE = "say + and the literal will come"
    MESSAGE_ENDS = "the message literal is whole"


@dataclass(frozen=True, slots=True)
class MessageAhead:
    """A message literal of ``size`` octets is announced; ``octets[at:]`` is what stood before it since the last one."""

    tag: bytes
    verb: str
    octets: bytes
    at: int
    size: int
    waits: bool  # the peer waits for "+"
    binary: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """Octets of the message literal."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class MessagesEnd:
    """After the last message of the command: ``octets`` is the rest of its line."""

    tag: bytes
    octets: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No command: ``tag`` (b"*" when none could be read) gets BAD; ``fatal``: nothing after it can be understood."""

    tag: bytes
    text: str
    code: bytes = b""
    fatal: bool = False


Event = Command | Signal | MessageAhead | Chunk | MessagesEnd | Unreadable


class LineTooLong(Exception):
    """The line which the session waits for is longer than it may be."""


class Reader:
    """One connection's ear."""

    __slots__ = (
        "_ahead",
        "_at",
        "_buffer",
        "_dropping_line",
        "_literal",
        "_message",
        "_parts",
        "_scanned",
        "_swallow",
        "_tag",
        "_verb",
        "limits",
        "most_swallowed",
    )

    def __init__(self, limits: Limits, most_swallowed: int = 1 << 20) -> None:
        self.limits = limits
        self.most_swallowed = most_swallowed
        self._buffer = bytearray()
        self.reset()

    def reset(self) -> None:
        """Forget everything, as STARTTLS must: what came before it must never be read after it (RFC 3501 §6.2.1)."""
        self._buffer.clear()
        self._scanned = 0  # octets of the buffer known to hold no LF
        self._ahead: MessageAhead | None = None
        self._start()

    def _start(self) -> None:
        self._parts = bytearray()  # the command so far; literals divide it, thousands of them perhaps
        self._literal = 0
        self._message = -1
        self._swallow = 0
        self._dropping_line = False
        self._tag = b""
        self._verb = ""
        self._at = 0

    @property
    def buffered(self) -> int:
        """Octets that wait to be read."""
        return len(self._buffer)

    def feed(self, octets: bytes) -> None:
        """Take what the peer sent."""
        self._buffer += octets

    def take_rest(self) -> bytes:
        """Everything that waits, given back: from here on the peer's octets are compressed (RFC 4978 §3)."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return rest

    # ------------------------------------------------------------ what the session pulls

    def line(self, most: int) -> bytes | None:
        """The next line, when it is no command (IDLE's DONE, SASL): without its end. Raises LineTooLong."""
        line = self._take_line()
        if line is None:
            if len(self._buffer) > most:
                raise LineTooLong
            return None
        if len(line) > most:
            raise LineTooLong
        return line

    def next(self) -> Event | None:
        """The next event, or None: feed more."""
        while True:
            if self._swallow or self._dropping_line:
                if not self._swallowed():
                    return None
            elif self._message >= 0:
                return self._next_of_message()
            elif self._literal:
                if len(self._buffer) < self._literal:
                    return None
                self._parts += self._take(self._literal)
                self._literal = 0
            else:
                line = self._take_line()
                if line is None:
                    if len(self._buffer) <= self.limits.line:
                        return None
                    return self._drop_line()
                if len(line) > self.limits.line:
                    return self._too_long(line)
                event = self._read_line(line)
                if event is not None:
                    return event

    def accept(self) -> None:
        """Take the message that was announced."""
        if self._ahead is None:
            raise RuntimeError("no message is announced")
        self._message = self._ahead.size
        self._ahead = None

    def refuse(self) -> bool:
        """Refuse it: what comes all the same is swallowed. False when that is too much to swallow: close then."""
        if self._ahead is None:
            raise RuntimeError("no message is announced")
        ahead, self._ahead = self._ahead, None
        return self._give_up(b"" if ahead.waits else b"+", ahead.size)

    def abandon(self) -> bool:
        """Give up the message that is announced or under way, with the rest of its command; as ``refuse``."""
        if self._message < 0:
            return self._ahead is None or self.refuse()
        return self._give_up(b"+", self._message)

    # ------------------------------------------------------------ inside

    def _take(self, octets: int) -> bytes:
        taken = bytes(self._buffer[:octets])
        del self._buffer[:octets]
        self._scanned = 0
        return taken

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._buffer)
            return None
        line = self._take(end + 1)
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def _read_line(self, line: bytes) -> Event | None:
        """One line of the command. None: read on."""
        literal = _LITERAL.search(line) if line.endswith(b"}") else None
        if not self._parts:
            if not line:
                return None  # some clients send an empty line after a literal's own
            if _HTTP.match(line):
                return Unreadable(b"*", "this is IMAP", fatal=True)
            event = self._begin(line, literal)
            if event is not None:
                return event
        self._parts += line
        length = len(self._parts)
        if length > self.limits.command:
            return self._refuse_command(literal, "the command is too long")
        if literal is None:
            command = Command(self._tag, self._verb, bytes(self._parts), self._at)
            self._start()
            return command
        size = int(literal[2])
        start = length - len(literal[0])
        before = STREAMED.get(self._verb)
        if before and len(self._parts[self._at : start].split(None, before)) >= before:
            return self._announce(bytes(self._parts[:start]), self._at, literal)
        if size > self.limits.literal or length + size > self.limits.command:
            return self._refuse_command(literal, "the literal is too long")
        self._parts += b"\r\n"
        self._literal = size
        return None if literal[3] else Signal.CONTINUE

    def _begin(self, line: bytes, literal: re.Match[bytes] | None) -> Unreadable | None:
        """Tag and verb of a new command."""
        found = _VERB.match(line)
        if found is None:
            tag = _TAG.match(line)
            self._tag = tag[1] if tag else b"*"
            return self._refuse_command(literal, "a command is a tag, a space and a name", code=b"")
        self._tag = found[1]
        self._verb = found[2].decode("ascii").upper()
        self._at = found.end(2)
        if self._verb == "UID" and found[3] is not None:
            self._verb = "UID " + found[3].decode("ascii").upper()
            self._at = found.end(3)
        return None

    def _announce(self, octets: bytes, at: int, literal: re.Match[bytes]) -> MessageAhead | Unreadable:
        size = int(literal[2])
        if size >= 1 << 63:
            return self._refuse_command(literal, "the literal is too long")
        ahead = MessageAhead(self._tag, self._verb, octets, at, size, not literal[3], bool(literal[1]))
        self._ahead = ahead
        self._parts = bytearray()
        return ahead

    def _next_of_message(self) -> Event | None:
        if self._message:
            if not self._buffer:
                return None
            octets = self._take(min(self._message, len(self._buffer), CHUNK))
            self._message -= len(octets)
            return Chunk(octets)
        if self._parts != b"ended":
            self._parts += b"ended"
            return Signal.MESSAGE_ENDS
        line = self._take_line()
        if line is None:
            return self._drop_line() if len(self._buffer) > self.limits.line else None
        if len(line) > self.limits.line:
            return self._too_long(line)
        literal = _LITERAL.search(line) if line.endswith(b"}") else None
        if literal is not None:
            self._message = -1
            return self._announce(line[: literal.start()], 0, literal)
        tag = self._tag
        self._start()
        return MessagesEnd(tag, line)

    def _refuse_command(self, literal: re.Match[bytes] | None, text: str, *, code: bytes = b"TOOBIG") -> Unreadable:
        tag = self._tag or b"*"
        fatal = not self._give_up(b"", 0) if literal is None else not self._give_up(literal[3], int(literal[2]))
        return Unreadable(tag, text, code, fatal)

    def _give_up(self, sign: bytes, size: int) -> bool:
        """The command is over for us; a literal that comes all the same is swallowed with the line behind it."""
        self._start()
        if not sign:
            return True  # the peer waits for "+" and learns from the tagged answer that it need not send
        if size > self.most_swallowed:
            return False
        self._swallow = size
        self._dropping_line = True
        return True

    def _swallowed(self) -> bool:
        """Drop what is to be dropped; True when it is all gone."""
        if self._swallow:
            gone = min(self._swallow, len(self._buffer))
            del self._buffer[:gone]
            self._scanned = 0
            self._swallow -= gone
            if self._swallow:
                return False
        line = self._take_line()
        if line is None:
            if len(self._buffer) > 100:  # the end of the line may hold another literal's length
                del self._buffer[:-100]
                self._scanned = 0
            return False
        self._dropping_line = False
        literal = _LITERAL.search(line) if line.endswith(b"}") else None
        if literal is not None and literal[3]:
            self._swallow = min(int(literal[2]), self.most_swallowed)
            self._dropping_line = True
        return True

    def _drop_line(self) -> Unreadable:
        """A line without end: its tag gets BAD, the rest of it is dropped as it comes."""
        event = self._too_long(bytes(self._buffer[:200]))
        self._dropping_line = True
        return event

    def _too_long(self, line: bytes) -> Unreadable:
        if not self._tag:
            found = _TAG.match(line)
            self._tag = found[1] if found else b"*"
        tag = self._tag
        self._start()
        return Unreadable(tag, "the line is too long", b"TOOBIG")
