"""A first look at thousands of files goes another way and ends where the usual one does."""

from __future__ import annotations

import errno
import os
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from unittest import mock

from twisted.internet.defer import Deferred, ensureDeferred

from mailbox_appliance.mail.mailbox import SEEN
from mailbox_appliance.mail.search import HasFlag
from mailbox_appliance.ports.store import Column, StoreError
from mailbox_appliance.store import admission, first, message_rows, uidlist
from mailbox_appliance.store.mailbox import OpenMailbox
from mailbox_appliance.store.paths import Folder
from tests.store.kit import ANN, StoreCase, collect

COUNT = 40
APPEND = uidlist.append


class FirstLookTests(StoreCase):
    """The same tree, seen as a crowd and one by one."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(first, "NEWEST", 5)
        self.patch(first, "CHUNK", 16)
        self.patch(admission, "FEW", 0)  # sizes are counted later, as they are with thousands
        self.shop.do(self.shop.stores.of(ANN))
        self.shop.stores.stop()
        for number in range(COUNT):
            size = f",S=24,W={27 + number}" if number % 3 else ""
            place, tail = ("new", "") if number in (7, 38, 39) else ("cur", (":2,", ":2,S", ":2,FSb")[number % 3])
            name = f"17{(number * 7919) % COUNT:08d}.M{number}.host{size}{tail}"
            self.shop.drop_in(name, place=place)
            moment = 1_600_000_000 + number
            os.utime(os.path.join(self.shop.root, place, name), (moment, moment))

    def seen(self, fewest: int) -> tuple[OpenMailbox, tuple[object, ...]]:
        self.patch(first, "FEWEST", fewest)
        self.shop.lose_index()
        self.reopen()
        box = self.shop.open(read_only=True)

        def rows(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
            return connection.execute(
                "SELECT id, base, tail, fresh, flags, size, octets, date, zone, saved FROM message ORDER BY id"
            ).fetchall()

        arrays = [list(getattr(box, name)) for name in ("uids", "flags", "sizes", "dates", "zones")]
        listed = uidlist.read(os.path.join(self.shop.root, uidlist.NAME))
        row = box.row
        facts = (row.uidnext, row.recent_from, row.keywords, row.known.lines, row.known.doubt, len(set(box.modseqs)))
        return box, (arrays, box.account.index.now(rows), listed.uids, facts)

    def forget_uids(self) -> None:
        os.unlink(os.path.join(self.shop.root, uidlist.NAME))

    def test_the_same(self) -> None:
        """Arrays, rows, UIDs, \\Recent and keywords; and with the UIDs of before, too, some of whose files are gone."""
        crowd = self.seen(1)[1]
        self.forget_uids()
        self.assertEqual(self.seen(COUNT + 1)[1], crowd)
        self.assertEqual(self.seen(1)[1], crowd)
        os.unlink(os.path.join(self.shop.root, self.shop.files()[3]))
        self.shop.drop_in("1800000000.late.host", place="cur")
        late = self.seen(1)[1]
        self.assertEqual(self.seen(COUNT + 1)[1], late)
        self.assertNotEqual(late, crowd)

    def test_nothing_is_left_open(self) -> None:
        """The next look knows everything, and the next messages go the usual way."""
        box, _ = self.seen(1)
        self.assertEqual(len(box.uids), COUNT)
        self.shop.do(box.refresh_locked(thorough=True))
        self.assertEqual(len(box.uids), COUNT)
        self.assertEqual(self.shop.append(), COUNT + 1)

    def test_no_crowd(self) -> None:
        """Names that are not plain, or two of one message, are weighed one by one."""
        self.shop.drop_in("odd", place="cur")
        self.shop.drop_in("1700000000.M0.host:2,F", place="cur")
        os.mkdir(os.path.join(self.shop.root, "cur", "1700000000.folder.host"))
        crowd = self.seen(1)[1]
        self.forget_uids()
        self.assertEqual(len(crowd[0][0]), len(self.seen(COUNT * 2)[1][0][0]))  # type: ignore[index]

    def test_folders_are_no_messages(self) -> None:
        """A directory under a message's name gets no UID."""
        os.mkdir(os.path.join(self.shop.root, "cur", "1700000000.folder.host"))
        self.assertEqual(len(self.seen(1)[0].uids), COUNT)

    def test_full_disk(self) -> None:
        """Nobody hears of UIDs that could not be synced, nor of rows that could not be written; the next look does it."""
        wrong = mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
        for module, name, good in (
            (uidlist, "append", APPEND),
            (message_rows, "insert_columns", message_rows.insert_columns),
        ):
            self.patch(module, name, wrong)
            with self.assertRaises(StoreError):
                self.seen(1)
            self.patch(module, name, good)
        self.assertEqual(list(self.shop.open().uids), list(range(1, COUNT + 1)))

    def test_beside_known_messages(self) -> None:
        """A mailbox that had its first mail before, seen as a crowd and one by one; nobody waits for an older row."""
        found = []
        for fewest, folder in ((1, False), (COUNT * 2, False), (1, True)):  # a folder among them is no message
            for name in self.shop.files():
                os.unlink(os.path.join(self.shop.root, name))
            self.shop.lose_index()
            if found:
                self.forget_uids()
            self.patch(first, "FEWEST", fewest)
            self.reopen()
            for name in ("1600000000.early.host:2,S", "1800000000.late.host:2,F"):
                self.shop.drop_in(name, place="cur")
            self.shop.open()
            self.reopen()
            os.unlink(os.path.join(self.shop.root, "cur/1600000000.early.host:2,S"))
            if folder:
                os.mkdir(os.path.join(self.shop.root, "cur", "1700000000.folder.host"))
            for number in range(COUNT):
                self.shop.drop_in(f"17{(number * 7919) % COUNT:08d}.M{number}.host:2,{'S' * (number % 2)}", place="cur")
            with mock.patch.object(first, "write", wraps=first.write) as written:
                box = self.shop.open()
            self.assertEqual(written.called, fewest == 1 and not folder)
            self.assertFalse(box.unwritten)
            rows = box.account.index.now(lambda c: c.execute("SELECT id, base, tail, flags FROM message").fetchall())
            found.append((list(box.uids), list(box.flags), rows, box.uidnext))
            self.assertEqual(list(box.uids), list(range(2, COUNT + 3)))
        self.assertEqual(found[1:], found[:1] * 2)

    def test_rows_behind_the_answer(self) -> None:
        """Who opens the mailbox has its UIDs before the rows are written; who asks for rows waits, the newest least."""
        write, asked = first.write, []
        newest: list[Deferred[list[tuple[int, Sequence[bytes]]]]] = []
        unseen: list[Deferred[Sequence[int]]] = []

        def watched(
            connection: sqlite3.Connection, folder: Folder, numbered: first.Numbered, start: int, stop: int
        ) -> array[int]:
            box = self.shop.store.boxes["INBOX"]
            if not asked:
                self.assertEqual(list(box.uids), list(range(1, COUNT + 1)))
                rows = box.rows(box.uids[-3:], [Column.INTERNALDATE])
                newest.append(Deferred.fromCoroutine(collect(rows)))
                unseen.append(ensureDeferred(box.search(HasFlag(SEEN), box.uids, 0)))
            asked.append((start, stop, bool(newest[0].called), bool(unseen[0].called), box.has_waiting))
            return write(connection, folder, numbered, start, stop)

        self.patch(first, "write", watched)
        box, _ = self.seen(1)
        self.assertEqual(
            asked,
            [(35, 40, False, False, True), (19, 35, True, False, True), (3, 19, True, False, True),
             (0, 3, True, False, True)],
        )  # fmt: skip
        found = self.successResultOf(newest[0])
        self.assertEqual([uid for uid, _ in found], [38, 39, 40])
        self.assertTrue(all(b"-2020 " in values[0] for _, values in found))
        self.assertTrue(self.shop.do(unseen[0]))
        self.assertFalse(box.has_waiting)

    def test_cut_off_between_rows(self) -> None:
        """The newest rows are there, the others are not: whoever has the mailbox open is told, and all keep their UIDs."""
        insert, calls = message_rows.insert_columns, [0]

        def failing(connection: sqlite3.Connection, number: int, rows: Iterable[tuple[int | str, ...]]) -> None:
            calls[0] += 1
            if calls[0] == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            insert(connection, number, rows)

        self.patch(message_rows, "insert_columns", failing)
        for fewest in (1, COUNT * 2):  # how the next look goes about it
            calls[0] = 0
            with self.assertRaises(StoreError):
                self.seen(1)
            given = uidlist.read(os.path.join(self.shop.root, uidlist.NAME)).uids
            self.assertEqual(len(given), COUNT)
            self.patch(first, "FEWEST", fewest)
            self.reopen()
            box = self.shop.open()
            self.assertEqual(list(box.uids), list(range(1, COUNT + 1)))
            rows = box.account.index.now(lambda c: c.execute("SELECT id & 4294967295, base FROM message").fetchall())
            self.assertEqual({base: uid for uid, base in rows}, given)

    def test_renamed_meanwhile(self) -> None:
        """A file that gets flags between the listing and the question for its date keeps its date; one may go."""
        number = first.number

        def meddle(*arguments: object) -> object:
            found = number(*arguments)  # type: ignore[arg-type]
            cur = os.path.join(self.shop.root, "cur")
            names = sorted(name for name in os.listdir(cur) if name.endswith(":2,"))
            os.rename(os.path.join(cur, names[0]), os.path.join(cur, names[0] + "S"))
            os.unlink(os.path.join(cur, names[1]))
            return found

        self.patch(first, "number", meddle)
        box, _ = self.seen(1)
        self.assertTrue(all(1_600_000_000 <= date < 1_800_000_000 for date in box.dates))
        self.patch(first, "number", number)
        self.shop.do(box.refresh_locked(thorough=True))
        self.assertEqual(len(box.uids), COUNT - 1)
        self.assertEqual(sum(date < 1_700_000_000 for date in box.dates), COUNT - 1)
