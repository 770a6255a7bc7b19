"""Log-ins over TLS beside Dovecot with argon2id of equal cost: the first of an account, and all that follow.

    python -m bench.logins [--accounts 20] [--rounds 5]

A first log-in costs a hash. Afterwards ours remembers for a while that the password was right; Dovecot with its
defaults hashes each time. One client, one connection after the other, ours and theirs by turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import imap_bench, peers
from mailbox_appliance.users.hashing import HashSettings, make_hash
from tests.live.appliance import Appliance, free_ports

PASSWORD = "correct horse battery"


def one(port: int, user: str, password: str) -> float:
    """Seconds of one log-in, connection and TLS included."""
    given = argparse.Namespace(
        host="127.0.0.1", port=port, tls=True, starttls=False, user=user, password=password, timeout=60
    )
    make: Any = imap_bench.Connection
    began = time.perf_counter()
    connection = make(given)
    took = time.perf_counter() - began
    connection.sock.close()
    return took


def show(name: str, times: list[float]) -> None:
    print(f"{name:28s} {len(times):4d} times  median {statistics.median(times) * 1000:7.1f} ms", end="")
    print(f"  mean {statistics.mean(times) * 1000:7.1f} ms, {1 / statistics.mean(times):6.1f}/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cost = HashSettings()
    room = Path(tempfile.mkdtemp(prefix="bench-logins-"))
    room.chmod(0o755)
    peer: peers.Peer | None = None
    theirs: list[float] = []
    try:
        if shutil.which("dovecot") and os.geteuid() == 0:
            hashed = make_hash(b"pass", cost)
            (room / "peer" / "Maildir" / "cur").mkdir(parents=True)
            (beside,) = free_ports(1)
            peer = peers.dovecot(
                room / "dovecot", room / "peer" / "Maildir", beside, password_hash="{ARGON2ID}" + hashed
            )
            one(beside, "bench", "pass")
        extra = "[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
        with Appliance(room / "ours", extra=extra) as appliance:
            users = [f"a{number}@example.test" for number in range(options.accounts)]
            appliance.people("example.test", "warm", *(user.partition("@")[0] for user in users), password=PASSWORD)
            appliance.stop()
            appliance.start()  # nothing is remembered
            port = appliance.ports["imaps"]
            one(port, "warm@example.test", PASSWORD)
            for name in ("first", *["repeated"] * options.rounds):
                ours = []
                theirs.clear()
                for user in users:
                    ours.append(one(port, user, PASSWORD))
                    if peer is not None:
                        theirs.append(one(beside, "bench", "pass"))
                show(f"ours, {name}", ours)
                if theirs:
                    show("Dovecot", theirs)
    finally:
        if peer is not None:
            peer.stop()
        shutil.rmtree(room, ignore_errors=True)


if __name__ == "__main__":
    main()
