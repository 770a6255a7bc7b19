"""A message as the filter sees it: tokens of several classes, each hashed to a slot of the memories.

A token is octets within a class; its slot is a CRC-32 that starts from the class. Hashing runs in C over whole lists
(``map(crc32, …)``), pairs are hashed by going on from the first word's CRC: no strings are made for them. What the
tokens were is put together again only for the few that are explained.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import and_
from zlib import crc32

from mailbox_appliance.junk.markup import markup_tokens
from mailbox_appliance.junk.shape import header_tokens, home_of, home_tokens, part_tokens, subject_of
from mailbox_appliance.junk.urls import url_tokens
from mailbox_appliance.junk.words import shouted, without_list_footer, words_of
from mailbox_appliance.mail.charset import decode
from mailbox_appliance.mail.mime_scan import Node, find_parts
from mailbox_appliance.mail.text import charset_of, decode_transfer

SLOT_BITS = 20
SLOTS = 1 << SLOT_BITS
_MASK = SLOTS - 1
READ_AT_MOST = 1 << 18  # octets of a message that are looked at
_TEXT_OCTETS = 12_000  # of one text part
_TEXT_IN_ALL = 20_000  # characters

Group = tuple[str, Sequence[bytes], Sequence[int]]  # class, tokens, hashes
_SEEDS = {name: crc32(name.encode()) for name in "head part html url path word pair skip skip3 both Subject subjects LOUD seen from".split()}


@dataclass(slots=True)
class Features:
    groups: list[Group]
    slots: tuple[int, ...]


def _hashed(kind: str, tokens: Sequence[bytes]) -> Group:
    return kind, tokens, list(map(crc32, tokens, itertools.repeat(_SEEDS[kind])))


_FACTS = (
    b"links ", b"road from", b"bounces", b"message-id of", b"reply elsewhere", b"answers", b"from digits inside",
    b"urls ", b"only ", b"parts ", b"from without", b"re: ", b"to without", b"recipients", b"subject ends", b"subject random",
    b"foreign", b"address host", b"text length", b"road names",
)


def combined(*lists: Sequence[bytes]) -> list[bytes]:
    facts = sorted([fact for facts in lists for fact in facts if fact.startswith(_FACTS)])[:24]
    return [b"%b + %b" % pair for pair in itertools.combinations(facts, 2)]


def _pairs(kind: str, words: Sequence[bytes], step: int = 1) -> Group:
    first = map(crc32, words, itertools.repeat(_SEEDS[kind]))
    return kind, words, list(map(crc32, words[step:], first))


def features_of(octets: bytes, evidence: Iterable[bytes] = ()) -> Features:
    octets = octets[:READ_AT_MOST]
    root = find_parts(octets)
    fields = root.fields or {}
    subject = subject_of(fields)
    html, texts, links, loud = _read_texts(root, octets)
    text = without_list_footer("\n".join(texts).encode("utf-8", "replace"))
    lower = text.lower()
    words = words_of(lower)
    facts, paths = url_tokens(lower + b" " + links.encode("utf-8", "replace").lower())
    title = words_of(subject.lower().encode("utf-8", "replace"))
    head = header_tokens(fields, subject, octets[: root.body_at]) + home_tokens(home_of(fields), facts)
    parts = part_tokens(root)
    foreign = 1.0 - len(text.decode("ascii", "ignore")) / (len(text) + 1)
    if foreign > 0.03:
        head.append(b"foreign text %d" % (int(foreign * 8)))
    head.append(b"text length %d" % (len(text) // 40).bit_length())
    groups = [
        _hashed("head", head),
        _hashed("part", parts),
        _hashed("html", html),
        _hashed("url", facts),
        _hashed("path", paths),
        _hashed("word", words),
        _pairs("pair", words),
        _pairs("skip", words, 2),
        _pairs("skip3", words, 3),
        _hashed("both", combined(head, facts, parts)),
        _hashed("Subject", title),
        _pairs("subjects", title),
        _hashed("LOUD", shouted(text)),
        _hashed("seen", list(evidence)),
    ]
    every = itertools.chain.from_iterable([hashes for _, _, hashes in groups])
    return Features(groups, tuple(sorted(set(map(and_, every, itertools.repeat(_MASK))))))


def _read_texts(root: Node, octets: bytes) -> tuple[list[bytes], list[str], str, bool]:
    html: list[bytes] = []
    texts: list[str] = []
    links = ""
    left = _TEXT_IN_ALL
    waiting = [root]
    seen = 0
    while waiting and left > 0 and seen < 100:
        node = waiting.pop()
        seen += 1
        waiting += reversed(node.children)
        if node.type != "text" or node.children:
            continue
        body = octets[node.body_at : node.end_at]
        if len(body) > _TEXT_OCTETS * 2:
            body = body[: _TEXT_OCTETS * 2]
        text = decode(decode_transfer(body, node.encoding), charset_of(node))[:_TEXT_OCTETS]
        if node.subtype == "html" or (node.subtype == "plain" and "<html" in text[:2000].lower()):
            facts, text, more = markup_tokens(text)
            html += facts
            links += " " + more
        texts.append(text)
        left -= len(text)
    return html, texts, links, False
