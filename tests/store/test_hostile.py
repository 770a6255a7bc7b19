"""Things in a Maildir that are no messages and no lists, though they bear the names of such."""

from __future__ import annotations

import os
from collections.abc import Callable

from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.store import keywords, metadata, special, uidlist
from tests.store.kit import StoreCase


class HostileTests(StoreCase):
    """Nothing is waited for, nothing is followed out of the Maildir, and what is sound is read."""

    def setUp(self) -> None:
        super().setUp()
        self.box = self.shop.open()

    def cur(self, name: str) -> str:
        return os.path.join(self.shop.root, "cur", name)

    def refresh(self) -> None:
        self.shop.do(self.box.refresh())

    def test_what_takes_the_place_of_a_message(self) -> None:
        """A FIFO, a folder, a link to a device or to another's file: not waited for, not followed, and others are read."""
        self.shop.drop_in("1700000000.a", "Subject: a\n\nfirst\n", place="cur")
        self.shop.drop_in("1700000001.b", "Subject: b\n\nsecond\n", place="cur")
        self.refresh()
        uids = list(self.box.uids)
        path = self.cur("1700000000.a")
        makers: tuple[Callable[[str], object], ...] = (
            os.mkfifo,
            os.mkdir,
            lambda at: os.symlink("/dev/zero", at),
            lambda at: os.symlink("/etc/hostname", at),
            lambda at: os.symlink(at, at),
        )

        async def read() -> list[tuple[int, bytes]]:
            return [
                (file.uid, await file.read(0, 1000))
                async for batch in self.box.files(uids)
                for file in batch
            ]  # fmt: skip

        for number, make in enumerate(makers):
            os.rename(path, self.shop.root + "/away")
            make(path)
            self.assertEqual(self.shop.do(read()), [(uids[1], b"Subject: b\r\n\r\nsecond\r\n")], number)
            (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)
            os.rename(self.shop.root + "/away", path)
        self.assertEqual([uid for uid, _ in self.shop.do(read())], uids)

    def test_what_takes_the_place_of_our_files(self) -> None:
        """A FIFO or a device under the name of a list is as good as no list: the mailbox opens, UIDs stay."""
        self.shop.drop_in("1700000000.a", place="cur")
        self.refresh()
        uids = list(self.box.uids)
        for name in (uidlist.NAME, keywords.DOVECOT, keywords.OURS, "subscriptions", special.NAME, metadata.FILE):
            path = os.path.join(self.shop.root, name)
            for make in (os.mkfifo, lambda at: os.symlink("/dev/zero", at)):  # type: Callable[[str], object]
                if os.path.lexists(path):
                    os.unlink(path)
                make(path)
                self.refresh()
                self.assertEqual(list(self.box.uids), uids, name)
                self.shop.do(self.shop.store.mailboxes())
                self.assertEqual(self.shop.do(self.shop.store.metadata("INBOX")), {}, name)
            os.unlink(path)
            self.refresh()
        self.shop.drop_in("1700000001.b", place="cur")
        self.refresh()
        self.assertEqual(list(self.box.uids)[:1], uids)

    def test_notes_that_are_damaged(self) -> None:
        """Whatever is in that file, it is a trouble with the disk and nothing worse."""
        path = os.path.join(self.shop.root, metadata.FILE)
        for text in (
            "[1]",
            '{"INBOX": 5}',
            '{"INBOX": {"/private/comment": 5}}',
            '{"INBOX": {"/x": "é"}}',
            "[" * 9999,
            "\0",
        ):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            error = self.assertRaises(StoreError, self.shop.do, self.shop.store.metadata("INBOX"))
            self.assertIs(error.problem, Problem.DISK, text[:50])
        os.unlink(path)
