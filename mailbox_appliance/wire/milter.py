"""The milter language as the mail server speaks it, without wires (libmilter's protocol, version 6).

A packet is four octets of length, one that says what it is, and data. The server negotiates (``O``), tells a step
(connection, HELO, sender, recipients, fields, body, end), each preceded by the macros that belong to it (``D``), and
reads an answer to each step but those which the filter has waived. At the end of the message the filter may ask for
changes; those that we can make are told as :class:`Change`, of the others nothing is offered.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from mailbox_appliance.mail.values import dataclass

VERSION = 6
LARGEST_PACKET = 1 << 20
BODY_PIECE = 65_535

# What a filter may ask for (SMFIF_…): add fields, change fields (taken note of, never done), quarantine.
ADD_FIELDS, CHANGE_FIELDS, QUARANTINE = 0x01, 0x10, 0x20
OFFERED = ADD_FIELDS | CHANGE_FIELDS | QUARANTINE
# Steps a filter may do without (SMFIP_NO…), steps it does not answer (SMFIP_NR_…), and three more abilities.
STEPS_OFFERED = 0x1FFFFF
LEADING_SPACE = 0x100000


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of packet: its letter, the bit that leaves it out, the bit that leaves its answer out."""

    letter: bytes
    left_out: int
    unanswered: int


CONNECT = Step(b"C", 0x01, 0x1000)
HELO = Step(b"H", 0x02, 0x2000)
MAIL = Step(b"M", 0x04, 0x4000)
RCPT = Step(b"R", 0x08, 0x8000)
DATA = Step(b"T", 0x200, 0x10000)
FIELD = Step(b"L", 0x20, 0x80)
END_OF_HEADER = Step(b"N", 0x40, 0x40000)
BODY = Step(b"B", 0x10, 0x80000)
END = Step(b"E", 0, 0)
QUIT = b"Q"

# Answers (SMFIR_…).
CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD = b"c", b"a", b"r", b"t", b"d"
REPLY, SKIP, PROGRESS, SHUTDOWN, CONNECTION_FAILS = b"y", b"s", b"p", b"4", b"f"
ADD_FIELD, INSERT_FIELD, QUARANTINED = b"h", b"i", b"q"
_FINAL = frozenset({CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, REPLY, SKIP, SHUTDOWN, CONNECTION_FAILS})


class MilterWrong(ValueError):
    """The filter says what no filter should."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet from the filter."""

    letter: bytes
    data: bytes = b""

    @property
    def is_final(self) -> bool:
        """Does it end the wait for an answer?"""
        return self.letter in _FINAL


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the negotiation came to."""

    version: int
    actions: int
    steps: int

    def sends(self, step: Step) -> bool:
        """Is this step told at all?"""
        return not self.steps & step.left_out

    def answers(self, step: Step) -> bool:
        """Is it answered?"""
        return not self.steps & step.unanswered


@dataclass(frozen=True, slots=True)
class Change:
    """A field to be added, or with ``name`` "" the reason of a quarantine."""

    name: str
    value: str


class Packets:
    """Octets in, packets out."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def take(self, octets: bytes) -> list[Packet]:
        """Those that are whole now. Raises MilterWrong."""
        self._buffer += octets
        found = []
        at = 0
        while len(self._buffer) - at >= 4:
            (length,) = struct.unpack_from("!I", self._buffer, at)
            if not 1 <= length <= LARGEST_PACKET:
                raise MilterWrong(f"a packet of {length} octets")
            if len(self._buffer) - at - 4 < length:
                break
            body = bytes(self._buffer[at + 4 : at + 4 + length])
            found.append(Packet(body[:1], body[1:]))
            at += 4 + length
        del self._buffer[:at]
        return found


def packet(letter: bytes, data: bytes = b"") -> bytes:
    """One packet."""
    return struct.pack("!I", len(data) + 1) + letter + data


def negotiate() -> bytes:
    """The first packet of a connection."""
    return packet(b"O", struct.pack("!III", VERSION, OFFERED, STEPS_OFFERED))


def agreed(answer: Packet) -> Agreed:
    """What the filter wants. Raises MilterWrong when we cannot give it."""
    if answer.letter != b"O" or len(answer.data) < 12:
        raise MilterWrong("the filter does not negotiate")
    version, actions, steps = struct.unpack_from("!III", answer.data)
    if not 2 <= version <= VERSION:
        raise MilterWrong(f"the filter wants version {version} of the protocol")
    if actions & ~OFFERED:
        raise MilterWrong(f"the filter asks for actions that were not offered ({actions & ~OFFERED:#x})")
    return Agreed(version, actions, steps)


def macros(step: Step, values: Mapping[str, str]) -> bytes:
    """The macros of a step; b"" when there are none."""
    if not values:
        return b""
    return packet(b"D", step.letter + _strings(one for pair in values.items() for one in pair))


def connect(name: str, address: str, port: int) -> bytes:
    """Who has connected: his name (or the address in brackets), his address."""
    family = b"6" if ":" in address else b"4"
    return packet(b"C", _strings([name]) + family + struct.pack("!H", port) + _strings([address]))


def helo(name: str) -> bytes:
    """What he calls himself."""
    return packet(b"H", _strings([name]))


def mail(reverse_path: str) -> bytes:
    """ "<a@b>", or "<>"."""
    return packet(b"M", _strings([reverse_path]))


def rcpt(forward_path: str) -> bytes:
    """ "<a@b>"."""
    return packet(b"R", _strings([forward_path]))


def field(name: bytes, value: bytes, agreement: Agreed) -> bytes:
    """One header field; the blank behind the colon goes along only when the filter wants it."""
    if not agreement.steps & LEADING_SPACE:
        value = value.removeprefix(b" ")
    return packet(b"L", name.replace(b"\0", b" ") + b"\0" + value.replace(b"\0", b" ") + b"\0")


def body(piece: bytes) -> bytes:
    """At most BODY_PIECE octets."""
    return packet(b"B", piece)


def _strings(texts: Iterable[str]) -> bytes:
    return b"".join(text.replace("\0", " ").encode("utf-8", "replace") + b"\0" for text in texts)


def change_of(answer: Packet) -> Change | None:
    """What a packet at the end of the message asks for; None for what is no change or is not made."""
    data = answer.data
    if answer.letter == QUARANTINED:
        return Change("", _text(data.partition(b"\0")[0]))
    if answer.letter == INSERT_FIELD:
        data = data[4:]
    elif answer.letter != ADD_FIELD:
        return None
    name, _, rest = data.partition(b"\0")
    return Change(_text(name), _text(rest.partition(b"\0")[0])) if name else None


def reply_text(answer: Packet) -> str:
    """ "550 5.7.1 text" of a REPLY packet."""
    return _text(answer.data.partition(b"\0")[0])


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
