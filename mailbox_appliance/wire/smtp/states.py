"""The states of the server's machine.

A conversation is in one of these states::

    BANNER    nothing was said yet; whoever talks now did not wait for us
    START     greeted; the peer has not said its name
    READY     no transaction
    MAIL      a sender was accepted, no recipient yet
    RCPT      at least one recipient was accepted
    DATA      content flows until CRLF "." CRLF
    CHUNK     the octets of one BDAT flow
    CHUNKS    between two BDATs of one message
    FAILED    a BDAT was refused: all further ones are swallowed until RSET (RFC 3030 §2)
    SWALLOW   the octets of a refused BDAT flow; its reply is said at their end
    SASL      the next line is a response to a challenge
    TLS       220 was said to STARTTLS; nothing in clear is listened to any more
    CLOSED    the last word was said
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where a conversation stands."""

    BANNER = enum.auto()
    START = enum.auto()
    READY = enum.auto()
    MAIL = enum.auto()
    RCPT = enum.auto()
    DATA = enum.auto()
    CHUNK = enum.auto()
    CHUNKS = enum.auto()
    FAILED = enum.auto()
    SWALLOW = enum.auto()
    SASL = enum.auto()
    TLS = enum.auto()
    CLOSED = enum.auto()


# In these a line is a command.
COMMAND_STATES = frozenset({State.START, State.READY, State.MAIL, State.RCPT, State.CHUNKS, State.FAILED})
