"""Run trial over the tests and end with the one plain line ``N passed, N failed``.

``make test`` calls this; arguments name tests (default: everything but tests.live).
"""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.trial.reporter import TreeReporter, VerboseTextReporter
from twisted.trial.runner import TestLoader, TestSuite, TrialRunner

NOT_SUITES = {"kit", "live", "dialogues"}


def suites() -> list[str]:
    """Every folder of tests but the kit, the dialogues' texts, and what needs other programs."""
    here = Path(__file__).resolve().parents[1]
    return sorted(path.parent.name for path in here.glob("*/__init__.py") if path.parent.name not in NOT_SUITES)


def main(names: list[str]) -> int:
    """Run ``names`` (dotted test names), print the closing line, return 0 when nothing failed."""
    import importlib.util

    loader = TestLoader()
    suite = TestSuite()
    for name in names or [f"tests.{part}" for part in suites()]:
        spec = importlib.util.find_spec(name)
        if names or (spec is not None and spec.origin is not None):
            suite.addTest(loader.loadByName(name, recurse=True))
    reporter = VerboseTextReporter if sys.stdout.isatty() else TreeReporter
    result = TrialRunner(reporter, workingDirectory="_trial_temp").run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    passed = result.successes + len(result.expectedFailures)
    skipped = len(result.skips)
    for case, reason in result.skips:
        print(f"skipped {case.id()}: {reason}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
