"""One run of the client that brings mail, and what it found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CLIENT = Path(__file__).with_name("smtp_bench.py")


def flushes() -> int:
    """Flush requests the disks have completed since boot (the last-but-one figure of /proc/diskstats)."""
    total = 0
    for line in Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if len(fields) >= 20 and not re.match(r"(loop|ram)", fields[2]) and not re.search(r"[a-z]\d+$", fields[2]):
            total += int(fields[18])
    return total


def inject(port: int, maildirs: list[str], sessions: int, size: str, count: int, *more: str) -> dict[str, object]:
    """Bring ``count`` messages and wait until they lie in ``maildirs``; the client's figures, and flushes a message."""
    out = Path(tempfile.mkstemp(suffix=".json")[1])
    flushed = flushes()
    command = [
        sys.executable, str(CLIENT), "inject", "--port", str(port), "-S", str(sessions), "-n", str(count),
        "--size", size,
        "--rcpt", "user{}@example.test", "--rcpt-pool", "10", "--json", str(out), *more,
    ]  # fmt: skip
    for maildir in maildirs:
        command += ["--maildir", maildir]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    result: dict[str, object] = json.loads(out.read_text() or "{}") if out.exists() else {}
    out.unlink()
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:])
    result["flushes"] = (flushes() - flushed) / count
    return result


def flatten(values: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Nested tables as one, by dotted names."""
    out: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            out.update(flatten(value, "" if key == "results" else f"{prefix}{key}."))
        else:
            out[prefix + key] = value
    return out
