"""Processor time of a server with everything it starts, however its processes come, go and change their parents.

A control group of the kernel's accounting (cpuacct of the first kind, or cgroup 2) counts it; where none can be made,
the process and its children are added up, and what ended unseen is missing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_FIRST = Path("/sys/fs/cgroup/cpuacct")
_SECOND = Path("/sys/fs/cgroup")


def cpu_of_tree(pid: int) -> float:
    """CPU seconds of a process and its living and reaped children."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat.parent.name) == pid or int(fields[1]) == pid:
            total += sum(int(value) for value in fields[11:15])
    return total / os.sysconf("SC_CLK_TCK")


class Account:
    """Counts what is started inside ``joined``. ``close`` when all of it has ended."""

    def __init__(self, name: str) -> None:
        self.pid = 0  # for machines without control groups
        self._group: Path | None = None
        for above, usage in ((_FIRST, "cpuacct.usage"), (_SECOND, "cpu.stat")):
            group = above / f"bench-{os.getpid()}-{name}"
            with contextlib.suppress(OSError):
                group.mkdir()
                if (group / usage).exists() and (group / "cgroup.procs").exists():
                    self._group, self._usage = group, group / usage
                    return
                group.rmdir()

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """What is started meanwhile is counted, for ever."""
        if self._group is None:
            yield
            return
        kind = ":cpuacct:" if self._usage.name == "cpuacct.usage" else "0::"
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        home = next((line.partition(kind)[2] for line in lines if kind in line), "/")
        (self._group / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            (self._group.parent / home.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))

    def seconds(self) -> float:
        """So far."""
        if self._group is None:
            return cpu_of_tree(self.pid)
        text = self._usage.read_text()
        if self._usage.name == "cpuacct.usage":
            return int(text) / 1e9
        return int(text.split()[1]) / 1e6  # usage_usec

    def close(self) -> None:
        """The group goes, if nothing lives in it any more."""
        if self._group is not None:
            with contextlib.suppress(OSError):
                self._group.rmdir()
