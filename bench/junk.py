"""How well and how fast the junk filter judges: SpamAssassin's public corpus, half to learn from, half to be tested.

    MAILAPPLIANCE_CORPUS=FOLDER python -m bench.junk [--folds 10] [--no-peer]

FOLDER holds easy-ham-1, easy-ham-2, hard-ham-1, spam-1, spam-2 with one message a .txt file. Each folder is sorted by
sha256 of ``folder/name`` and cut in the middle; the first half teaches, the second tests. The threshold named "fixed on
the training half" is the lowest one that loses at most one wanted message when each fifth of the training half is
judged by what the other four taught. Names of the collector and his hosts, whole Received fields of theirs, and what a
list of collectors put below the junk it forwarded, are taken out of every message first.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import task
from twisted.internet.defer import Deferred

from mailbox_appliance.junk.features import features_of
from mailbox_appliance.junk.filter import StatisticalFilter
from mailbox_appliance.junk.settings import JunkSettings
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.message import Content
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

T = TypeVar("T")
FOLDERS = ("easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2")
ANN = Address("ann", "example.org")
# The collector's own traces, which would make the figures look better than they are.
TRACES = re.compile(
    rb"(?i)[a-z0-9.+_-]*(?:zzzz|yyyy|jmason|netnoteinc|taint\.org|spamassassin|slashnull)[a-z0-9.@_-]*|\bjm\b|\bexmh\b"
)
# Much of the junk was forwarded by people who collect it: the mark below the text, and all that follows.
FORWARDED = re.compile(rb"\n--DeathToSpam.*", re.DOTALL)
# Stops on the collector's own machines and those of his provider: taken out whole, they tell who gave a message.
RECEIVED = re.compile(rb"(?im)^received:[^\n]*\n(?:[ \t][^\n]*\n)*")
OWN_STOPS = re.compile(
    rb"(?i)zzzz|yyyy|jmason|netnoteinc|taint\.org|spamassassin|slashnull|webnote|213\.105\.180\.|\bjm@|example\.com"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One message of the corpus."""

    name: str
    junk: bool
    octets: bytes

    @property
    def content(self) -> Content:
        end = header_end(self.octets)
        return Content(self.octets[:end], self.octets[end:], self.octets.count(b"\n"))


@dataclass(frozen=True, slots=True)
class Scored:
    """A sample and what the filter said."""

    name: str
    junk: bool
    score: float


def read_corpus(folder: Path) -> tuple[list[Sample], list[Sample]]:
    """The training half and the testing half, each in an order that mixes the folders."""
    halves: tuple[list[Sample], list[Sample]] = ([], [])
    for name in FOLDERS:
        files = sorted((folder / name).glob("*.txt"), key=lambda file: _digest(f"{name}/{file.name}"))
        for place, file in enumerate(files):
            octets = file.read_bytes()
            if octets.startswith(b"From "):
                octets = octets.partition(b"\n")[2]
            end = header_end(octets)
            header = RECEIVED.sub(lambda stop: b"" if OWN_STOPS.search(stop[0]) else stop[0], octets[:end])
            octets = TRACES.sub(b"", header + FORWARDED.sub(b"\n", octets[end:]))
            sample = Sample(f"{name}/{file.name}", name.startswith("spam"), octets)
            halves[place >= len(files) // 2].append(sample)
    for half in halves:
        half.sort(key=lambda sample: _digest(sample.name))
    return halves


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def result_of(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never has to wait."""
    found: list[T] = []
    Deferred.fromCoroutine(coroutine).addCallback(found.append)
    return found[0]


class Bench:
    """A filter in a folder of its own."""

    def __init__(self, threshold: float | None = None) -> None:
        self.folder = tempfile.mkdtemp(prefix="junk-bench-")
        settings = JunkSettings(mail=os.path.join(self.folder, "mail"), family=os.path.join(self.folder, "junk"))
        if threshold is not None:
            settings = replace(settings, threshold=threshold)
        self.filter = StatisticalFilter(settings, InlineWorkers(), RememberedJournal(), task.Clock())

    def teach(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            result_of(self.filter.learn(ANN, sample.octets, sample.junk))

    def test(self, samples: Iterable[Sample]) -> list[Scored]:
        judged = [(sample, result_of(self.filter.judge(ANN, sample.content))) for sample in samples]
        return [Scored(sample.name, sample.junk, judgement.score) for sample, judgement in judged]

    def close(self) -> None:
        result_of(self.filter.stop())
        shutil.rmtree(self.folder)


def taught_by(teachers: Iterable[Sample], tested: Iterable[Sample]) -> list[Scored]:
    """What a filter says of ``tested`` when it was taught by ``teachers``."""
    bench = Bench()
    bench.teach(teachers)
    scored = bench.test(tested)
    bench.close()
    return scored


def crossed(samples: Sequence[Sample], folds: int) -> list[Scored]:
    """Each fold judged by what the others taught."""
    out: list[Scored] = []
    for fold in range(folds):
        out += taught_by(
            [sample for place, sample in enumerate(samples) if place % folds != fold],
            [sample for place, sample in enumerate(samples) if place % folds == fold],
        )
    return out


def threshold_of(scored: Iterable[Scored], most_lost: int) -> float:
    """The lowest threshold at which no more than ``most_lost`` wanted messages are above it."""
    wanted = sorted((row.score for row in scored if not row.junk), reverse=True)
    return wanted[most_lost]


def row(title: str, scored: Sequence[Scored], threshold: float = 0.0) -> str:
    """One line of the table."""
    wanted = [entry for entry in scored if not entry.junk]
    junk = [entry for entry in scored if entry.junk]
    lost = [entry for entry in wanted if entry.score > threshold]
    hard = sum(entry.name.startswith("hard") for entry in lost)
    caught = sum(entry.score > threshold for entry in junk)
    precision = caught / ((caught + len(lost)) or 1)
    return (
        f"| {title} | {threshold:+.2f} | {len(lost)} of {len(wanted)} ({hard} hard) | "
        f"{caught} of {len(junk)} | {caught / len(junk):.3f} | {precision:.4f} |"
    )


HEAD = "| filter | threshold | ham lost | spam caught | recall | precision |\n|---|---|---|---|---|---|"


def scan_times(bench: Bench, samples: Sequence[Sample]) -> None:
    """CPU time of judging and learning messages of about 10 KB."""
    gc.collect()
    gc.freeze()  # the corpus in memory is no part of what is measured
    chosen = [sample for sample in samples if 8_000 <= len(sample.octets) <= 12_500][:150]
    for title, work in (
        ("tokens only", lambda sample: features_of(sample.octets)),
        ("judge", lambda sample: result_of(bench.filter.judge(ANN, sample.content))),
        ("learn", lambda sample: result_of(bench.filter.learn(ANN, sample.octets, sample.junk))),
    ):
        times = []
        for sample in chosen:
            start = time.process_time()
            work(sample)
            times.append((time.process_time() - start) * 1000)
        size = statistics.mean(len(sample.octets) for sample in chosen)
        print(
            f"{title}: median {statistics.median(times):.2f} ms, p90 {sorted(times)[len(times) * 9 // 10]:.2f} ms CPU "
            f"({len(chosen)} messages, mean {size / 1024:.1f} KiB)"
        )


def bogofilter(training: Sequence[Sample], testing: Sequence[Sample]) -> list[Scored] | None:
    """The same split by bogofilter, when it is installed."""
    if shutil.which("bogofilter") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        for flag, junk in (("-s", True), ("-n", False)):
            mbox = b"".join(
                b"From a@b Mon Jan  1 00:00:00 2001\n" + sample.octets.replace(b"\nFrom ", b"\n>From ") + b"\n"
                for sample in training
                if sample.junk is junk
            )
            subprocess.run(["bogofilter", "-d", folder, flag, "-M"], input=mbox, check=True)
        out = []
        for sample in testing:
            done = subprocess.run(
                ["bogofilter", "-d", folder, "-T", "-T"], input=sample.octets, capture_output=True, check=False
            )
            out.append(Scored(sample.name, sample.junk, float(done.stdout.split()[-1])))
        return out


def spamassassin(training: Sequence[Sample], testing: Sequence[Sample]) -> list[Scored] | None:
    """The same split by SpamAssassin with Bayes and its shipped rules, without the net; when it is installed."""
    if any(shutil.which(program) is None for program in ("sa-learn", "spamd", "spamc")):
        return None
    with tempfile.TemporaryDirectory(prefix="sa-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "local.cf").write_text(
            f"use_bayes 1\nbayes_auto_learn 0\nbayes_path {folder}/bayes\nskip_rbl_checks 1\ndns_available no\n"
        )
        for path in Path("/etc/spamassassin").glob("*.pre"):
            shutil.copy(path, folder)
        site = f"--siteconfigpath={folder}"
        for flag, junk in (("--spam", True), ("--ham", False)):
            (folder / flag).mkdir()
            for number, sample in enumerate(training):
                if sample.junk is junk:
                    (folder / flag / str(number)).write_bytes(sample.octets)
            subprocess.run(
                ["sa-learn", "-L", site, "--no-sync", flag, str(folder / flag)], check=True, capture_output=True
            )
        subprocess.run(["sa-learn", "-L", site, "--sync"], check=True, capture_output=True)
        socket = f"{folder}/socket"
        daemon = subprocess.Popen(
            ["spamd", "-L", site, f"--socketpath={socket}", "-m", "2", "--nouser-config"], stderr=subprocess.DEVNULL
        )
        try:
            while not os.path.exists(socket):
                time.sleep(0.2)
            out = []
            for sample in testing:
                done = subprocess.run(
                    ["spamc", "-U", socket, "-c"], input=sample.octets, capture_output=True, check=False
                )
                out.append(Scored(sample.name, sample.junk, float(done.stdout.partition(b"/")[0])))
            return out
        finally:
            daemon.terminate()
            daemon.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=0, help="also N-fold over the whole corpus")
    parser.add_argument("--no-peer", action="store_true")
    given = parser.parse_args()
    folder = os.environ.get("MAILAPPLIANCE_CORPUS")
    if not folder or not (Path(folder) / FOLDERS[0]).is_dir():
        print("skipped: MAILAPPLIANCE_CORPUS does not name the folder of the corpus")
        return 0
    training, testing = read_corpus(Path(folder))
    print(HEAD, flush=True)
    cold = Bench()
    print(row("prior only, training half", cold.test(training)))
    print(row("prior only, testing half", cold.test(testing)), flush=True)
    cold.close()
    cross = crossed(training, 5)
    fixed = threshold_of(cross, 1)
    print(row("5-fold inside the training half, threshold for one lost", cross, fixed), flush=True)
    bench = Bench()
    bench.teach(training)
    scored = bench.test(testing)
    print(row("ours, threshold fixed on the training half", scored, fixed))
    print(row("ours, shipped threshold", scored))
    if given.folds:
        print(row(f"ours, {given.folds}-fold, shipped threshold", crossed(training + testing, given.folds)), flush=True)
    if not given.no_peer:
        peer = bogofilter(training, testing)
        for threshold in (0.99, 0.6) if peer else ():
            print(row("bogofilter", peer or [], threshold), flush=True)
        other = spamassassin(training, testing)
        for threshold in (4.99, 2.99) if other else ():  # 5.0 is its default
            print(row("SpamAssassin with Bayes", other or [], threshold), flush=True)
        print("at as many wanted messages lost as the peers:")
        for lost in range(6):
            print(row(f"ours, {lost} lost", scored, threshold_of(scored, lost)), flush=True)
    scan_times(bench, testing)
    sizes = {path.name: path.stat().st_size >> 10 for path in Path(bench.folder).rglob("*.db*")}
    print("files in KiB:", sizes)
    bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
