"""A message as the filter sees it: several views of it, each a set of slots in the memories.

The *reading* view holds tokens of several classes: facts of the header and the parts, markup, links, words, results of
other checks. A token's slot is a CRC-32 that starts from its class; hashing runs in C over whole lists. Four views hold
runs of octets (junk/runs): *ends* those of four at the beginning and the end of the body as it came (markup, how it is
cut into parts, how people take leave), *rhythm* those of eight there with every letter blotted out, *letters* those of
three at the end of the text that a reader sees, *couples* those of two in more of it. *Road* holds runs of four of what
the hosts on the way wrote down (junk/road). The views err on different messages, so their sum is better than each.
Pairs of words are known to the prior only; they are made when it is asked.
What tokens were is put together again only for the few that are explained.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import field
from zlib import crc32

from mailbox_appliance.junk import runs
from mailbox_appliance.junk.markup import markup_tokens
from mailbox_appliance.junk.road import road_of
from mailbox_appliance.junk.shape import combined, header_tokens, home_of, home_tokens, part_tokens, subject_of
from mailbox_appliance.junk.urls import url_tokens
from mailbox_appliance.junk.words import all_words_of, shouted, telling_words, without_list_footer, words_of
from mailbox_appliance.mail.charset import decode
from mailbox_appliance.mail.mime_scan import Node, find_parts
from mailbox_appliance.mail.text import charset_of, decode_transfer
from mailbox_appliance.mail.values import dataclass

SLOT_BITS = 19
SLOTS = 1 << SLOT_BITS
_MASK = SLOTS - 1
READ_AT_MOST = 1 << 17  # octets of a message that are looked at
_TEXT_OCTETS = 7_000  # of one text part, decoded; of a longer one
_TEXT_HEAD = 4_500  # its beginning and as much of its end as makes that
_TEXT_IN_ALL = 9_000  # characters of all of them
_TEXT_PARTS = 20
MOST_SEEN = 50  # tokens of other checks

CLASSES = "head part html url path word pair skip subject subjects loud both seen".split()
_SEEDS = {name: crc32(name.encode()) for name in CLASSES}
_APART = {"pair": 1, "skip": 2, "subjects": 1}  # classes of pairs: how far apart the two words stand
VIEWS = ("reading", "ends", "rhythm", "letters", "couples", "road")


@dataclass(slots=True)
class Group:
    """Tokens of one class and their hashes, which run in step (of pairs: a hash for each first word)."""

    kind: str
    tokens: Sequence[bytes]
    hashes: list[int]


@dataclass(slots=True)
class Features:
    """``views`` in the order of VIEWS. The first are the slots of ``hashes``, which are the reading view's without
    doubles, in the same order.
    """

    views: tuple[array[int], ...]
    hashes: list[int] = field(repr=False)
    groups: list[Group] = field(repr=False)
    words: Sequence[bytes] = field(repr=False)

    @property
    def reading(self) -> array[int]:
        """The view whose tokens can be told."""
        return self.views[0]

    def pairs(self) -> list[Group]:
        """Pairs of words, next to each other and two apart."""
        return [_paired("pair", self.words), _paired("skip", self.words)]


def hash_of(kind: str, token: bytes, second: bytes = b"") -> int:
    """The hash of one token, or of a pair of words."""
    first = crc32(token, _SEEDS[kind])
    return crc32(second, first) if kind in _APART else first


def slot_of(hashed: int) -> int:
    """Where the memories keep what is known of a token."""
    return hashed & _MASK


def _hashed(kind: str, tokens: Sequence[bytes]) -> Group:
    return Group(kind, tokens, list(map(crc32, tokens, itertools.repeat(_SEEDS[kind]))))


def _paired(kind: str, words: Sequence[bytes]) -> Group:
    first = map(crc32, words, itertools.repeat(_SEEDS[kind]))
    return Group(kind, words, list(map(crc32, words[_APART[kind] :], first)))


def features_of(octets: bytes, seen: Iterable[str] = (), *, all_views: bool = True) -> Features:
    """All views of a message with LF or CRLF line ends; or the reading alone, when nobody has taught anything.

    Never raises; its time is bounded whatever the message.
    """
    octets = octets[:READ_AT_MOST]
    root = find_parts(octets)
    fields = root.fields or {}
    subject = subject_of(fields)
    html, texts, links, first = _read_texts(root, octets)
    text = without_list_footer("\n".join(texts).encode("utf-8", "replace"))
    lower = text.lower()
    facts, paths = url_tokens(lower + b" " + links.encode("utf-8", "replace").lower() if links else lower)
    header = header_tokens(fields, subject, octets[: min(root.body_at, 1 << 16)])
    header += home_tokens(home_of(fields), facts)
    header += _text_facts(text)
    parts = part_tokens(root)
    words = all_words_of(lower)
    title = words_of(subject.lower().encode("utf-8", "replace"))
    groups = [
        _hashed("head", header),
        _hashed("part", parts),
        _hashed("html", html),
        _hashed("url", facts),
        _hashed("path", paths),
        _hashed("both", combined(header, facts, parts)),
        _hashed("seen", [word.encode("utf-8", "replace")[:60] for word in itertools.islice(seen, MOST_SEEN)]),
        _hashed("subject", title),
        _paired("subjects", title),
        _hashed("loud", shouted(text)),
        _hashed("word", telling_words(words)),
    ]
    hashes = list(set(itertools.chain.from_iterable([group.hashes for group in groups])))
    reading = array("I", [hashed & _MASK for hashed in hashes])
    views = (reading, *_views_of_runs(octets, root, first, text, lower)) if all_views else (reading,)
    return Features(views, hashes, groups, words)


def _views_of_runs(octets: bytes, root: Node, first: Node | None, text: bytes, lower: bytes) -> tuple[array[int], ...]:
    body = octets[root.body_at :]
    if first is not None and first.encoding == "base64":  # letters of base64 say nothing
        body = octets[root.body_at : first.body_at] + text
    ends = runs.ends_of(without_list_footer(body))
    flat = b" ".join(lower.split())
    return (
        runs.fours(ends),
        runs.rhythm(ends),
        runs.letters(flat),
        runs.couples(flat),
        runs.fours(road_of(root.fields or {})),
    )


def _text_facts(text: bytes) -> list[bytes]:
    facts = [b"text length %d" % (len(text) // 40).bit_length()]
    foreign = 1.0 - len(text.decode("ascii", "ignore")) / (len(text) + 1)
    if foreign > 0.03:
        facts.append(b"foreign text %d" % int(foreign * 8))
    return facts


def _read_texts(root: Node, octets: bytes) -> tuple[list[bytes], list[str], str, Node | None]:
    """Facts of markup, the texts, the addresses links lead to, and the first text part."""
    html: list[bytes] = []
    texts: list[str] = []
    links = ""
    first: Node | None = None
    left = _TEXT_IN_ALL
    waiting = [root]
    while waiting and left > 0 and len(texts) < _TEXT_PARTS:
        node = waiting.pop()
        waiting += reversed(node.children)
        if node.type != "text" or node.children:
            continue
        first = first or node
        body = _within(octets, node.body_at, node.end_at)
        text = decode(decode_transfer(body, node.encoding), charset_of(node))
        if len(text) > _TEXT_OCTETS:
            text = f"{text[:_TEXT_HEAD]}\n{text[_TEXT_HEAD - _TEXT_OCTETS :]}"
        if node.subtype == "html" or (node.subtype == "plain" and "<html" in text[:2000].lower()):
            facts, text, more = markup_tokens(text)
            html += facts
            links += " " + more
        texts.append(text[-left:])
        left -= len(text)
    return html, texts, links, first


def _within(octets: bytes, start: int, end: int) -> bytes:
    """A part's body; of a long one whole lines of its beginning and its end."""
    if end - start <= 2 * _TEXT_OCTETS:
        return octets[start:end]
    head = octets.rfind(b"\n", start, start + 2 * _TEXT_HEAD) + 1 or start + 2 * _TEXT_HEAD
    tail = octets.find(b"\n", end - 2 * (_TEXT_OCTETS - _TEXT_HEAD), end) + 1 or end
    return octets[start:head] + octets[tail:end]
