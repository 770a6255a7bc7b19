"""The public corpus, a small part of it: only where MAILAPPLIANCE_CORPUS names its folder."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from bench.junk import FOLDERS, Bench, read_corpus


class CorpusTests(SynchronousTestCase):
    """A fifth of the training half teaches, a fifth of the testing half tests."""

    def test_a_part(self) -> None:
        """The prior alone and the taught filter both lose next to nothing and catch what they should."""
        folder = os.environ.get("MAILAPPLIANCE_CORPUS", "")
        if not folder or not (Path(folder) / FOLDERS[0]).is_dir():
            raise SkipTest("MAILAPPLIANCE_CORPUS does not name the folder of the public corpus")
        training, testing = read_corpus(Path(folder))
        for taught, least in ((0, 0.5), (len(training) // 4, 0.6)):
            bench = Bench()
            self.addCleanup(bench.close)
            bench.teach(training[:taught])
            scored = bench.test(testing[::5])
            lost = [row.name for row in scored if not row.junk and row.score > 0]
            junk = [row for row in scored if row.junk]
            self.assertLessEqual(len(lost), 3, lost)
            self.assertGreater(sum(row.score > 0 for row in junk) / len(junk), least)
