"""SMTP beside Postfix: port 25 to a synced Maildir, the same run, 1/10/50 sessions.

    python -m bench.smtp [--sizes 10k] [--sessions 1,10,50] [-n 2000] [--per-connection 0] [--flush fsync]

Prints messages/s until the last message lies in new/, the reply's p50 and p99, CPU a message and flushes a message, and
the longest time our reactor was blocked. Needs root and Debian's postfix for the peer.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import peers
from tests.live.appliance import Appliance, free_ports

CLIENT = Path(__file__).with_name("smtp_bench.py")


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


def flushes() -> int:
    """Flush requests the disks have completed since boot (the last-but-one figure of /proc/diskstats)."""
    total = 0
    for line in Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if len(fields) >= 20 and not re.match(r"(loop|ram)", fields[2]) and not re.search(r"[a-z]\d+$", fields[2]):
            total += int(fields[18])
    return total


def inject(
    port: int, maildirs: list[str], sessions: int, size: str, count: int, pid: int, *more: str
) -> dict[str, object]:
    out = Path(tempfile.mkstemp(suffix=".json")[1])
    cpu, flushed = cpu_of_tree(pid), flushes()
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
    result["cpu_us"] = (cpu_of_tree(pid) - cpu) / count * 1e6
    result["flushes"] = (flushes() - flushed) / count
    return result


def line(name: str, cell: str, result: dict[str, object]) -> str:
    flat = dict(_flatten(result))
    get: Callable[[str], float] = lambda key: float(flat.get(key) or 0)  # type: ignore[arg-type]  # noqa: E731
    return (
        f"{name:8} {cell:16} accepted/s {get('accepted_per_s'):7.0f}  delivered/s {get('delivered_per_s'):7.0f}  "
        f"p50 {get('latency_ms.p50'):6.1f}  p99 {get('latency_ms.p99'):7.1f} ms  "
        f"cpu {get('cpu_us'):6.0f} us  flushes {get('flushes'):5.2f}"
    )


def _flatten(values: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    out: list[tuple[str, object]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            out += _flatten(value, "" if key == "results" else f"{prefix}{key}.")
        else:
            out.append((prefix + key, value))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10k")
    parser.add_argument("--sessions", default="1,10,50")
    parser.add_argument("-n", type=int, default=2000)
    parser.add_argument("--per-connection", default="0")
    parser.add_argument("--flush", default="")
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="bench-smtp-"))
    room.chmod(0o755)
    cells = [(int(s), size) for size in options.sizes.split(",") for s in options.sessions.split(",")]
    more = ["--per-connection", options.per_connection] if options.per_connection != "0" else []
    peer_lines: dict[tuple[int, str], float] = {}
    if not options.no_peer and shutil.which("postfix") and os.geteuid() == 0:
        for cell in cells:
            (port,) = free_ports(1)
            peer = peers.postfix(room / f"postfix-{cell[0]}-{cell[1]}", room / f"mail-{cell[0]}-{cell[1]}", port)
            try:
                result = inject(
                    port, [str(room / f"mail-{cell[0]}-{cell[1]}")], cell[0], cell[1], options.n, peer.pid, *more
                )
            finally:
                peer.stop()
            peer_lines[cell] = float(dict(_flatten(result)).get("delivered_per_s") or 0)  # type: ignore[arg-type]
            print(line("postfix", f"{cell[0]} x {cell[1]}", result), flush=True)
    flush = f'[store]\nflush = "{options.flush}"\n' if options.flush else ""
    extra = (
        flush
        + "[checks]\nenabled = false\n[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
    )
    with Appliance(room / "ours", extra=extra) as appliance:
        appliance.people("example.test", *(f"user{n}" for n in range(10)))
        appliance.stop()
        appliance.start(environ={"MAILAPPLIANCE_LATENESS": "1"})
        maildirs = [str(appliance.maildir(f"user{n}@example.test")) for n in range(10)]
        for cell in cells:
            result = inject(appliance.ports["smtp"], maildirs, cell[0], cell[1], options.n, appliance.pid, *more)
            ours = float(dict(_flatten(result)).get("delivered_per_s") or 0)  # type: ignore[arg-type]
            ratio = f"  ratio {ours / peer_lines[cell]:.2f}" if peer_lines.get(cell) else ""
            print(line("ours", f"{cell[0]} x {cell[1]}", result) + ratio, flush=True)
        print(f"PSS {appliance.pss_kib()} KiB")
        appliance.stop()
        late = [float(text) for text in re.findall(r"longest_ms=([0-9.]+)", appliance.log())]
        print(f"longest lateness of a 10 ms timer: {max(late, default=float('nan')):.1f} ms")
        print("\n".join(appliance.tracebacks()))
    shutil.rmtree(room)


if __name__ == "__main__":
    main()
