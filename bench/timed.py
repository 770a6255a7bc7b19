"""Run a program with a stop-watch around the steps of a message: ``python -m bench.timed OUT PROGRAM ARGUMENT…``.

Used by bench.where, which starts the appliance under it. Each step is a row of STEPS; time that a step spends inside
another one is the other one's. At SIGUSR2 and at the end the sums are written to OUT as JSON: by row, how often, and
nanoseconds by the clock and of the thread's processor time.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Generator
from time import perf_counter_ns, thread_time_ns
from typing import Any

STEPS: dict[str, tuple[str, ...]] = {
    "accept(2), a door and a session are made": (
        "twisted.internet.tcp:Port.doRead",
        "mailbox_appliance.smtp.door:Door.connectionMade",
    ),
    "recv(2)": ("twisted.internet.tcp:Connection.doRead",),
    "commands read": (
        "mailbox_appliance.wire.smtp.server:Server._read_command",
        "mailbox_appliance.wire.smtp.server:Server.answer",
        "mailbox_appliance.wire.smtp.server:Server.greet",
    ),
    "content read, dots unstuffed, gathered": (
        "mailbox_appliance.wire.smtp.flows:DataFlow.read",
        "mailbox_appliance.smtp.intake:Intake.take",
        "mailbox_appliance.smtp.intake:Intake.finish",
        "mailbox_appliance.smtp.intake:Intake.discard",
    ),
    "envelope judged (MAIL, RCPT)": (
        "mailbox_appliance.smtp.session:Session._mail",
        "mailbox_appliance.smtp.session:Session._rcpt",
    ),
    "header read and mended": (
        "mailbox_appliance.smtp.fields:read_facts",
        "mailbox_appliance.smtp.transaction:author_of",
        "mailbox_appliance.smtp.transaction:Border._mend",
    ),
    "routed, judged for the recipient": (
        "mailbox_appliance.delivery.routing:Routing.route",
        "mailbox_appliance.checks.senders:Senders.meet",
    ),
    "accepted: plan, place, round begun": (
        "mailbox_appliance.delivery.acceptance:Door.accept",
        "mailbox_appliance.rounds.rounds:CommitRounds.commit",
    ),
    "handed to a worker and back": (
        "mailbox_appliance.workers:ThreadedWorkers.run",
        "mailbox_appliance.workers:ThreadedWorkers._deliver",
        "twisted.internet._signals:_UnixWaker.wakeUp",
        "twisted.internet._signals:_FDWaker.doRead",
    ),
    "worker: file made and written": (
        "mailbox_appliance.rounds.disk:Disk.create",
        "mailbox_appliance.rounds.disk:Disk.write",
        "mailbox_appliance.rounds.disk:Disk.close",
    ),
    "worker: file synced": ("mailbox_appliance.rounds.disk:Disk.sync", "mailbox_appliance.rounds.disk:Disk.sync_all"),
    "worker: name given, first one taken away": (
        "mailbox_appliance.rounds.disk:Disk.link",
        "mailbox_appliance.rounds.disk:Disk.unlink",
    ),
    "worker: directory synced": ("mailbox_appliance.rounds.disk:Disk.sync_directory",),
    "worker: the round's own work": (
        "mailbox_appliance.rounds.share:commit",
        "mailbox_appliance.rounds.share:commit_by_syncfs",
    ),
    "journal: line, counter, step": (
        "mailbox_appliance.journal.journal:Journal.tell",
        "mailbox_appliance.smtp.report:Report.ended",
    ),
    "journal: lines written": ("mailbox_appliance.journal.lines:LineWriter.flush",),
    "worker: trail written": ("mailbox_appliance.journal.trail:_insert",),
    "worker: acquaintances written": ("mailbox_appliance.checks.senders:_note",),
    "reply: send(2)": ("mailbox_appliance.smtp.door:say",),
    "arrivals noted": ("mailbox_appliance.delivery.local:LocalCopies.arrived",),
    "worker: UIDs, rows of the index": (
        "mailbox_appliance.store.index_file:Index.now",
        "mailbox_appliance.store.index_file:Index.read",
    ),
    "connection closed": (
        "mailbox_appliance.smtp.door:Door._close",
        "mailbox_appliance.smtp.door:Door.connectionLost",
        "twisted.internet.tcp:Connection.connectionLost",
    ),
    "store: rendered for FETCH and SEARCH, nobody waits": (
        "mailbox_appliance.store.rendering:render_one",
        "mailbox_appliance.store.rendering:read_files",
        "mailbox_appliance.store.texts:texts_of",
        "mailbox_appliance.store.texts:read_files",
    ),
    "conversation: the coroutine's own work": (
        "mailbox_appliance.smtp.session:Session._react",
        "mailbox_appliance.smtp.session:Session._flush",
        "mailbox_appliance.smtp.session:Session._finish",
        "mailbox_appliance.smtp.transaction:Border.finish",
    ),
}


class _Thread:
    """One thread's stack of steps, and its sums."""

    __slots__ = ("before", "cpu", "row", "sums", "wall")

    def __init__(self) -> None:
        self.row = ""
        self.before: list[str] = []
        self.wall = self.cpu = 0
        self.sums: dict[str, list[int]] = {}

    def turn_to(self, row: str) -> None:
        """What passed until now belongs to the row before."""
        wall, cpu = perf_counter_ns(), thread_time_ns()
        if self.row:
            sums = self.sums.get(self.row)
            if sums is None:
                sums = self.sums[self.row] = [0, 0, 0]
            sums[1] += wall - self.wall
            sums[2] += cpu - self.cpu
        self.row, self.wall, self.cpu = row, perf_counter_ns(), thread_time_ns()

    def enter(self, row: str) -> None:
        self.before.append(self.row)
        self.turn_to(row)

    def leave(self) -> None:
        self.turn_to(self.before.pop())

    def count(self, row: str) -> None:
        self.sums.setdefault(row, [0, 0, 0])[0] += 1


class Watch(threading.local):
    """The stop-watch of each thread."""

    all: list[_Thread] = []  # shared by all threads

    def __init__(self) -> None:
        self.mine = _Thread()
        self.all.append(self.mine)


class _Steps:
    """A coroutine whose every step is timed."""

    __slots__ = ("_coroutine", "_row", "_watch")

    def __init__(self, coroutine: Any, row: str, watch: Watch) -> None:
        self._coroutine, self._row, self._watch = coroutine, row, watch

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, row, watch = self._coroutine, self._row, self._watch
        step: Callable[[], Any] = functools.partial(coroutine.send, None)
        while True:
            mine = watch.mine
            mine.enter(row)
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value
            finally:
                mine.leave()
            try:
                came = yield waits_for
            except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine
                step = functools.partial(coroutine.throw, error)
            else:
                step = functools.partial(coroutine.send, came)


def timed(function: Callable[..., Any], row: str, watch: Watch) -> Callable[..., Any]:
    """``function`` with the stop-watch."""
    if inspect.iscoroutinefunction(function):

        async def whole(*args: Any, **kwargs: Any) -> Any:
            watch.mine.count(row)
            return await _Steps(function(*args, **kwargs), row, watch)

        return functools.wraps(function)(whole)

    def call(*args: Any, **kwargs: Any) -> Any:
        mine = watch.mine
        mine.count(row)
        mine.enter(row)
        try:
            return function(*args, **kwargs)
        finally:
            mine.leave()

    return functools.wraps(function)(call)


def wind_up(watch: Watch) -> None:
    """Put the stop-watch around every step. A step that has another name by now is an error."""
    owner: Any
    for row, places in STEPS.items():
        for place in places:
            module_name, _, path = place.partition(":")
            module = owner = importlib.import_module(module_name)
            *classes, name = path.split(".")
            for one in classes:
                owner = getattr(owner, one)
            before = getattr(owner, name)
            now = timed(before, row, watch)
            setattr(owner, name, now)
            for table in [value for value in vars(module).values() if isinstance(value, dict)]:
                table.update({key: now for key, value in table.items() if value is before})


def sums(watch: Watch) -> dict[str, list[int]]:
    """All threads together."""
    total: dict[str, list[int]] = {}
    for thread in list(watch.all):
        for row, values in list(thread.sums.items()):
            there = total.setdefault(row, [0, 0, 0])
            for number, value in enumerate(values):
                there[number] += value
    return total


def main() -> None:
    out, *sys.argv = sys.argv[1:]
    watch = Watch()
    wind_up(watch)

    def write(*_: object) -> None:
        with open(out + ".new", "w") as file:
            json.dump(sums(watch), file)
        os.replace(out + ".new", out)

    signal.signal(signal.SIGUSR2, write)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
