"""The Outbox over the real queue: what shows, what deleting and starring do, what is told to those who look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.delivery.acceptance import rest_of
from mailbox_appliance.journal.events.queue import Cancelled
from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.mailbox import DELETED, FLAGGED, SEEN
from mailbox_appliance.mail.message import Content
from mailbox_appliance.outbox.stores import OwnFolders, OwnStore
from mailbox_appliance.ports.store import Column, Fields, FlagAction, Mailbox, NewMessage, Problem, StoreError
from mailbox_appliance.queue.accounts import AccountQueue
from mailbox_appliance.queue.spool import SpoolSettings
from tests.kit.fake_relay import LATER, REFUSED, FakeRelay
from tests.kit.post_office import PostOffice, message, now
from tests.store.kit import Watching
from tests.users.household import Household

ANN, BOB = Address.parse("ann@example.org"), Address.parse("bob@example.org")
OUT = "someone@elsewhere.example"


async def collect(batches: AsyncIterator[Sequence[Any]]) -> list[Any]:
    return [one async for batch in batches for one in batch]


class OutboxCase(SynchronousTestCase):
    rest = "30"

    def setUp(self) -> None:
        self.relay = FakeRelay()
        self.root = self.mktemp()
        self.begin()

    def begin(self) -> None:
        """A start, or a restart."""
        self.office = office = PostOffice(self.root, relay=self.relay)
        office.spool.keeps_failed = True
        self.addCleanup(lambda: office.close() if office is self.office else None)
        office.directory.all_settings = {ANN: {"undo_send": self.rest}}
        self.queue = AccountQueue(
            office.spool, office.dispatch, office.clock, office.journal, SpoolSettings("").give_up
        )
        throwaways = Household().users.throwaways
        self.stores = OwnFolders(office.stores, self.queue, throwaways, office.clock, office.workers, office.journal)

    def store(self, account: Address = ANN) -> OwnStore:
        return now(self.stores.of(account))

    def open(self, account: Address = ANN) -> tuple[Mailbox, Watching]:
        watcher = Watching()
        return now(self.store(account).open("Outbox", watcher)), watcher

    def send(self, to: Sequence[str] = (OUT,), subject: str = "Hello", **more: Any) -> None:
        assert self.office.codes(list(to), content=message(subject), **more) == [250] * len(to)

    def column(self, box: Mailbox, column: Column | Fields) -> list[bytes]:
        return [values[0] for _, values in now(collect(box.rows(box.uids, [column])))]

    def keywords(self, box: Mailbox) -> list[set[str]]:
        return [{name for n, name in enumerate(box.keywords) if bits >> 6 + n & 1} for bits in box.flags]

    def fails(self, problem: Problem, awaitable: Any) -> str:
        error = self.assertRaises(StoreError, now, awaitable)
        self.assertIs(error.problem, problem)
        return str(error)

    def delete(self, box: Mailbox, uids: Sequence[int] | None = None) -> tuple[int, ...]:
        now(box.mark(uids or box.uids, FlagAction.ADD, ["\\Deleted"]))
        return now(box.expunge())


class RestTests(OutboxCase):
    """Mail that rests before it leaves."""

    def test_rests_then_leaves(self) -> None:
        """Nobody gets it before the time is up, one's own house neither; then everybody does, and the folder is
        empty."""
        box, watcher = self.open()
        self.send([OUT, "bob@example.org"])
        self.office.later(29, step=1)
        self.assertEqual((self.relay.shipments, self.office.depot.there), ([], []))
        self.assertEqual((list(box.uids), watcher.take()), ([1], [("arrived", 1)]))
        self.office.later(3, step=0.5)
        self.assertEqual((len(self.relay.shipments), len(self.office.depot.there)), (1, 1))
        self.assertEqual(list(box.uids), [])
        self.assertIn("expunged", [what[0] for what in watcher.take()])

    def test_others_leave_at_once(self) -> None:
        """The setting is one account's; mail from outside and reports never rest."""
        self.send(sender="bob@example.org")
        self.assertEqual(len(self.relay.shipments), 1)
        for text, expected in (("", 0), ("x", 0), ("-5", 0), ("20", 20), ("999999", 86400), ("٣", 0)):
            self.assertEqual(rest_of({"undo_send": text}), expected)

    def test_nobody_watches(self) -> None:
        """Whoever has stopped watching hears nothing more; who watches on still does."""
        heard: list[str] = []

        def first() -> None:
            heard.append("first")

        def second() -> None:
            heard.append("second")

        self.queue.watch(ANN, first)
        self.queue.watch(ANN, second)
        self.queue.unwatch(ANN, first)
        self.send()
        self.office.later(1, step=0.5)
        self.assertEqual(set(heard), {"second"})

    def test_deleting_takes_it_back(self) -> None:
        """Nobody gets it, then or later, and its file is gone."""
        self.send([OUT, "other@far.example", "bob@example.org"])
        box, watcher = self.open()
        self.assertEqual(self.delete(box), (1,))
        self.assertEqual((list(box.uids), self.office.queue_files(), self.office.rows()), ([], [], 0))
        self.assertIn(("expunged", [1]), watcher.take())
        self.office.later(100, step=5)
        self.assertEqual((self.relay.shipments, self.office.depot.there), ([], []))
        (told,) = self.office.journal.of(Cancelled)
        self.assertEqual((told.account, bool(told.trace)), ("ann@example.org", True))

    def test_a_star_sends_now(self) -> None:
        """\\Flagged ends the rest."""
        self.send()
        box, _ = self.open()
        now(box.mark([1], FlagAction.ADD, ["\\Flagged"]))
        self.office.later(1)
        self.assertEqual(len(self.relay.shipments), 1)
        self.assertEqual(list(box.uids), [])

    def test_moved_to_drafts(self) -> None:
        """It is taken back and lies in Drafts; a copy takes nothing back."""
        self.send(subject="One")
        self.send(subject="Two")
        box, _ = self.open()
        copied = now(box.copy([1], "Drafts"))
        self.assertEqual((copied.source_uids, copied.target_uids), ((1,), (1,)))
        self.assertEqual(list(box.uids), [1, 2])
        now(box.copy([1], "Drafts", move=True))
        self.assertEqual(list(box.uids), [2])
        drafts = now(self.store().open("Drafts", Watching()))
        self.assertIn(b"Subject: One", drafts.messages[1].octets)  # type: ignore[attr-defined]
        self.fails(Problem.NO_SUCH_MAILBOX, box.copy([2], "Nowhere", move=True))
        self.fails(Problem.NOT_ALLOWED, box.copy([2], "Outbox", move=True))
        self.office.later(40, step=1)
        self.assertEqual(len(self.relay.shipments), 1)

    def test_too_late(self) -> None:
        """What is being sent cannot be taken back, and the user hears it; those not begun are let go."""
        self.relay.slow = True
        self.send([OUT, "held@far.example"])
        box, _ = self.open()
        self.office.later(31, step=1)
        self.assertEqual(self.keywords(box), [{"$Sending"}])
        now(box.mark([1], FlagAction.ADD, ["\\Deleted"]))
        self.assertIn("too late", self.fails(Problem.BUSY, box.expunge()))
        self.assertIn("too late", self.fails(Problem.BUSY, box.copy([1], "Drafts", move=True)))
        self.assertEqual(list(box.uids), [1])
        self.relay.go()
        self.office.later(1)
        self.assertEqual(list(box.uids), [])

    def test_uids_are_never_used_again(self) -> None:
        """Neither after everything has gone nor after a restart; UIDVALIDITY stays."""
        self.send()
        box, _ = self.open()
        before = box.uidvalidity
        self.delete(box)
        self.send()
        self.office.later(1)
        self.assertEqual(list(box.uids), [2])
        self.delete(box)
        self.office.close()
        self.begin()
        self.assertEqual(now(self.store().status("Outbox")).uidnext, 3)
        self.send()
        box, _ = self.open()
        self.assertEqual((list(box.uids), box.uidvalidity, box.uidnext), ([3], before, 4))

    def test_others_mail_is_not_shown(self) -> None:
        """Each account sees its own, whatever UIDs it names."""
        self.office.directory.all_settings[BOB] = {"undo_send": "30"}
        self.send()
        self.send(sender="bob@example.org", subject="Secret")
        self.send(sender="bob@example.org", subject="Secret")
        mine, _ = self.open()
        his, _ = self.open(BOB)
        self.assertEqual((list(mine.uids), list(his.uids)), ([1], [1, 2]))
        self.assertEqual(now(self.queue.cancel(ANN, [2])), frozenset())
        now(self.queue.send_now(ANN, [2]))
        self.assertEqual(list(his.uids), [1, 2])
        self.assertEqual(now(mine.search(keys.InText("secret"), mine.uids, 1)), [])


class FailedTests(OutboxCase):
    """What could not be delivered."""

    rest = "0"

    def refuse(self) -> tuple[Mailbox, Watching]:
        self.relay.answer = lambda address, tries: REFUSED
        self.send([OUT], subject="Grüße")
        self.office.later(1)
        return self.open()

    def test_stays_with_the_reason(self) -> None:
        """A new, unread letter says who did not get it and why, with the message in it."""
        box, _ = self.refuse()
        self.assertEqual((list(box.uids), self.keywords(box)), ([2], [{"$Failed"}]))
        self.assertFalse(box.flags[0] & SEEN)
        self.assertEqual(list(now(box.search(keys.InHeader("subject", "not sent: grüße"), box.uids, 1))), [2])
        self.assertTrue(all(self.column(box, Fields(("subject",)))))
        (file,) = now(collect(box.files([2])))
        octets = now(file.read(0, 1 << 20))
        self.assertEqual(len(octets), box.sizes[0])
        for words in (b"someone@elsewhere.example", b"550 5.1.1 No such user", b"Message-ID: <", b"Some text."):
            self.assertIn(words, octets)
        self.assertIn(b'"RFC822"', self.column(box, Column.BODYSTRUCTURE)[0].upper())
        self.assertEqual(now(self.store().status("Outbox")).unseen, 1)

    def test_sent_once_more(self) -> None:
        """A star begins anew, under a new UID."""
        box, _ = self.refuse()
        self.relay.answer = lambda address, tries: LATER
        now(box.mark([2], FlagAction.ADD, ["\\Flagged"]))
        self.office.later(1)
        self.assertEqual((list(box.uids), self.keywords(box)), ([3], [{"$Deferred"}]))
        self.assertEqual(len(self.relay.shipments), 2)

    def test_deleted(self) -> None:
        """Deleting it forgets it."""
        box, _ = self.refuse()
        self.assertEqual(self.delete(box), (2,))
        self.assertEqual((self.office.rows(), self.office.queue_files()), (0, []))

    def test_forgotten(self) -> None:
        """After two weeks it goes by itself, also at a start."""
        self.refuse()
        self.office.later(13 * 86400)
        now(self.queue.forget_old())
        self.assertEqual(self.office.rows(), 1)
        self.office.later(2 * 86400)
        now(self.queue.forget_old())
        self.assertEqual((self.office.rows(), self.office.queue_files()), (0, []))

    def test_some_of_many(self) -> None:
        """Only who failed is named; the others are done with."""
        self.relay.answer = lambda address, tries: REFUSED if address == OUT else LATER
        self.send([OUT, "fine@far.example"])
        self.office.later(1)
        box, _ = self.open()
        self.assertEqual(len(box.uids), 1)

    def test_no_report_wanted(self) -> None:
        """NOTIFY=NEVER (and SUCCESS alone) forbids the report by mail, not the line in the Outbox, also after a restart."""
        self.relay.answer = lambda address, tries: REFUSED
        for notify in ({"NEVER"}, {"SUCCESS"}):
            recipients = [Recipient(Address.parse(OUT), frozenset(notify))]
            self.office.accept(recipients, content=message("Hello"))
        self.office.later(31)
        self.office.later(31)
        box, _ = self.open()
        self.assertEqual(self.keywords(box), [{"$Failed"}, {"$Failed"}])
        self.assertEqual(self.office.depot.files(str(ANN)), [], "no report by mail")
        self.office.close()
        self.begin()
        self.assertEqual(len(self.open()[0].uids), 2)
        self.office.accept([Recipient(Address.parse(OUT), frozenset({"NEVER"}))], sender="eve@far.example",
                           origin=Origin.LOCAL)  # fmt: skip
        self.office.later(31)
        self.assertEqual(self.office.rows(), 2, "of mail that nobody submitted nothing is kept")

    def test_operators_drop(self) -> None:
        """What the operator has removed does not come back by a star."""
        self.relay.answer = lambda address, tries: LATER
        self.send()
        (waiting,) = now(self.office.desk.listing())
        now(self.office.desk.drop((waiting.trace,), bounce=True))
        self.office.later(1)
        self.assertEqual(list(self.open()[0].uids), [])


class ReadingTests(OutboxCase):
    """FETCH, SEARCH and the rest, as of any mailbox."""

    def setUp(self) -> None:
        super().setUp()
        self.send(subject="Apples")
        big = message("Pears")
        body = b"".join(b"line %06d of a large message\n" % n for n in range(20_000))
        assert self.office.codes([OUT], content=Content(big.header, body, big.header.count(b"\n") + 20_000)) == [250]
        self.box, self.watcher = self.open()

    def test_columns(self) -> None:
        """Every column of both, the small and the large."""
        for column in Column:
            if column not in (Column.SORTKEYS, Column.THREADKEYS):
                self.assertTrue(all(self.column(self.box, column)), column)
        self.assertEqual([int(size) for size in self.column(self.box, Column.SIZE)], list(self.box.sizes))

    def test_octets(self) -> None:
        """The large one is read in slices; both have CRLF and the size that was told."""
        files = now(collect(self.box.files(self.box.uids)))
        for file, size in zip(files, self.box.sizes, strict=True):
            self.assertEqual(file.size, size)
            octets = b"".join(now(file.read(at, 100_000)) for at in range(0, size, 100_000))
            self.assertEqual(len(octets), size)
            self.assertNotRegex(octets, rb"(?<!\r)\n")
            self.assertTrue(now(file.structure()))
            file.close()

    def search(self, key: keys.SearchKey) -> list[int]:
        return list(now(self.box.search(key, self.box.uids, 1)))

    def test_search(self) -> None:
        """Each key."""
        day = int(self.office.clock.seconds()) // 86400
        for key, expected in (
            (keys.All(), [1, 2]),
            (keys.InHeader("subject", "apple"), [1]),
            (keys.InHeader("x-none", ""), []),
            (keys.InBody("line 019999"), [2]),
            (keys.InText("PEARS"), [2]),
            (keys.InBody("pears"), []),
            (keys.Not(keys.InText("pears")), [1]),
            (keys.Or(keys.InText("pears"), keys.Among(((1, 1),))), [1, 2]),
            (keys.And((keys.HasFlag(SEEN), keys.Size(100_000, True))), [2]),
            (keys.HasFlag(DELETED), []),
            (keys.HasKeyword("$failed"), []),
            (keys.InternalDate("on", day), [1, 2]),
            (keys.SentDate("before", day), []),
            (keys.Age(60, True), [1, 2]),
            (keys.ModSeq(self.box.highest_modseq + 1), []),
        ):
            self.assertEqual(self.search(key), expected, key)

    def test_flags(self) -> None:
        """Flags are told to the others; UNCHANGEDSINCE is kept; keywords of clients are not."""
        other = Watching()
        now(self.store().open("Outbox", other))
        done = now(self.box.mark([1, 2], FlagAction.REMOVE, ["\\Seen", "$Label1"], by=self.watcher))
        self.assertEqual(done.changed, (1, 2))
        self.assertEqual(other.take()[0][0], "flags")
        late = now(self.box.mark([1], FlagAction.ADD, ["\\Answered"], unchanged_since=1))
        self.assertEqual((late.changed, late.conflicting), ((), (1,)))
        self.assertEqual([bits & (SEEN | FLAGGED) for bits in self.box.flags], [0, 0])

    def test_resync(self) -> None:
        """QRESYNC learns what has gone since; before the folder was opened nobody knows."""
        before = self.box.highest_modseq
        self.delete(self.box, [1])
        self.assertEqual(now(self.box.vanished_since(before)), (1,))
        self.assertEqual(now(self.box.vanished_since(5)), None)

    def test_fixed(self) -> None:
        """It cannot be made, deleted, renamed or filled; a real folder of that name comes first."""
        store = self.store()
        self.assertIn("Outbox", [info.name for info in now(store.mailboxes()) if info.subscribed])
        self.fails(Problem.MAILBOX_EXISTS, store.create("Outbox"))
        self.fails(Problem.NOT_ALLOWED, store.create("Outbox.x"))
        self.fails(Problem.NOT_ALLOWED, store.delete("Outbox"))
        self.fails(Problem.NOT_ALLOWED, store.rename("Outbox", "x"))
        self.fails(Problem.NOT_ALLOWED, store.rename("Junk", "Outbox.x"))
        self.fails(Problem.NOT_ALLOWED, store.subscribe("Outbox", False))
        self.fails(Problem.NOT_ALLOWED, store.append("Outbox", [NewMessage(message())]))
        self.fails(Problem.NO_SUCH_MAILBOX, store.open("Outbox.x", Watching()))
        self.assertEqual(now(store.metadata("Outbox")), {})
        now(self.office.stores.get(ANN).create("Outbox"))
        names = [info.name for info in now(store.mailboxes())]
        self.assertEqual(names.count("Outbox"), 1)
        now(store.append("Outbox", [NewMessage(message())]))

    def test_nothing_in_the_way(self) -> None:
        """A real mailbox is handed out as it is."""
        real = now(self.office.stores.get(ANN).open("INBOX", Watching()))
        self.assertIs(now(self.store().open("INBOX", Watching())), real)
        self.fails(Problem.NOT_ALLOWED, self.store().copy(real, [1], "Outbox"))
        now(self.store().copy(self.box, [1], "Junk"))

    def test_closed(self) -> None:
        """When nobody looks any more, nobody is told."""
        self.box.release(self.watcher)
        self.send()
        self.office.later(1)
        self.assertEqual(len(self.box.uids), 2)
        self.assertEqual(now(self.store().status("Outbox")).messages, 3)
