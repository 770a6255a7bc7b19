"""Random lives of a mailbox: whatever happens in whatever order, a UID never names another message."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.mailbox import DELETED, FLAGGED, SEEN
from mailbox_appliance.ports.store import FlagAction
from mailbox_appliance.store import uidlist
from mailbox_appliance.store.filenames import flags_of, with_flags
from mailbox_appliance.store.flags import flag_names
from mailbox_appliance.store.mailbox import OpenMailbox
from tests.store.kit import Shop, Watching

FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "$One", "$Two")
picks = st.integers(0, 30)


class MailboxLife(RuleBasedStateMachine):
    """One account, two mailboxes; every message has a subject of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.shop = Shop(self.folder)
        self.serial = itertools.count()
        self.named: dict[tuple[str, int, int], str] = {}  # (mailbox, uidvalidity, uid): subject, for ever
        self.highest: dict[str, int] = {}
        self.watchers = {"INBOX": Watching(), "Archive": Watching()}
        self.boxes: dict[str, OpenMailbox] = {}

    @initialize()
    def begin(self) -> None:
        self.open_all()

    def open_all(self) -> None:
        for name, watcher in self.watchers.items():
            watcher.take()
            self.boxes[name] = self.shop.open(name, watcher)

    def subject(self) -> str:
        return f"Subject: n{next(self.serial)}\n\nbody\n"

    def pick(self, number: int, name: str = "INBOX") -> int | None:
        uids = self.boxes[name].uids
        return uids[number % len(uids)] if len(uids) else None

    def file(self, number: int) -> str | None:
        files = self.shop.files()
        return files[number % len(files)] if files else None

    # ------------------------------------------------------------ what we do

    @rule(flags=st.sets(st.sampled_from(FLAGS)))
    def append(self, flags: set[str]) -> None:
        self.shop.append(self.subject(), *flags)

    @rule(name=st.sampled_from(["INBOX", "Archive"]))
    def deliver(self, name: str) -> None:
        self.shop.deliver(self.subject(), name=name)

    @rule(number=picks, action=st.sampled_from(FlagAction), flags=st.sets(st.sampled_from(FLAGS)))
    def mark(self, number: int, action: FlagAction, flags: set[str]) -> None:
        if (uid := self.pick(number)) is not None:
            self.shop.do(self.boxes["INBOX"].mark([uid], action, flags))

    @rule()
    def expunge(self) -> None:
        self.shop.do(self.boxes["INBOX"].expunge())

    @rule(number=picks, move=st.booleans())
    def copy(self, number: int, move: bool) -> None:
        if (uid := self.pick(number)) is not None:
            box, target = self.boxes["INBOX"], self.boxes["Archive"]
            said = self.shop.do(box.copy([uid], "Archive", move=move))
            for source, new in zip(said.source_uids, said.target_uids, strict=True):
                subject = self.named.get(("INBOX", box.uidvalidity, source))
                if subject is not None:
                    self.named[("Archive", target.uidvalidity, new)] = subject

    # ------------------------------------------------------------ what others do

    @rule(place=st.sampled_from(["new", "cur"]), flags=st.sampled_from(["", ":2,", ":2,S", ":2,FTa"]))
    def others_deliver(self, place: str, flags: str) -> None:
        number = next(self.serial)
        self.shop.drop_in(f"1700{number:06}.other{flags}", f"Subject: n{number}\n\nforeign\n", place)

    @rule(number=picks, bits=st.sampled_from([0, SEEN, FLAGGED | DELETED, SEEN | DELETED]))
    def others_rename(self, number: int, bits: int) -> None:
        if (path := self.file(number)) is not None:
            name = with_flags(os.path.basename(path), bits)
            os.rename(os.path.join(self.shop.root, path), os.path.join(self.shop.root, "cur", name))

    @rule(number=picks)
    def others_delete(self, number: int) -> None:
        if (path := self.file(number)) is not None:
            os.unlink(os.path.join(self.shop.root, path))

    @rule()
    def others_number(self) -> None:
        """Dovecot was quicker: it gives UIDs to what has none."""
        path = os.path.join(self.shop.root, uidlist.NAME)
        found = uidlist.read(path)
        bases = sorted(os.path.basename(name).partition(":")[0] for name in self.shop.files())
        fresh = [base for base in bases if base not in found.uids]
        if fresh and found.validity:
            uidlist.append(path, list(enumerate(fresh, found.next)))

    @rule()
    def others_rewrite(self) -> None:
        """Dovecot tidies its list."""
        path = os.path.join(self.shop.root, uidlist.NAME)
        found = uidlist.read(path)
        here = {os.path.basename(name).partition(":")[0] for name in self.shop.files()}
        lines = sorted((uid, base, "") for base, uid in found.uids.items() if base in here)
        if found.validity:
            uidlist.rewrite(path, found.validity, found.next, found.guid, lines)

    # ------------------------------------------------------------ what happens

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.shop.clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.shop = self.shop.reopened()
        self.open_all()

    @rule()
    def lose_index(self) -> None:
        self.shop.lose_index()
        self.shop.clock.advance(1)
        self.shop = self.shop.reopened()
        self.open_all()

    @precondition(lambda self: self.boxes)
    @rule()
    def lose_uidlist(self) -> None:
        path = os.path.join(self.shop.root, uidlist.NAME)
        if os.path.exists(path):
            # What others have numbered and nobody has looked at would be lost with the file: look first.
            self.check()
            os.unlink(path)

    # ------------------------------------------------------------ what holds

    @invariant()
    def check(self) -> None:
        for name, box in self.boxes.items():
            assert not box.is_dead
            self.shop.do(box.refresh())
            watcher = self.watchers[name]
            counted = None
            for told in watcher.take():
                assert told[0] != "vanished"
                counted = told[1] if told[0] == "arrived" else counted
            uids = list(box.uids)
            assert uids == sorted(set(uids))
            assert all(uid < box.uidnext for uid in uids)
            assert box.highest_modseq >= self.highest.get(name, 0)
            assert max(box.modseqs, default=0) <= box.highest_modseq
            self.highest[name] = box.highest_modseq
            lengths = {len(a) for a in (box.uids, box.flags, box.modseqs, box.sizes, box.dates, box.zones)}
            assert len(lengths) == 1
            files = self.shop.files("" if name == "INBOX" else ".Archive")
            assert len(files) == len(uids), (files, uids)
            said = [self.shop.do(file.read(0, 100)) for file in self.shop.collect(box.files(uids))]
            assert len(said) == len(uids)
            for uid, octets in zip(uids, said, strict=True):
                subject = octets.partition(b"\r\n")[0].decode()
                known = self.named.setdefault((name, box.uidvalidity, uid), subject)
                assert known == subject, f"{name} UID {uid} was {known} and is {subject}"
            flags = sorted(bits & (SEEN | FLAGGED | DELETED) for bits in box.flags)
            assert flags == sorted(flags_of(os.path.basename(f)) & (SEEN | FLAGGED | DELETED) for f in files)
            for bits in box.flags:
                flag_names(bits, box.keywords)

    def teardown(self) -> None:
        self.shop.stores.stop()
        failures = self.shop.journal.failures
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not failures, failures


class MailboxLifeTests(SynchronousTestCase):
    """Many short lives."""

    def test_lives(self) -> None:
        """No UID ever names another message, flags are those of the files, MODSEQ never falls."""
        from hypothesis.stateful import run_state_machine_as_test

        run_state_machine_as_test(
            MailboxLife,
            settings=settings(
                max_examples=30,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )
