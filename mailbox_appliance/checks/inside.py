"""What a message carries inside: the hosts its text leads to, and its files by what they are (not by what they say).

Bounded whatever the message is: the first octets of a large one, a few hundred parts, a little of each text and file.
What lies beyond is not looked at; the store keeps all of it, and mail programs ask their own questions.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator

from mailbox_appliance.mail.address import AddressError, domain_to_ascii
from mailbox_appliance.mail.charset import decode, parameter_text
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.mime_scan import Node, find_parts
from mailbox_appliance.mail.text import decode_transfer
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.slices import Slices

LOOKED_AT = 512 * 1024  # octets of a body
MOST_DASHED = 200  # lines that may begin a part; what stands behind them is one part
MOST_TEXT = 64 * 1024  # octets of all texts
MOST_TEXTS = 8
TEXT_HEAD = 24 * 1024  # octets of each text whose words are read
MOST_WORDS = 48 * 1024  # of all
MOST_FILES = 32
FILE_HEAD = 96 * 1024  # encoded octets of one file that are decoded
MOST_HEADS = 384 * 1024  # of all files
MOST_HOSTS = 60
MOST_LINKS = 400  # different ones of one text

# Begins with plain octets, without \b or (?i): so the search for a beginning is a fast one.
_HOST = rb"[A-Za-z0-9.-]{3,250}"
_LINK = re.compile(
    rb"//([^\s\"'<>()\[\]{}/?#\\]{1,255})|w[Ww][Ww]\.(?<!\w....)("
    + _HOST
    + rb")|W[Ww][Ww]\.(?<!\w....)("
    + _HOST
    + rb")"
)
_REMOTE = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_DIGITS = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True)
class Attached:
    """One file: the name it says, the type it says, its first octets (decoded) and whether those are all of it."""

    name: str
    type: str
    head: bytes
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Inside:
    """``hosts``: lower-case A-labels in their order, each once; ``texts``: subtype and beginning of each text."""

    hosts: tuple[str, ...] = ()
    files: tuple[Attached, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


async def look_inside(content: Content, workers: Workers, clock: Clock) -> Inside:
    """Read what is needed, in slices. Raises OSError and Busy."""
    body = content.body
    if isinstance(body, SpooledBody):
        octets = await workers.run("disk", _read, body.path, body.offset, min(body.length, LOOKED_AT))
    else:
        octets = body[:LOOKED_AT]
    slices = Slices(clock)
    root = find_parts(content.header + _few_parts(octets))
    await slices.breathe()
    whole = content.header + octets
    hosts: dict[str, None] = {}
    files: list[Attached] = []
    texts, heads = MOST_TEXT, MOST_HEADS
    number = 0
    read: list[tuple[str, str]] = []
    words = MOST_WORDS
    for node in _leaves(root):
        name = _name_of(node)
        if node.type == "text" and not name and not _is_attached(node):
            if texts > 0 and number < MOST_TEXTS:
                number += 1
                text = decode_transfer(whole[node.body_at : min(node.end_at, node.body_at + texts)], node.encoding)
                texts -= len(text) + 1
                _take_hosts(text, hosts)
                head = text[: min(TEXT_HEAD, words)]
                words -= len(head)
                read.append((node.subtype, decode(head, parameter_text(node.parameters, "charset") or "")))
        elif len(files) < MOST_FILES:
            length = min(node.end_at - node.body_at, FILE_HEAD, max(heads, 256))
            heads -= length
            head = decode_transfer(whole[node.body_at : node.body_at + length], node.encoding)
            cut = node.body_at + length < node.end_at or node.end_at >= len(whole) < content.size
            files.append(Attached(name[:255], f"{node.type}/{node.subtype}", head, not cut))
        await slices.breathe()
    return Inside(tuple(hosts)[:MOST_HOSTS], tuple(files), tuple(read))


def _read(path: str, offset: int, length: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)


def _few_parts(body: bytes) -> bytes:
    """The body up to the line that may begin one part too many: reading a part's header takes time."""
    at = -1
    for _ in range(MOST_DASHED):
        at = body.find(b"\n--", at + 1)
        if at < 0:
            return body
    return body[: at + 1]


def _leaves(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.children:
            waiting.extend(reversed(node.children))
        elif not node.is_multipart:
            yield node


def _is_attached(node: Node) -> bool:
    return node.disposition is not None and node.disposition[0] == "attachment"


def _name_of(node: Node) -> str:
    """The file name, of whichever field says one (RFC 2183 §2.3; RFC 2045 leaves ``name`` to the type)."""
    if node.disposition is not None:
        name = parameter_text(node.disposition[1], "filename")
        if name:
            return name
    return parameter_text(node.parameters, "name") or ""


def _take_hosts(text: bytes, hosts: dict[str, None]) -> None:
    if text.isascii():
        text = text.replace(b"&#46;", b".")
    if b"//" not in text and b"www." not in text.lower():
        return
    for authority, *bare in itertools.islice(dict.fromkeys(_LINK.findall(text)), MOST_LINKS):
        if len(hosts) >= MOST_HOSTS:
            return
        host = authority.rpartition(b"@")[2].partition(b":")[0] or b"www." + b"".join(bare)
        name = host.strip(b".-,;:!*=").decode("utf-8", "replace")
        try:
            name = domain_to_ascii(name)
        except AddressError:
            continue
        if _REMOTE.fullmatch(name) and not _DIGITS.fullmatch(name):
            hosts.setdefault(name)
