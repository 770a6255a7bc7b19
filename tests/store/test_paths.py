"""Mailbox names and the folders they live in."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.store.paths import account_folder, checked_name, disk_name, folder_of, mailbox_name


class NameTests(SynchronousTestCase):
    """Which names are names."""

    def test_folders(self) -> None:
        """Name and folder, both ways."""
        for name, folder in (
            ("INBOX", ""),
            ("Sent", ".Sent"),
            ("Archive.2024", ".Archive.2024"),
            ("Entwürfe", ".Entw&APw-rfe"),
            ("A&B", ".A&-B"),
            ("INBOX.sub", ".INBOX.sub"),
            ("台北", ".&U,BTFw-"),
        ):
            self.assertEqual(disk_name(name), folder)
            self.assertEqual(mailbox_name(folder), name)
        self.assertEqual(checked_name("inbox"), "INBOX")
        self.assertEqual(checked_name("Inbox.x"), "INBOX.x")

    def test_refused(self) -> None:
        """Whatever could leave the folder, or hide."""
        for name in (
            "", ".", "..", "../etc", "a/../b", "/", "a/b", ".a", "a.", "a..b", "a\0b", "a\nb", "a\rb", "a\x7fb", "~root",
            "x" * 251, "ü" * 120, ".".join("a" * 33), "a\ud800b",
        ):  # fmt: skip
            self.assertRaises(StoreError, disk_name, name)

    def test_foreign_folders(self) -> None:
        """Folders that are no mailbox."""
        for folder in ("..", ".", "Sent", ".a..b", ".&broken", ".a/b", ".INBOX", "..removed"):
            self.assertIsNone(mailbox_name(folder), folder)

    @given(st.text(max_size=80))
    def test_nothing_leaves_the_account(self, name: str) -> None:
        """Every accepted name is one folder right below the Maildir, and is found again by it."""
        try:
            folder = folder_of("/mail/Maildir", name)
        except StoreError:
            return
        path = os.path.normpath(folder.path)
        self.assertTrue(path == "/mail/Maildir" or os.path.dirname(path) == "/mail/Maildir", path)
        self.assertEqual(mailbox_name(folder.disk), checked_name(name))

    def test_accounts(self) -> None:
        """Local parts and domains that could be folders of somebody else are refused."""
        self.assertEqual(account_folder("/m", Address("Ann", "example.org")), "/m/example.org/ann")
        for local, domain in (
            ("..", "example.org"),
            ("a/b", "example.org"),
            ("a", ".."),
            ("", "x"),
            (".a", "example.org"),
        ):
            self.assertRaises(StoreError, account_folder, "/m", Address(local, domain))
