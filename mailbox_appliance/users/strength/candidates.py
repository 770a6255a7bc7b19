"""The order in which a guesser tries passwords: best first, the same each time, so that a number says how far one is.

Nothing shorter than users.password.SHORTEST is tried, for no such password could be set. Each candidate comes with its
kind, which is all that is ever told of one that fits.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from mailbox_appliance.mail.values import dataclass

SHORTEST = 8
LONGEST = 64
VERSION = 1  # grows when the order changes: what was tried by another order says nothing
Candidate = tuple[str, str]  # the password, and "names", "common", "keyboard", "word", "date"

_YEARS = [str(year) for year in (*range(2026, 1929, -1), *range(2027, 2036))]
_ENDS = (
    "", "1", "12", "123", "1234", "12345", "!", "1!", "123!", "?", ".", "!!", "0", "00", "01", "007", "2", "3", "7",
    "11", "21", "22", "23", "69", "77", "88", "99", "321", "111", "1!!", "@", "#", "$", "*", "_1", "-1", "@123", "#1",
)  # fmt: skip
_FEW_ENDS = _ENDS[:11]
_LEET = (
    str.maketrans("aeios", "43105"),
    str.maketrans("aeiost", "@310$7"),
    str.maketrans("aeo", "430"),
    str.maketrans("ao", "@0"),
    str.maketrans("o", "0"),
    str.maketrans("i", "1"),
    str.maketrans("a", "@"),
    str.maketrans("e", "3"),
    str.maketrans("s", "$"),
)
_ROWS = (
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
)
_COLUMNS = (
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "1qay",
    "2wsx",
    "3edc",
    "zaq1",
    "xsw2",
    "cde3",
    "vfr4",
)


@dataclass(frozen=True)
class Lists:
    """Words by how common they are; ``common`` are passwords, ``words`` what passwords are made of."""

    common: tuple[str, ...]
    words: tuple[str, ...]

    @cached_property
    def known(self) -> frozenset[str]:
        """The common ones, to leave them out later."""
        return frozenset(self.common)

    @cached_property
    def digest(self) -> str:
        """Stands for the lists and the order; half of what a place in it means."""
        text = "\0".join((str(VERSION), *self.common, "", *self.words))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def shipped(everyday: Sequence[str]) -> Lists:
    """zxcvbn's frequency lists and our own words."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS as LISTS

    names = itertools.chain.from_iterable(
        itertools.zip_longest(LISTS["female_names"], LISTS["male_names"], LISTS["surnames"])
    )
    common = dict.fromkeys(LISTS["passwords"])
    begin = LISTS["passwords"]
    words = dict.fromkeys(itertools.chain(begin[:150], everyday, begin[150:1000], filter(None, names)))
    words.update(dict.fromkeys(LISTS["english_wikipedia"][:20000]))
    return Lists(tuple(common), tuple(words))


def order_of(lists: Lists, words: Sequence[str]) -> str:
    """Stands for the whole order of candidates of an account: a place in another order says nothing."""
    return hashlib.sha256("\0".join((lists.digest, *words)).encode()).hexdigest()[:16]


def candidates(words: Sequence[str], lists: Lists) -> Iterator[Candidate]:
    """All of them, for an account with these own words."""
    seen: set[str] = set()

    def named(those: Iterable[str]) -> Iterator[Candidate]:
        for one in those:
            if SHORTEST <= len(one) <= LONGEST and one not in seen:
                seen.add(one)
                yield one, "names"

    near = words[:8]
    yield from _kind("common", lists.common[:200])
    yield from named(_plain(near))
    yield from _kind("common", lists.common[200:1000])
    yield from named(_with_years(near[:2]))
    yield from _kind("common", lists.common[1000:3000])
    yield from named(_joined(words[:16]))
    yield from named(_dated(near))
    yield from named(_bent(words))
    seen.clear()
    yield from _shared(lists)


def _shared(lists: Lists) -> Iterator[Candidate]:
    """What is tried for everybody, in bands: many changes of the most common words before few of rare ones."""
    top, middle, rest = lists.words[:400], lists.words[400:4000], lists.words[4000:]
    yield from _kind("keyboard", _walks(), lists.known)
    yield from _kind("word", _ended(top, _FEW_ENDS), lists.known)
    yield from _kind("word", _bent(top[:80]), lists.known)
    yield from _kind("word", _with_years(top[:80]), lists.known)
    yield from _kind("common", lists.common[3000:])
    yield from _kind("word", _with_years(top[80:]), lists.known)
    yield from _kind("word", _bent(top[80:]), lists.known)
    yield from _kind("word", _ended(middle, _FEW_ENDS), lists.known)
    yield from _kind("date", _dates())
    yield from _kind("word", _ended(top, _ENDS[11:]), lists.known)
    yield from _kind("word", rest, lists.known)
    yield from _kind("word", _with_years(middle), lists.known)
    yield from _kind("word", _bent(middle), lists.known)
    yield from _kind("word", _ended(rest, _FEW_ENDS[1:]), lists.known)


def _kind(kind: str, those: Iterable[str], but: frozenset[str] = frozenset()) -> Iterator[Candidate]:
    for one in those:
        if SHORTEST <= len(one) <= LONGEST and one not in but:
            yield one, kind


def _cased(word: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((word, word[:1].upper() + word[1:])))


def _ended(words: Iterable[str], ends: Sequence[str]) -> Iterator[str]:
    for word in words:
        for one in _cased(word):
            for end in ends:
                yield one + end


def _with_years(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        for one in _cased(word):
            for year in _YEARS:
                yield one + year
            for year in _YEARS:
                yield one + year[2:]
            for year in _YEARS[:12]:
                yield f"{one}{year}!"


def _bent(words: Iterable[str]) -> Iterator[str]:
    """Leet, doubled, backwards, in capitals."""
    for word in words:
        yield word + word
        yield word[:1].upper() + word[1:] + word[:1].upper() + word[1:]
        yield word[::-1]
        yield word.upper()
        for table in _LEET:
            leet = word.translate(table)
            if leet != word:
                yield from _ended((leet,), _FEW_ENDS)


def _plain(words: Sequence[str]) -> Iterator[str]:
    yield from words
    yield from _ended(words, _ENDS)
    for word in words:
        yield word + word
        yield "123" + word


def _joined(words: Sequence[str]) -> Iterator[str]:
    for first, second in itertools.permutations(words, 2):
        for between in ("", ".", "-", "_", "+", "&", "and", "und", "4"):
            yield first + between + second
        yield from (
            one + second[:1].upper() + second[1:] + end for one in _cased(first) for end in ("", "1", "!", "123")
        )


def _dated(words: Sequence[str]) -> Iterator[str]:
    yield from _with_years(words)
    for word in words:
        for one in _cased(word):
            yield from (f"{one}{number:02d}" for number in range(100))
            for month, day in itertools.product(range(1, 13), range(1, 32)):
                yield f"{one}{day:02d}{month:02d}"
                yield f"{one}{month:02d}{day:02d}"


def _walks() -> Iterator[str]:
    """Along rows and columns of three keyboards, forth, back, doubled, with a begun row behind."""
    for row in _ROWS:
        for length in range(4, len(row) + 1):
            yield row[:length]
            yield row[:length][::-1]
            yield row[:length] * 2
            yield row[:length] + row[:length][::-1]
            yield from (row[:length] + end for end in ("1", "12", "123", "1234", "!"))
    for first, second in itertools.permutations(_ROWS, 2):
        for length in (4, 5, 6):
            yield first[:length] + second[:length]
    for few in (2, 3):
        for columns in itertools.permutations(_COLUMNS, few):
            if few == 2 or columns in _neighbours():
                yield "".join(columns)
                yield "".join(columns).upper()


def _neighbours() -> frozenset[tuple[str, ...]]:
    return frozenset(zip(_COLUMNS, _COLUMNS[1:], _COLUMNS[2:], strict=False))


def _dates() -> Iterator[str]:
    for year in _YEARS:
        for month, day in itertools.product(range(1, 13), range(1, 32)):
            yield f"{day:02d}{month:02d}{year}"
            yield f"{year}{month:02d}{day:02d}"
            yield f"{day:02d}.{month:02d}.{year}"
