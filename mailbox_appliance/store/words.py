"""The word index: which messages may hold a needle, out of the words their texts are made of.

A message's casemapped header and body are two documents of a full-text table that keeps no text and no places. A search
looks through the vocabulary for words that contain the needle's longest runs of ASCII letters and digits (which are
never cut by SQLite's tokenizer and never folded together with others once a text is casemapped), then for the documents
of these words. A needle that is such a run itself needs no second look; any other narrows down who is read.

Documents have numbers of their own that are never given again, since rows of such a table cannot be deleted: a message
that is gone loses its number. Functions run in worker threads inside one transaction of the index.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.store.rendered import UID_BITS, shifts
from mailbox_appliance.store.sift import Texts

# Tables that every index has; the full-text table itself is made with the first text.
SCHEMA = """
CREATE TABLE document (id INTEGER PRIMARY KEY, number INTEGER NOT NULL);
CREATE INDEX document_number ON document (number) WHERE number;
CREATE TABLE documents (made INTEGER NOT NULL);
INSERT INTO documents VALUES (0)
"""
SHORTEST_RUN = 3
MOST_WORDS = 4000  # of the vocabulary; a needle that is in more of them narrows nothing down
MOST_VOCABULARY = 32 << 20  # octets of one that is kept in memory
PIECE = 4 << 20  # octets of one that are looked through at a time; where there are more, they are kept compressed
MOST_LATE = 64  # messages added after a vocabulary was read, which are read themselves until it is read anew
MOST_KEPT = 2  # vocabularies in memory, over all accounts
_ASKED_AT_ONCE = 200
_RUNS = re.compile(rf"[A-Z0-9]{{{SHORTEST_RUN},}}")


@dataclass(slots=True)
class Vocabulary:
    """All words of an account in UTF-8, one a line, as of the document ``made``; kept between searches.

    ``pieces`` are compressed but for a single one; an account with very many words keeps none.
    """

    made: int = -1
    pieces: list[bytes] = field(default_factory=list)

    def read(self, connection: sqlite3.Connection, made: int) -> Iterator[bytes]:
        """Read all words anew, piece by piece, and keep them if they are not too many."""
        self.made, self.pieces = -1, []
        kept: list[bytes] = []
        octets = 0
        rows = connection.execute("SELECT term FROM vocabulary")
        piece = b"\n"
        while batch := rows.fetchmany(10_000):
            piece += b"%b\n" % "\n".join([term for (term,) in batch]).encode("utf-8")
            if len(piece) >= PIECE:
                octets += len(piece)
                if octets <= MOST_VOCABULARY:
                    kept.append(zlib.compress(piece, 1))
                yield piece
                piece = b"\n"
        if len(piece) > 1:
            octets += len(piece)
            kept.append(zlib.compress(piece, 1) if kept else piece)
            yield piece
        if octets <= MOST_VOCABULARY:
            self.made, self.pieces = made, kept

    def each(self) -> Iterator[bytes]:
        """The pieces, as they are kept."""
        if len(self.pieces) == 1 and self.pieces[0][:1] == b"\n":
            yield self.pieces[0]
        else:
            yield from map(zlib.decompress, self.pieces)


class Vocabularies:
    """Those of the accounts that searched last; shared by all."""

    def __init__(self) -> None:
        self._kept: dict[str, Vocabulary] = {}

    def of(self, account: str) -> Vocabulary:
        """The account's, as far as it is known."""
        found = self._kept.pop(account, None) or Vocabulary()
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[account] = found
        return found

    def forget(self, account: str) -> None:
        """Nobody searches there any more."""
        self._kept.pop(account, None)


@dataclass(slots=True)
class Found:
    """``holding``: documents that hold the needle (exactly, if so asked); ``unread``: nobody knows about these."""

    holding: set[int] = field(default_factory=set)
    unread: set[int] = field(default_factory=set)


def runs_of(needle: str) -> list[str]:
    """The longest runs of a casemapped needle by which its documents can be found, at most three."""
    return sorted(set(_RUNS.findall(needle)), key=len, reverse=True)[:3]


def is_exact(needle: str) -> bool:
    """Is the needle one run, so that a document found by it holds it?"""
    return _RUNS.fullmatch(needle) is not None


def _ready(connection: sqlite3.Connection) -> bool:
    """Is there a full-text table? An SQLite that cannot make one searches by reading."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name='vocabulary'").fetchone():
        return True
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5"
            "(text, content='', detail=none, tokenize=\"unicode61 remove_diacritics 0\")"
        )
        # Merged less often, and never much at once.
        connection.execute("INSERT INTO words (words, rank) VALUES ('automerge', 8), ('crisismerge', 64)")
        connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS vocabulary USING fts5vocab(words, 'row')")
        return True
    return False


def lacking(connection: sqlite3.Connection, number: int, uids: Sequence[int]) -> list[int]:
    """Those of ``uids`` (sorted) whose texts have not been added."""
    if not uids:
        return []
    low = number << UID_BITS
    rows = connection.execute(
        "SELECT id & 4294967295 FROM document WHERE id BETWEEN ? AND ?", (low | uids[0], low | uids[-1])
    ).fetchall()
    return sorted(set(uids).difference([uid for (uid,) in rows]))


def add(connection: sqlite3.Connection, number: int, texts: Iterable[Texts]) -> None:
    """Add messages' texts; those of messages that are gone, or were added meanwhile, are passed over."""
    if not _ready(connection):
        return
    low = number << UID_BITS
    (made,) = connection.execute("SELECT made FROM documents").fetchone()
    for one in texts:
        usable = one.is_measured or one.is_usable()
        added = connection.execute(
            "INSERT OR IGNORE INTO document SELECT ?, ? WHERE EXISTS (SELECT 1 FROM message WHERE id=?)",
            (low | one.uid, made + 1 if usable else 0, low | one.uid),
        )
        if usable and added.rowcount:
            made += 1
            connection.executemany(
                "INSERT INTO words (rowid, text) VALUES (?, ?)",
                [(2 * made, _plain(one.body)), (2 * made + 1, _plain(one.header))],
            )
    connection.execute("UPDATE documents SET made=?", (made,))


def _plain(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def copy(connection: sqlite3.Connection, source: int, target: int, pairs: Iterable[tuple[int, int]]) -> None:
    """A copy of a message has the message's texts."""
    connection.executemany(
        "INSERT OR REPLACE INTO document SELECT id + ?, number FROM document WHERE id BETWEEN ? AND ?",
        shifts(source, target, pairs),
    )


def forget(connection: sqlite3.Connection, low: int, high: int) -> None:
    """These row ids name no messages any more."""
    connection.execute("DELETE FROM document WHERE id BETWEEN ? AND ?", (low, high))


def tidy(connection: sqlite3.Connection) -> bool:
    """Begin anew where most documents are of messages gone; True if so."""
    made, held = connection.execute("SELECT made, (SELECT count(*) FROM document) FROM documents").fetchone()
    (first,) = connection.execute("SELECT coalesce(min(number), 0) FROM document WHERE number").fetchone()
    if not held or made - first < 2 * held + 2000:
        return False
    connection.execute("DELETE FROM document")
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("DROP TABLE vocabulary")
        connection.execute("DROP TABLE words")
    return True


def find(
    connection: sqlite3.Connection, number: int, needle: str, uids: Sequence[int], known: Vocabulary, *, header: bool
) -> Found | None:
    """Who of ``uids`` (sorted, not empty) may hold ``needle`` (casemapped), in the body or (``header``) anywhere.

    None: the words do not narrow it down.
    """
    runs = runs_of(needle)
    low = number << UID_BITS
    span = (low | uids[0], low | uids[-1])
    rows = connection.execute(
        "SELECT id & 4294967295 FROM document WHERE number AND id BETWEEN ? AND ?", span
    ).fetchall()
    if not runs or not rows or not _ready(connection):
        return None
    found = Found(unread=set(uids).difference([uid for (uid,) in rows]))
    every = _terms(connection, [run.lower() for run in runs], known)
    late: set[int] = set()
    if known.made >= 0:
        rows = connection.execute(
            "SELECT id & 4294967295 FROM document WHERE number AND number>?", (known.made,)
        ).fetchall()
        late.update([uid for (uid,) in rows])
    holding: set[int] | None = None
    for terms in every:
        if len(terms) > MOST_WORDS:
            continue
        having = _having(connection, terms, span, header)
        holding = having if holding is None else holding & having
        if not holding:
            break
    if holding is None:
        return None
    found.holding = holding.intersection(uids)
    found.unread |= late.intersection(uids) - found.holding
    return found


def _terms(connection: sqlite3.Connection, parts: Sequence[str], known: Vocabulary) -> list[list[str]]:
    """For each part the words of the vocabulary that contain it; about MOST_WORDS at most."""
    (made,) = connection.execute("SELECT made FROM documents").fetchone()
    wanted = [part.encode("ascii") for part in parts]
    found: list[list[str]] = [[] for _ in parts]
    is_fresh = known.made >= 0 and 0 <= made - known.made <= MOST_LATE
    for words in known.each() if is_fresh else known.read(connection, made):
        for part, terms in zip(wanted, found, strict=True):
            at = words.find(part)
            while at >= 0 and len(terms) <= MOST_WORDS:
                end = words.index(b"\n", at)
                terms.append(words[words.rindex(b"\n", 0, at) + 1 : end].decode("utf-8"))
                at = words.find(part, end)
    return found


def _having(connection: sqlite3.Connection, terms: Sequence[str], span: tuple[int, int], header: bool) -> set[int]:
    """UIDs of documents that have one of the words."""
    found: set[int] = set()
    bodies = "" if header else "AND words.rowid % 2 = 0 "
    for start in range(0, len(terms), _ASKED_AT_ONCE):
        asked = " OR ".join(['"' + term.replace('"', '""') + '"' for term in terms[start : start + _ASKED_AT_ONCE]])
        rows = connection.execute(
            "SELECT document.id & 4294967295 FROM words CROSS JOIN document INDEXED BY document_number "
            f"ON document.number = words.rowid / 2 AND document.number WHERE words MATCH ? {bodies}"
            "AND document.id BETWEEN ? AND ?",
            (asked, *span),
        )
        found.update([uid for (uid,) in rows])
    return found
