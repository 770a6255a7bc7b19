"""Content on its way in: memory, spool file, the budget over all, and a disk that fails."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.smtp.intake import (
    DISK_BROKEN,
    DISK_FULL,
    HEADER_TOO_LARGE,
    TOO_LARGE,
    Budget,
    Intake,
    sweep,
)
from mailbox_appliance.smtp.limits import Limits
from tests.kit.workers import InlineWorkers

HEADER = b"From: x@y.test\n\n"


class FailingWorkers:
    """The disk says no, from the ``after``-th job on."""

    def __init__(self, error: Exception, after: int = 0) -> None:
        self.error = error
        self.left = after
        self.inline = InlineWorkers()

    def run(self, door: str, job: Callable[..., Any], *args: Any) -> Deferred[Any]:
        self.left -= 1
        if self.left < 0 and job is not os.unlink:
            return fail(self.error)
        return self.inline.run(door, job, *args)


class IntakeTests(SynchronousTestCase):
    """One message at a time."""

    def setUp(self) -> None:
        self.spool = tempfile.mkdtemp(prefix="intake-")
        self.addCleanup(shutil.rmtree, self.spool)
        self.budget = Budget(100_000)
        self.broken: list[BaseException] = []

    def intake(self, workers: Any = None, **limits: int) -> Intake:
        small: dict[str, Any] = {"in_memory": 1000, "spool_piece": 300, "header_block": 500, **limits}
        return Intake("t1", self.spool, Limits(**small), workers or InlineWorkers(), self.budget, self.broken.append)

    def give(self, intake: Intake, *pieces: bytes) -> Content | Reply:
        async def run() -> Content | Reply:
            for piece in pieces:
                await intake.take(piece, piece.count(b"\n"))
            return await intake.finish()

        return self.successResultOf(Deferred.fromCoroutine(run()))

    def done(self, intake: Intake) -> None:
        self.successResultOf(Deferred.fromCoroutine(intake.discard()))
        self.assertEqual(os.listdir(self.spool), [])
        self.assertEqual(self.budget.left, 100_000)

    def body(self, content: Content | Reply) -> bytes:
        assert isinstance(content, Content), content
        if isinstance(content.body, bytes):
            return content.body
        with open(content.body.path, "rb") as file:
            file.seek(content.body.offset)
            return file.read(content.body.length)

    def test_small(self) -> None:
        """A small message never touches the disk."""
        workers = InlineWorkers()
        intake = self.intake(workers)
        content = self.give(intake, b"From: x", b"@y.test\n", b"\nhello\n")
        assert isinstance(content, Content)
        self.assertEqual((content.header, content.body, content.lines), (HEADER, b"hello\n", 3))
        self.assertEqual(intake.wire_size, len(HEADER) + 6 + 3)
        self.done(intake)
        self.assertEqual(workers.doors, [])

    @settings(max_examples=60)
    @given(st.lists(st.integers(1, 700), max_size=12))
    def test_large(self, sizes: list[int]) -> None:
        """However it comes, the body is kept octet for octet, in memory or in a private file."""
        pieces = [HEADER, *(bytes([65 + i]) * size + b"\n" for i, size in enumerate(sizes))]
        intake = self.intake()
        content = self.give(intake, *pieces)
        self.assertEqual(self.body(content), b"".join(pieces[1:]))
        assert isinstance(content, Content)
        self.assertEqual(content.lines, 2 + len(sizes))
        if isinstance(content.body, SpooledBody):
            self.assertEqual(os.stat(content.body.path).st_mode & 0o777, 0o600)
            self.assertEqual(os.stat(content.body.path).st_size, content.body.length)
        else:
            self.assertLessEqual(len(content.body), 1000)
        self.done(intake)

    def test_memory_is_given_back_while_spooling(self) -> None:
        """A huge message holds no more than a piece."""
        intake = self.intake()

        async def run() -> int:
            await intake.take(HEADER, 2)
            most = 0
            for _ in range(1000):
                await intake.take(b"x" * 199 + b"\n", 1)
                most = max(most, 100_000 - self.budget.left)
            return most

        self.assertLess(self.successResultOf(Deferred.fromCoroutine(run())), 1300)
        self.done(intake)

    def test_budget(self) -> None:
        """When the memory of all sessions is used up, even small messages go to the disk."""
        self.budget.left = 10
        intake = self.intake()
        content = self.give(intake, HEADER, b"hello\n")
        assert isinstance(content, Content)
        self.assertIsInstance(content.body, SpooledBody)
        self.assertEqual(self.body(content), b"hello\n")
        self.budget.left += 99_990
        self.done(intake)

    def test_limits(self) -> None:
        """Too large a message, too large a header, in one piece or many, small or spooled."""
        for pieces, limits, reply in (
            ([HEADER, b"x" * 100], {"message_size": 100}, TOO_LARGE),
            ([b"X: " + b"y" * 600 + b"\n\n"], {}, HEADER_TOO_LARGE),
            ([b"X: " + b"y" * 400, b"y" * 200 + b"\n\nbody"], {}, HEADER_TOO_LARGE),
            ([b"y" * 300] * 10, {}, HEADER_TOO_LARGE),
            ([b"y" * 600], {}, HEADER_TOO_LARGE),
            ([b"A: b\n" * 20 + b"\n"], {"header_lines": 20}, HEADER_TOO_LARGE),
            ([b"A: b\n" * 84 + b"\n"], {}, HEADER_TOO_LARGE),  # 506 octets with CRLF, 421 without
        ):
            intake = self.intake(**limits)
            self.assertEqual(self.give(intake, *pieces), reply)
            self.done(intake)

    def test_size_counts_line_ends_twice(self) -> None:
        """SIZE is octets with CRLF."""
        intake = self.intake(message_size=20)
        self.assertIsInstance(self.give(intake, HEADER, b"a\n"), Reply)
        self.done(intake)
        intake = self.intake(message_size=21)
        self.assertIsInstance(self.give(intake, HEADER, b"a\n"), Content)
        self.done(intake)

    def test_unlimited(self) -> None:
        """0 means no limit."""
        intake = self.intake(message_size=0)
        self.assertIsInstance(self.give(intake, HEADER, *[b"x" * 999 + b"\n"] * 50), Content)
        self.done(intake)

    def test_disk(self) -> None:
        """A full disk is 452, a broken one 451 and journaled, busy workers 451; the rest is dropped, nothing is left."""
        for error, reply, told in (
            (OSError(errno.ENOSPC, "full"), DISK_FULL, 0),
            (OSError(errno.EDQUOT, "quota"), DISK_FULL, 0),
            (OSError(errno.EIO, "broken"), DISK_BROKEN, 1),
            (Busy("busy"), DISK_BROKEN, 0),
        ):
            for after in (0, 1, 2):
                self.broken.clear()
                intake = self.intake(FailingWorkers(error, after))
                self.assertEqual(self.give(intake, HEADER, *[b"x" * 400] * 8), reply)
                self.assertEqual(len(self.broken), told)
                self.done(intake)

    def test_sweep(self) -> None:
        """At start, what a crash left is removed, and nothing else."""
        for name in ("smtp-abc.body", "smtp-def.body", "queue-1", "smtp-x"):
            with open(os.path.join(self.spool, name), "wb"):
                pass
        self.assertEqual(sweep(self.spool), 2)
        self.assertEqual(sorted(os.listdir(self.spool)), ["queue-1", "smtp-x"])
        self.assertEqual(sweep(os.path.join(self.spool, "missing")), 0)
