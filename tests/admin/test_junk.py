"""spam train: lessons from files that the command line has read."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.junk import TrainDesk
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.cli import files
from mailbox_appliance.mail.address import Address
from tests.kit.fake_directory import FakeDirectory
from tests.kit.fake_junk import FakeJunkFilter

ANN = Address("ann", "example.org")


def given(*contents: bytes) -> list[dict[str, str]]:
    return [{"name": f"f{at}", "octets": base64.b64encode(one).decode()} for at, one in enumerate(contents)]


class TrainTests(SynchronousTestCase):
    """The desk."""

    def setUp(self) -> None:
        self.filter = FakeJunkFilter()
        directory = FakeDirectory({"example.org": "ann@example.org"}, ["ann@example.org"])
        self.desk = TrainDesk(self.filter, directory, lambda: "mx.test", self.breathe)

    async def breathe(self) -> None:
        pass

    def train(self, **arguments: Any) -> Result:
        result: Result = self.successResultOf(
            Deferred.fromCoroutine(self.desk.train({"address": "Ann@example.org", **arguments}))
        )
        return result

    def refused(self, **arguments: Any) -> str:
        return str(
            self.failureResultOf(
                Deferred.fromCoroutine(self.desk.train({"address": "ann@example.org", **arguments})), Refused
            ).value
        )

    def test_learns(self) -> None:
        """Each message of each file, an mbox taken apart; the answer counts them."""
        mbox = b"From a@b Mon Jan  1 00:00:00 2001\nSubject: 1\n\nx\n\nFrom a@b Mon Jan  1 00:00:00 2001\nSubject: 2\n\ny\n"
        result = self.train(junk=True, files=given(b"Subject: 0\n\nz\n", mbox))
        self.assertEqual(result.data, {"account": "ann@example.org", "learnt": 3, "junk": True})
        self.assertEqual(list(self.filter.taught.values()), [True, True, True])
        self.assertEqual(self.train(ham=True, files=given(b"Subject: 0\n\nz\n")).data["junk"], False)

    def test_refuses(self) -> None:
        """Both or neither kind, nobody's account, no file, an empty one, half a file."""
        good = given(b"Subject: 0\n\nz\n")
        self.assertIn("--junk or --ham", self.refused(files=good))
        self.assertIn("--junk or --ham", self.refused(files=good, junk=True, ham=True))
        self.assertIn("no account", self.refused(address="eve@example.org", junk=True, files=good))
        self.assertIn("no file", self.refused(junk=True))
        self.assertIn("holds no message", self.refused(junk=True, files=given(b"")))
        self.assertIn("whole", self.refused(junk=True, files=[{"name": "x", "octets": "?"}]))


class LoadTests(SynchronousTestCase):
    """The command line's side."""

    def test_loads(self) -> None:
        """Files in loads of bounded size, a folder for what is in it; what cannot be read is refused."""
        self.patch(files, "_LOAD", 10)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a", "b", "c"):
                Path(folder, name).write_bytes(b"12345")
            os.mkdir(os.path.join(folder, "sub"))
            refusals: list[str] = []
            loads = list(files.loads_of([folder], refusals.append))
            self.assertEqual([[os.path.basename(one["name"]) for one in load] for load in loads], [["a", "b"], ["c"]])
            self.assertEqual(base64.b64decode(loads[0][0]["octets"]), b"12345")
            self.assertEqual(list(files.loads_of([os.path.join(folder, "none")], refusals.append)), [])
            self.assertIn("cannot be read", refusals[0])
