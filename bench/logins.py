"""Log-ins over TLS beside Dovecot with argon2id of equal cost: the first of an account, and all that follow.

    python -m bench.logins [--accounts 20] [--repeated 200]

A first log-in costs a hash. Afterwards ours remembers for a while that the password was right; Dovecot with its
defaults hashes each time. One client, one connection after the other, as a phone does it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from bench import imap_bench, peers
from mailbox_appliance.users.password import HashSettings
from tests.live.appliance import Appliance, free_ports

PASSWORD = "correct horse battery"


def rate(port: int, users: list[str], password: str) -> float:
    """Seconds for each log-in, connection and TLS included."""
    began = time.perf_counter()
    for user in users:
        given = argparse.Namespace(
            host="127.0.0.1", port=port, tls=True, starttls=False, user=user, password=password, timeout=60
        )
        make: Any = imap_bench.Connection
        connection = make(given)
        connection.sock.close()
    return (time.perf_counter() - began) / len(users)


def show(name: str, seconds: float) -> None:
    print(f"{name:34s} {seconds * 1000:7.1f} ms each, {1 / seconds:6.1f}/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--repeated", type=int, default=200)
    options = parser.parse_args()
    cost = HashSettings()
    room = Path(tempfile.mkdtemp(prefix="bench-logins-"))
    room.chmod(0o755)
    try:
        if shutil.which("dovecot") and os.geteuid() == 0:
            hashed = PasswordHasher(cost.passes, cost.memory_kib, cost.lanes).hash("pass")
            (room / "peer").mkdir()
            (port,) = free_ports(1)
            (room / "peer" / "Maildir" / "cur").mkdir(parents=True)
            peer = peers.dovecot(room / "dovecot", room / "peer" / "Maildir", port, password_hash="{ARGON2ID}" + hashed)
            try:
                rate(port, ["bench"], "pass")
                show("Dovecot, first and repeated", rate(port, ["bench"] * options.repeated, "pass"))
            finally:
                peer.stop()
        extra = "[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
        with Appliance(room / "ours", extra=extra) as appliance:
            names = [f"a{number}" for number in range(options.accounts)]
            appliance.people("example.test", *names, password=PASSWORD)
            users = [f"{name}@example.test" for name in names]
            appliance.stop()
            appliance.start()  # nothing is remembered
            port = appliance.ports["imaps"]
            show("ours, first", rate(port, users, PASSWORD))
            rounds = max(1, options.repeated // len(users))
            show("ours, repeated", rate(port, users * rounds, PASSWORD))
    finally:
        shutil.rmtree(room, ignore_errors=True)


if __name__ == "__main__":
    main()
