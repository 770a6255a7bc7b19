"""Where each microsecond of a message goes: ``python -m bench.smtp --where [--sizes 10k] [--sessions 1,10] [-n 1000]``.

Three runs for each cell: one untouched, for the processor time; one with a stop-watch around every step (bench.timed);
one under strace, for the system calls. A step's time is its own, without the steps within it. Everything that the
process does until it is quiet again counts, also what nobody waits for.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.injection import flatten, inject
from bench.processor import Account
from bench.timed import STEPS
from tests.live.appliance import Appliance

EXTRA = "[checks]\nenabled = false\n[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
QUIET = 2.5  # seconds after which ours has done what nobody waits for
WARM = 100  # messages that are brought before


def maildirs(appliance: Appliance) -> list[str]:
    return [str(appliance.maildir(f"user{number}@example.test")) for number in range(10)]


@contextlib.contextmanager
def running(folder: Path, flush: str, *within: str) -> Iterator[tuple[Appliance, Account]]:
    """A fresh appliance with ten people."""
    extra = (f'[store]\nflush = "{flush}"\n' if flush else "") + EXTRA
    account = Account("where")
    with Appliance(folder, extra=extra) as appliance:
        appliance.people("example.test", *(f"user{number}" for number in range(10)))
        appliance.stop()
        appliance.within = within
        with account.joined():
            appliance.start()
        account.pid = appliance.pid
        yield appliance, account
    account.close()


def cell(appliance: Appliance, size: str, sessions: int, count: int, more: list[str]) -> dict[str, object]:
    result = flatten(inject(appliance.ports["smtp"], maildirs(appliance), sessions, size, count, *more))
    time.sleep(QUIET)
    return result


def untouched(room: Path, options: argparse.Namespace, size: str, sessions: int, more: list[str]) -> float:
    """Processor time of the whole process, microseconds a message."""
    with running(room / "untouched", options.flush) as (appliance, account):
        cell(appliance, size, sessions, WARM, more)
        before = account.seconds()
        result = cell(appliance, size, sessions, options.n, more)
        used = (account.seconds() - before) / options.n * 1e6
    print(
        f"{sessions} x {size}, {'one message' if more else 'many'} a connection: {used:.0f} us of processor time a "
        f"message, reply after {result['reply_ms.p50']} ms (median), {result['delivered_per_s']}/s, "
        f"load average {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return used


def steps(room: Path, options: argparse.Namespace, size: str, sessions: int, more: list[str]) -> tuple[Table, float]:
    """What each step took in all, (times, ns by the clock, ns of processor time), and the process's microseconds."""
    out = room / "steps.json"
    with running(room / "timed", options.flush, sys.executable, "-m", "bench.timed", str(out)) as (appliance, account):
        cell(appliance, size, sessions, WARM, more)
        before, used = _written(appliance, out), account.seconds()
        cell(appliance, size, sessions, options.n, more)
        after, used = _written(appliance, out), account.seconds() - used
    table = {
        row: [now - then for now, then in zip(values, before.get(row, [0, 0, 0]), strict=True)]
        for row, values in after.items()
    }
    return table, used / options.n * 1e6


Table = dict[str, list[int]]


def _written(appliance: Appliance, out: Path) -> Table:
    out.unlink(missing_ok=True)
    os.kill(appliance.pid, signal.SIGUSR2)
    for _ in range(100):
        time.sleep(0.05)
        if out.exists():
            found: Table = json.loads(out.read_text())
            return found
    raise TimeoutError("the stop-watch did not answer")


def calls(room: Path, options: argparse.Namespace, size: str, sessions: int, more: list[str]) -> dict[str, float]:
    """System calls a message, by name."""
    out = room / "calls"
    count = min(options.n, 300)
    with running(room / "traced", options.flush) as (appliance, _):
        cell(appliance, size, sessions, WARM, more)
        tracer = subprocess.Popen(
            ["strace", "-f", "-c", "-o", str(out), "-p", str(appliance.pid)], stderr=subprocess.DEVNULL
        )
        time.sleep(1)
        cell(appliance, size, sessions, count, more)
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    found = {}
    for line in out.read_text().splitlines()[2:]:
        fields = line.split()
        if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
            found[fields[-1]] = int(fields[3]) / count
    return found


def show(table: Table, count: int, used: float, plain: float) -> None:
    """Markdown: a row for each step, in the order of STEPS."""
    print("| step | times a message | us by the clock | us of processor time |\n|---|---|---|---|")
    sum_cpu = 0.0
    for row in STEPS:
        times, wall, cpu = table.get(row, [0, 0, 0])
        if times:
            sum_cpu += cpu / count / 1000
            print(f"| {row} | {times / count:.2f} | {wall / count / 1000:.0f} | {cpu / count / 1000:.0f} |")
    print(f"| in no step: the reactor's turns, timers, Deferreds, the stop-watch itself | | | {used - sum_cpu:.0f} |")
    print(f"| the whole process, with the stop-watch | | | {used:.0f} |")
    print(f"| the whole process, without it | | | {plain:.0f} |\n", flush=True)


def run(options: argparse.Namespace) -> None:
    """Each cell: the line, the table of steps, the system calls."""
    more = [] if options.per_connection == "0" else ["--per-connection", options.per_connection]
    for size in options.sizes.split(","):
        for sessions in [int(text) for text in options.sessions.split(",")]:
            room = Path(tempfile.mkdtemp(prefix="bench-where-"))
            try:
                plain = untouched(room, options, size, sessions, more)
                table, used = steps(room, options, size, sessions, more)
                show(table, options.n, used, plain)
                if shutil.which("strace"):
                    found = calls(room, options, size, sessions, more)
                    listed = sorted(found.items(), key=lambda one: -one[1])
                    print("system calls a message: ", end="")
                    print(", ".join(f"{name} {often:.2f}" for name, often in listed if often >= 0.1) + "\n", flush=True)
            finally:
                shutil.rmtree(room, ignore_errors=True)
