"""The language of the link between a store and its edge: lines of the control channel, as values.

One line is one thing said: words separated by single blanks, UTF-8, ended by LF, at most LONGEST_LINE octets. Addresses
are percent-encoded where they hold blanks. Whoever says something that is not in the table below is hung up on.

    both    hello 1 HOSTNAME               who speaks; the first line of each side
            ping N, pong N                 is the line still there?
            status QUEUED FREE             how many recipients wait for the other side; free octets of the disk
    store   list NEW OLD                   from here on changes of the recipients' list; OLD is - for a whole one
            + KIND FLAGS ADDRESS TEXT      an entry (a second one of the same address replaces the first)
            - KIND ADDRESS                 an entry that goes
            end NEW                        that was all; the list's digest is NEW now
            answer N CODE ENHANCED TEXT    to ask N
            door HOST PORT SECRET PINS     where its port 587 is, the edge's secret, the keys it shows; door - : none
    edge    have DIGEST COUNT              the list it holds; - when it holds none
            ask N OCTETS ADDRESS           would this recipient be taken?
            count KIND DAY N DATA          dmarc or tls: seen so often on a day (since 1970), for the store's reports to
                                           others; DATA is a JSON array
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import field
from urllib.parse import unquote

from mailbox_appliance.mail.values import dataclass

LONGEST_LINE = 2048
LONGEST_TEXT = 250
KINDS = ("domain", "address", "catchall", "gone", "sender", "person")
NONE = "-"


class LinkWrong(ValueError):
    """The other side does not speak our language; str() says where."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the recipients' list.

    domain    a domain of the store's
    address   somebody there; flags: d = subaddresses too (ann+shop), f = the mailbox is full; ``text`` is the account
              it leads to when that is one alone with another name
    catchall  whatever else stands before that domain
    gone      an address that was given up: ``text`` is said to whoever writes to it
    sender    "account sender": flags b = whose mail the account does not take, a = whose it always takes; the sender
              is an address or "@domain"
    person    how somebody there is called (``text``): whom forgers imitate
    """

    kind: str
    address: str
    flags: str = ""
    text: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What it replaces."""
        return self.kind, self.address

    def line(self) -> str:
        """Without the sign before it."""
        words = f"{self.kind} {self.flags or NONE} {encoded(self.address)}"
        return f"{words} {self.text}" if self.text else words


@dataclass(frozen=True, slots=True)
class Hello:
    hostname: str

    def line(self) -> str:
        return f"hello 1 {self.hostname}"


@dataclass(frozen=True, slots=True)
class Ping:
    number: int

    def line(self) -> str:
        return f"ping {self.number}"


@dataclass(frozen=True, slots=True)
class Pong:
    number: int

    def line(self) -> str:
        return f"pong {self.number}"


@dataclass(frozen=True, slots=True)
class Status:
    queued: int
    free: int

    def line(self) -> str:
        return f"status {self.queued} {self.free}"


@dataclass(frozen=True, slots=True)
class ListBegins:
    new: str
    old: str  # "" for a whole list

    def line(self) -> str:
        return f"list {self.new} {self.old or NONE}"


@dataclass(frozen=True, slots=True)
class Added:
    entry: Entry

    def line(self) -> str:
        return f"+ {self.entry.line()}"


@dataclass(frozen=True, slots=True)
class Removed:
    kind: str
    address: str

    def line(self) -> str:
        return f"- {self.kind} {encoded(self.address)}"


@dataclass(frozen=True, slots=True)
class ListEnds:
    new: str

    def line(self) -> str:
        return f"end {self.new}"


@dataclass(frozen=True, slots=True)
class Have:
    digest: str  # "" for none
    count: int

    def line(self) -> str:
        return f"have {self.digest or NONE} {self.count}"


@dataclass(frozen=True, slots=True)
class Ask:
    number: int
    octets: int
    address: str

    def line(self) -> str:
        return f"ask {self.number} {self.octets} {encoded(self.address)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """``code`` 250: it would be taken; else what to say."""

    number: int
    code: int
    enhanced: str
    text: str

    def line(self) -> str:
        return f"answer {self.number} {self.code} {self.enhanced or NONE} {self.text}"


@dataclass(frozen=True, slots=True)
class Door:
    """The store's port 587, straight from the edge. ``pins``: SHA-256 of its certificates' keys (SPKI), in hex."""

    host: str = ""  # "": there is none
    port: int = 0
    secret: str = field(default="", repr=False)
    pins: tuple[str, ...] = ()

    def line(self) -> str:
        return f"door {self.host} {self.port} {self.secret} {','.join(self.pins)}" if self.host else f"door {NONE}"


@dataclass(frozen=True, slots=True)
class Count:
    """What the edge has seen ``number`` times on a ``day``; ``data`` is JSON without line ends."""

    kind: str
    day: int
    number: int
    data: str

    def line(self) -> str:
        return f"count {self.kind} {self.day} {self.number} {self.data}"


Said = Hello | Ping | Pong | Status | ListBegins | Added | Removed | ListEnds | Have | Ask | Answer | Door | Count


def encoded(address: str) -> str:
    """An address as one word."""
    return re.sub(r"[%\x00- \x7f]", lambda found: f"%{ord(found[0]):02X}", address)


def plain_text(text: str) -> str:
    """Text that fits into a line."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text)[:LONGEST_TEXT].strip()


_DIGEST = "([0-9a-f]{32})"
_KIND = f"({'|'.join(KINDS)})"
_NUMBER = r"(\d{1,15})"
_WORD = r"([^ \x00-\x1f\x7f]{1,1000})"
_REST = r"(?: ([^\x00-\x1f\x7f]*))?"

# The grammar: how a line looks, and what it becomes.
_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Said]], ...] = tuple(
    (re.compile(form, re.ASCII), make)
    for form, make in (
        (r"hello 1 ([A-Za-z0-9.:_-]{1,255})", Hello),
        (f"ping {_NUMBER}", lambda n: Ping(int(n))),
        (f"pong {_NUMBER}", lambda n: Pong(int(n))),
        (f"status {_NUMBER} {_NUMBER}", lambda queued, free: Status(int(queued), int(free))),
        (f"list {_DIGEST} (?:-|{_DIGEST})", lambda new, old: ListBegins(new, old or "")),
        (
            rf"\+ {_KIND} (-|[abdf]{{1,2}}) {_WORD}{_REST}",
            lambda kind, flags, address, text: Added(
                Entry(kind, unquote(address), "" if flags == NONE else flags, (text or "")[:LONGEST_TEXT])
            ),
        ),
        (f"- {_KIND} {_WORD}", lambda kind, address: Removed(kind, unquote(address))),
        (f"end {_DIGEST}", ListEnds),
        (f"door {NONE}", Door),
        (
            r"door ([A-Za-z0-9.:_-]{1,255}) (\d{1,5}) ([A-Za-z0-9_-]{20,100}) ([0-9a-f]{64}(?:,[0-9a-f]{64}){0,3})",
            lambda host, port, secret, pins: Door(host, int(port), secret, tuple(pins.split(","))),
        ),
        (
            rf"count (dmarc|tls) (\d{{1,6}}) {_NUMBER} (\[[\x20-\x7e]*\])",
            lambda kind, day, number, data: Count(kind, int(day), int(number), data),
        ),
        (f"have (?:-|{_DIGEST}) {_NUMBER}", lambda digest, count: Have(digest or "", int(count))),
        (f"ask {_NUMBER} {_NUMBER} {_WORD}", lambda n, octets, address: Ask(int(n), int(octets), unquote(address))),
        (
            rf"answer {_NUMBER} ([245]\d\d) (-|[245]\.\d{{1,3}}\.\d{{1,3}}){_REST}",
            lambda n, code, enhanced, text: Answer(
                int(n), int(code), "" if enhanced == NONE else enhanced, (text or "")[:LONGEST_TEXT]
            ),
        ),
    )
)


def read_line(line: bytes) -> Said:
    """A line without its end. Raises LinkWrong."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise LinkWrong("a line that is not UTF-8") from None
    for form, make in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            return make(*found.groups())
    raise LinkWrong(f"an unknown line: {text[:60]!r}")


class Lines:
    """Octets in, lines out; bounded. ``rest`` is what stands behind the last whole line."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self.rest = b""

    def receive(self, octets: bytes) -> Iterator[bytes]:
        """Whole lines without their ends. Raises LinkWrong when one does not end in time."""
        self.rest += octets
        while True:
            line, end, after = self.rest.partition(b"\n")
            if len(line) > self._longest:
                self.rest = b""
                raise LinkWrong("a line that is too long")
            if not end:
                return
            self.rest = after
            yield line.removesuffix(b"\r")
