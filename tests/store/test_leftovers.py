"""What crashed programs leave in tmp/: removed when it is older than a day and a half, by the clock that is given."""

from __future__ import annotations

import os
import time

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.store import folders
from mailbox_appliance.store.account import StoreSettings
from mailbox_appliance.store.paths import folder_of

AGE = StoreSettings("").leftover_age


class LeftoverTests(SynchronousTestCase):
    """folders.clean, with a clock that is moved instead of the files' times."""

    def test_age(self) -> None:
        """36 hours, in every mailbox; what is younger stays, and so does everything that is not in a tmp/."""
        self.assertEqual(AGE, 36 * 3600)
        root = os.path.join(os.path.abspath(self.mktemp()), "Maildir")
        folders.prepare(root)
        places = [folder_of(root, name) for name in ("INBOX", "Sent")]
        for place in places:
            for path in (place.tmp, place.new, place.cur):
                with open(os.path.join(path, "half"), "wb") as file:
                    file.write(b"half")
        now = time.time()
        self.assertEqual(folders.clean(root, now + AGE - 60, AGE), 0)
        # A clock that was set back removes nothing.
        self.assertEqual(folders.clean(root, now - 10 * AGE, AGE), 0)
        self.assertEqual(folders.clean(root, now + AGE + 60, AGE), 2)
        for place in places:
            self.assertEqual(os.listdir(place.tmp), [])
            self.assertEqual((os.listdir(place.new), os.listdir(place.cur)), (["half"], ["half"]))
