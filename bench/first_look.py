"""SELECT of a mailbox that another program has filled, and the newest 50 messages after it, beside Dovecot.

    python -m bench.first_look [-n 20000] [--times 5]

Each time the same tree as no server has seen it, ours and Dovecot's by turns, over TLS. The clock for the newest 50
(UID, FLAGS, RFC822.SIZE, ENVELOPE, BODYSTRUCTURE) begins with SELECT. Prints every figure in seconds, medians last.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import peers
from bench.imap import CLIENT, PASSWORD
from bench.imap_bench import Connection
from tests.live.appliance import Appliance, free_ports

ASKED = "FETCH %d:%d (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
USER = "bench@example.test"


class Where(argparse.Namespace):
    """What the client of bench.imap_bench is told about a server."""


def first_look(where: Where, count: int) -> tuple[float, float]:
    """Seconds to the answer of SELECT, and to the newest 50."""
    connection = Connection(where)
    began = time.perf_counter()
    connection.command(b"SELECT INBOX")
    selected = time.perf_counter()
    connection.command(ASKED % (count - 49, count))
    ended = time.perf_counter()
    connection.close()
    return selected - began, ended - began


def told(name: str, look: Callable[[], tuple[float, float]], found: list[tuple[float, float]]) -> None:
    found.append(look())
    print(f"{name:8s} SELECT {found[-1][0]:.4f}  newest 50 {found[-1][1]:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="bench-first-"))
    room.chmod(0o755)
    tree = room / "tree"
    subprocess.run([sys.executable, str(CLIENT), "--populate", str(tree), "-n", str(options.n)], check=True)
    theirs: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    where = Where(host="127.0.0.1", tls=True, timeout=600.0, starttls=False, tls_verify=False)
    with Appliance(room / "ours") as appliance:
        appliance.people("example.test", "bench", password=PASSWORD)
        maildir = appliance.maildir(USER)
        for number in range(options.times):
            place = room / f"peer{number}"
            shutil.copytree(tree, place / "Maildir")
            (port,) = free_ports(1)
            peer = peers.dovecot(room / f"dovecot{number}", place / "Maildir", port)
            try:
                where.port, where.user, where.password = port, "bench", "pass"
                told("dovecot", lambda: first_look(where, options.n), theirs)
            finally:
                peer.stop()
                shutil.rmtree(place)
            appliance.stop()
            shutil.rmtree(maildir.parent)
            shutil.copytree(tree, maildir)
            appliance.start()
            where.port, where.user, where.password = appliance.ports["imaps"], USER, PASSWORD
            told("ours", lambda: first_look(where, options.n), ours)
    for at, name in enumerate(("SELECT", "newest 50")):
        one, other = statistics.median(x[at] for x in theirs), statistics.median(x[at] for x in ours)
        print(f"{name:10s} dovecot {one:.4f}  ours {other:.4f}  ratio {other / one:.2f}")
    shutil.rmtree(room)


if __name__ == "__main__":
    main()
