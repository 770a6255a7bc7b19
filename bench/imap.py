"""IMAP beside Dovecot: the same messages, the same run, one after the other.

    python -m bench.imap -n 20000 [--only select,fetch] [--out FOLDER]

Both speak TLS from the first octet, since we take no password without it. Prints both tables and the ratios (ours /
Dovecot; below 1 we are faster), the longest time our reactor was blocked, and memory. Needs root and Debian's
dovecot-imapd for the peer; without them only our own figures are printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import peers
from tests.live.appliance import Appliance, free_ports

CLIENT = Path(__file__).with_name("imap_bench.py")
PASSWORD = "correct horse battery"


def client(*arguments: str) -> str:
    done = subprocess.run([sys.executable, str(CLIENT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr)
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--skip", default="")
    parser.add_argument("--out", default="")
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    folder = Path(options.out or tempfile.mkdtemp(prefix="bench-imap-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    room = Path(tempfile.mkdtemp(prefix="bench-imap-room-"))
    room.chmod(0o755)
    groups = (["--only", options.only] if options.only else []) + (["--skip", options.skip] if options.skip else [])
    facts = str(folder / "set.json")
    if not options.no_peer and shutil.which("dovecot") and os.geteuid() == 0:
        client("--populate", str(room / "peer" / "Maildir"), "-n", str(options.n), "--summary", facts)
        (port,) = free_ports(1)
        peer = peers.dovecot(room / "dovecot", room / "peer" / "Maildir", port)
        try:
            print(client(
                "--host", "127.0.0.1", "--port", str(port), "--user", "bench", "--password", "pass", "--summary", facts,
                "--tls", "--pid", str(peer.pid), "--label", "dovecot", "--out", str(folder / "dovecot.json"), *groups,
            ))  # fmt: skip
        finally:
            peer.stop()
        shutil.rmtree(room / "peer")
    extra = "[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
    with Appliance(room / "ours", extra=extra) as appliance:
        appliance.people("example.test", "bench", password=PASSWORD)
        maildir = appliance.maildir("bench@example.test")
        shutil.rmtree(maildir, ignore_errors=True)
        client("--populate", str(maildir), "-n", str(options.n), "--summary", facts)
        appliance.stop()
        appliance.start_watched()
        print(client(
            "--host", "127.0.0.1", "--port", str(appliance.ports["imaps"]), "--tls", "--user", "bench@example.test",
            "--password", PASSWORD, "--summary", facts, "--pid", str(appliance.pid), "--label", "ours",
            "--out", str(folder / "ours.json"), *groups,
        ))  # fmt: skip
        print(appliance.longest_lateness())
        appliance.stop()
        print("\n".join(appliance.tracebacks()))
    if (folder / "dovecot.json").exists():
        print(client("--compare", str(folder / "dovecot.json"), str(folder / "ours.json")))
    shutil.rmtree(room)


if __name__ == "__main__":
    main()
