"""Questions to the index get the rows that were asked for, and no others."""

from __future__ import annotations

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.store import index, message_rows, rendered
from mailbox_appliance.store.index_file import Index
from mailbox_appliance.store.message_rows import MessageRow
from tests.kit.workers import InlineWorkers

uid_sets = st.frozensets(st.integers(1, 40), max_size=20)


class CopiedRowsTests(SynchronousTestCase):
    """What was rendered of messages, for their copies."""

    @settings(max_examples=100, deadline=None)
    @given(uid_sets, st.integers(1, 2), st.sampled_from([1, 3]))
    def test_copied(self, chosen: frozenset[int], target: int, step: int) -> None:
        """Each copy gets the octets of its message, wherever the others lie; nobody else changes."""
        store = Index(":memory:", InlineWorkers())
        pairs = [(uid, 100 + number * step) for number, uid in enumerate(sorted(chosen))]

        def work(connection: sqlite3.Connection) -> None:
            rendered.make_kind(connection, "envelope", 0, 5)
            table = rendered.kinds(connection)["envelope"]
            rows = [MessageRow(uid, f"f{uid}", False, 0, 1, 9, 9, 0, 0, 0) for uid in range(1, 41)]
            message_rows.insert_messages(connection, 1, rows)
            held = [(uid, b"%d" % uid) for uid in range(1, 41) if uid % 7]
            rendered.save_rendered(connection, 1, table, held)
            rendered.copy_rendered(connection, 1, target, pairs)
            wanted = [(new, b"%d" % old) for old, new in pairs if old % 7]
            found = rendered.load_rendered(connection, target, table, range(1, 1000))
            self.assertEqual(found, held * (target == 1) + wanted)

        store.now(work)
        store.close()


class ChosenRowsTests(SynchronousTestCase):
    """Any choice of UIDs against any mailbox, with a neighbour on both sides."""

    @settings(max_examples=150, deadline=None)
    @given(uid_sets, uid_sets, uid_sets)
    def test_chosen(self, there: frozenset[int], made: frozenset[int], wanted: frozenset[int]) -> None:
        """Files, rendered octets and needles of exactly the UIDs asked for."""
        store = Index(":memory:", InlineWorkers())
        asked = sorted(wanted)

        def work(connection: sqlite3.Connection) -> None:
            rendered.make_kind(connection, "envelope", 0, 5)
            table = rendered.kinds(connection)["envelope"]
            for number in (1, 2, 3):
                held = there if number == 2 else range(1, 41)
                message_rows.insert_messages(
                    connection, number, [MessageRow(uid, f"f{uid}", False, 0, 1, 9, 9, 0, 0, 0) for uid in held]
                )
                rows = [(uid, b"odd" if uid % 2 else b"even") for uid in (made if number == 2 else held)]
                rendered.save_rendered(connection, number, table, rows)
            files = message_rows.files_of(connection, 2, asked)
            self.assertEqual([uid for uid, *_ in files], [uid for uid in asked if uid in there])
            loaded = dict(rendered.load_rendered(connection, 2, table, asked))
            self.assertEqual({uid for uid in loaded if uid in wanted}, wanted & there & made)
            self.assertLessEqual(loaded.keys(), there & made)
            if asked:
                found, lacking = rendered.find_rendered(connection, 2, table, asked, b"odd")
                self.assertEqual(sorted(found), [uid for uid in asked if uid in there & made and uid % 2])
                self.assertEqual(lacking, [uid for uid in asked if uid not in there & made])

        store.now(work)
        store.close()

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from(["", ":2,", ":2,S", ":2,FS", ":2,T"]), st.booleans(), st.integers(0, 3))),
        uid_sets,
        st.booleans(),
    )
    def test_many_get_other_flags(self, kinds: list[tuple[str, bool, int]], wanted: frozenset[int], add: bool) -> None:
        """One statement for all that are alike does what a statement for each would do, and touches nobody else."""
        store = Index(":memory:", InlineWorkers())
        rows = [
            MessageRow(uid, f"f{uid}{tail}", fresh, [0, 1, 4, 1 << 63][flags] | 5, 1, 9, 9, 0, 0, 0)
            for uid, (tail, fresh, flags) in enumerate(kinds, 1)
        ]
        asked = sorted(uid for uid in wanted if uid <= len(kinds)) or list(range(1, len(kinds) + 1))

        def changed(tail: str, flags: int) -> tuple[str, int]:
            bits = flags & (1 << 64) - 1
            return (":2,FS", bits | 8) if add else (tail.replace("S", ""), bits & ~1)

        def work(connection: sqlite3.Connection) -> None:
            for number in (1, 2, 3):
                message_rows.insert_messages(connection, number, rows)
            if not asked:
                return
            parts, alike = message_rows.parts_of(connection, 2, asked)
            self.assertEqual([part[0] for part in parts], asked)
            changes = [(uid, tail, flags, *changed(tail, flags)) for uid, _, tail, fresh, flags in parts if not fresh]
            changes = [one for one in changes if (one[1], one[2]) != (one[3], message_rows.signed(one[4]))]
            if changes:
                message_rows.update_tails(connection, 2, changes, 7, alike)
            now = {uid: (tail, message_rows.signed(flags)) for uid, _, _, tail, flags in changes}
            for number in (1, 2, 3):
                found, _ = message_rows.parts_of(connection, number, range(1, len(kinds) + 1))
                for uid, base, tail, fresh, flags in found:
                    was = rows[uid - 1]
                    expected = (*message_rows.halves(was.file), message_rows.signed(was.flags))
                    if number == 2 and uid in now:
                        expected = (expected[0], *now[uid])
                    self.assertEqual((base, tail, flags, bool(fresh)), (*expected, was.fresh))
            moved = message_rows.load_arrays(connection, 2).modseqs
            self.assertEqual([uid for uid, modseq in enumerate(moved, 1) if modseq == 7], [one[0] for one in changes])

        store.now(work)
        store.close()

    def test_all_64_bits(self) -> None:
        """Flags of the last keyword survive SQLite's signed integers."""
        store = Index(":memory:", InlineWorkers())
        bits = 1 << 63 | 1

        def work(connection: sqlite3.Connection) -> int:
            message_rows.insert_messages(connection, 1, [MessageRow(1, "f", False, bits, 1, 9, 9, 0, 0, 0)])
            return message_rows.load_arrays(connection, 1).flags[0]

        self.assertEqual(store.now(work), bits)

    def test_expunged_uids_are_bounded(self) -> None:
        """The oldest are forgotten, and it is known up to where."""
        store = Index(":memory:", InlineWorkers())
        self.patch(message_rows, "MOST_EXPUNGED", 40)

        def work(connection: sqlite3.Connection) -> None:
            row = index.load_mailbox(connection, ".A")
            for uid in range(1, 101):
                row = message_rows.remove_messages(connection, row, [uid], uid * 10)
            self.assertGreater(row.forgotten_to, 0)
            kept = message_rows.vanished_since(connection, row.number, row.forgotten_to)
            self.assertEqual(kept, tuple(range(row.forgotten_to // 10 + 1, 101)))
            (held,) = connection.execute("SELECT count(*) FROM expunged").fetchone()
            self.assertEqual(held, len(kept))
            self.assertLessEqual(held, 50)

        store.now(work)
