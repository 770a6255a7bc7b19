#!/usr/bin/env python3
"""Durable files a second through the commit rounds, without any SMTP before them.

    .venv/bin/python bench/rounds_bench.py --directory DIR [--size 10240] [--count 3000] [--flush fsync,syncfs]
                                           [--lanes 4] [--in-flight 1] [--burn 0] [--rows]

For 1, 10 and 50 concurrent committers: files a second, processor time a file, synchronisations we asked for a file and
flushes the device did a file (from /sys/block, everybody's on that device). ``--burn`` keeps the reactor busy for that
many microseconds before each commit, as the protocol in front would; ``--rows`` adds a row in an SQLite file to each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from twisted.internet import defer, reactor
from twisted.internet.defer import ensureDeferred

from mailbox_appliance.database import Database
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.rounds import Commit, Write
from mailbox_appliance.rounds.rounds import CommitRounds, RoundSettings
from mailbox_appliance.rounds.share import RowsOf
from mailbox_appliance.workers import ThreadedWorkers

ACCOUNTS = 10


def device_flushes(path: str) -> int | None:
    """Flush requests of the block device under ``path`` since it was found; None where the kernel does not say."""
    number = os.stat(path).st_dev
    for stat in (f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat",):
        try:
            words = Path(stat).read_text().split()
        except OSError:
            return None
        return int(words[15]) if len(words) > 15 else None
    return None


def burn(microseconds: float) -> None:
    until = time.perf_counter() + microseconds / 1e6
    while time.perf_counter() < until:
        pass


async def measure(options: argparse.Namespace, flush: str, committers: int) -> str:
    root = tempfile.mkdtemp(prefix="rounds-", dir=options.directory)
    for account in range(ACCOUNTS):
        os.makedirs(f"{root}/{account}/tmp")
        os.makedirs(f"{root}/{account}/new")
    workers = ThreadedWorkers(reactor)
    settings = RoundSettings(flush=flush, lanes=options.lanes, in_flight=options.in_flight)
    rounds = CommitRounds(workers, settings)
    database = Database(f"{root}/rows.db", ["CREATE TABLE entry (name TEXT)"], workers)
    content = Content(b"Subject: bench\n\n", b"y" * 77 + b"\n", 3)
    content = Content(content.header, (b"y" * 77 + b"\n") * (options.size // 78), options.size // 78 + 2)
    waits: list[float] = []
    next_number = iter(range(options.count))

    def job(number: int) -> Commit:
        account = number % ACCOUNTS
        first = f"{root}/{account}/tmp/{number}"
        rows = (RowsOf(database, lambda c: c.execute("INSERT INTO entry VALUES (?)", (first,))),)
        return Commit(
            (Write(content, first, (f"{root}/{account}/new/{number}",)),),
            rows if options.rows else (),
        )

    async def committer() -> None:
        for number in next_number:
            burn(options.burn)
            began = time.perf_counter()
            await rounds.commit(job(number))
            waits.append(time.perf_counter() - began)

    flushed = device_flushes(root)
    began, cpu = time.perf_counter(), time.process_time()
    await defer.gatherResults([ensureDeferred(committer()) for _ in range(committers)])
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    now = device_flushes(root)
    workers.stop()
    database.close()
    shutil.rmtree(root)
    waits.sort()
    count = options.count
    device = f"{(now - flushed) / count:5.2f}" if now is not None and flushed is not None else "    -"
    return (
        f"{flush:8} {committers:3} committers: {count / elapsed:6.0f} files/s  {cpu / count * 1e6:5.0f} us CPU  "
        f"{rounds.flushes / count:5.2f} syncs  {device} flushes a file  {count / rounds.rounds:5.1f} jobs a round  "
        f"p50 {waits[count // 2] * 1e3:.1f} ms  p99 {waits[count * 99 // 100] * 1e3:.1f} ms"
    )


async def measure_all(options: argparse.Namespace) -> None:
    for flush in options.flush.split(","):
        for committers in (1, 10, 50):
            print(await measure(options, flush, committers), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", default=".", help="where the files go: the disk that is measured")
    parser.add_argument("--size", type=int, default=10240)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--flush", default="fsync,syncfs")
    parser.add_argument("--lanes", type=int, default=RoundSettings().lanes)
    parser.add_argument("--in-flight", type=int, default=RoundSettings().in_flight)
    parser.add_argument("--burn", type=float, default=0.0)
    parser.add_argument("--rows", action="store_true")
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    failed: list[object] = []

    def begin() -> None:
        ensureDeferred(measure_all(options)).addErrback(failed.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    for failure in failed:
        print(failure, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
