"""SMTP beside Postfix and Exim: port 25 to a synced Maildir, the same run, 1/10/50 sessions.

    python -m bench.smtp [--sizes 10k] [--sessions 1,10,50] [-n 2000] [--per-connection 0] [--flush fsync]
    python -m bench.smtp --cells        the whole table, see bench/cells.py
    python -m bench.smtp --where        where each microsecond goes, see bench/where.py

Prints messages/s until the last message lies in new/, the reply's p50 and p99, CPU a message and flushes a message, and
the longest time our reactor was blocked. Needs root and Debian's postfix for the peer.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import cells, peers, where
from bench.injection import flatten
from bench.injection import inject as bring
from bench.processor import cpu_of_tree
from tests.live.appliance import Appliance, free_ports


def inject(
    port: int, maildirs: list[str], sessions: int, size: str, count: int, pid: int, *more: str
) -> dict[str, object]:
    """A run with the processor time of the tree of ``pid``."""
    cpu = cpu_of_tree(pid)
    result = bring(port, maildirs, sessions, size, count, *more)
    result["cpu_us"] = (cpu_of_tree(pid) - cpu) / count * 1e6
    return result


def line(name: str, cell: str, result: dict[str, object]) -> str:
    flat = flatten(result)
    get: Callable[[str], float] = lambda key: float(flat.get(key) or 0)  # type: ignore[arg-type]  # noqa: E731
    return (
        f"{name:8} {cell:16} accepted/s {get('accepted_per_s'):7.0f}  delivered/s {get('delivered_per_s'):7.0f}  "
        f"p50 {get('latency_ms.p50'):6.1f}  p99 {get('latency_ms.p99'):7.1f} ms  "
        f"cpu {get('cpu_us'):6.0f} us  flushes {get('flushes'):5.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="")
    parser.add_argument("--sessions", default="1,10,50")
    parser.add_argument("-n", type=int, default=2000)
    parser.add_argument("--per-connection", default="0")
    parser.add_argument("--flush", default="", help="fsync (the default) or syncfs")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--cells", action="store_true", help="the whole table")
    parser.add_argument("--modes", default="plain,starttls,auth")
    parser.add_argument("--connections", default="one,many", help="messages a connection")
    parser.add_argument("--peers", default="postfix,exim")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=14.0)
    parser.add_argument("--where", action="store_true", help="the steps of a message, with their times")
    options = parser.parse_args()
    options.sizes = options.sizes or ("1k,10k,100k" if options.cells else "10k")
    if options.cells:
        options.peers = "" if options.no_peer else options.peers
        cells.run(options)
    elif options.where:
        where.run(options)
    else:
        plain(options)


def plain(options: argparse.Namespace) -> None:
    """A row for each size and number of sessions, in clear."""
    room = Path(tempfile.mkdtemp(prefix="bench-smtp-"))
    room.chmod(0o755)
    wanted = [(int(s), size) for size in options.sizes.split(",") for s in options.sessions.split(",")]
    more = ["--per-connection", options.per_connection] if options.per_connection != "0" else []
    peer_lines: dict[tuple[int, str], float] = {}
    if not options.no_peer and shutil.which("postfix") and os.geteuid() == 0:
        for cell in wanted:
            (port,) = free_ports(1)
            peer = peers.postfix(room / f"postfix-{cell[0]}-{cell[1]}", room / f"mail-{cell[0]}-{cell[1]}", port)
            try:
                result = inject(
                    port, [str(room / f"mail-{cell[0]}-{cell[1]}")], cell[0], cell[1], options.n, peer.pid, *more
                )
            finally:
                peer.stop()
            peer_lines[cell] = float(flatten(result).get("delivered_per_s") or 0)  # type: ignore[arg-type]
            print(line("postfix", f"{cell[0]} x {cell[1]}", result), flush=True)
    flush = f'[store]\nflush = "{options.flush}"\n' if options.flush else ""
    extra = (
        flush
        + "[checks]\nenabled = false\n[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
    )
    with Appliance(room / "ours", extra=extra) as appliance:
        appliance.people("example.test", *(f"user{n}" for n in range(10)))
        appliance.stop()
        appliance.start_watched()
        maildirs = [str(appliance.maildir(f"user{n}@example.test")) for n in range(10)]
        for cell in wanted:
            result = inject(appliance.ports["smtp"], maildirs, cell[0], cell[1], options.n, appliance.pid, *more)
            ours = float(flatten(result).get("delivered_per_s") or 0)  # type: ignore[arg-type]
            ratio = f"  ratio {ours / peer_lines[cell]:.2f}" if peer_lines.get(cell) else ""
            print(line("ours", f"{cell[0]} x {cell[1]}", result) + ratio, flush=True)
        print(f"PSS {appliance.pss_kib()} KiB")
        print(appliance.longest_lateness())
        appliance.stop()
        print("\n".join(appliance.tracebacks()))
    shutil.rmtree(room)


if __name__ == "__main__":
    main()
