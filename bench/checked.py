"""Strangers' mail through port 25 with every check on, beside Postfix + rspamd and beside spamd alone, the same run.

    python -m bench.checked [--sessions 4] [-n 2000] [--peer-n 600] [--spamd-n 60] [--no-peer]

The names come from a name server on loopback, so the cache is warm after the first message: FCrDNS, HELO, SPF, DKIM,
ARC, DMARC, a list of addresses, a list of domains, attachments, impostors, the junk filter. Ours: messages/s until the
last lies in a mailbox, CPU a message, the longest lateness of a 10 ms timer, and PSS with 50 idle IMAP connections.
rspamd is Debian's with its own settings, as a milter; spamd is asked directly, with as many children as sessions, which
is the most that Exim in front of it could do. Needs root for Postfix.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import peers
from bench.smtp import inject, line
from mailbox_appliance.wire import spamd
from tests.live.appliance import CHECKOUT, Appliance, free_ports

ZONE = """
bench.example.             A    127.0.0.1
bench.example.             TXT  "v=spf1 ip4:127.0.0.1 -all"
_dmarc.bench.example.      TXT  "v=DMARC1; p=reject"
1.0.0.127.in-addr.arpa.    PTR  bench.example.
"""
LIMITS = "[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"


def name_server(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """One that knows the sender and nothing else."""
    (folder / "zone").write_text(ZONE)
    command = [sys.executable, "-m", "tests.kit.zone_server", "--port", "0", str(folder / "zone")]
    server = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, int(server.stdout.readline().split()[1])


def stop(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def beside_rspamd(room: Path, names: int, sessions: int, count: int) -> None:
    """Postfix with rspamd as its milter."""
    milter, port = free_ports(2)
    place = room / "rspamd"
    shutil.copytree("/etc/rspamd", place)
    (place / "local.d").mkdir(exist_ok=True)
    (place / "override.d").mkdir(exist_ok=True)
    (place / "override.d" / "options.inc").write_text(f'dns {{ nameserver = ["127.0.0.1:{names}"]; }}\n')
    proxy = (
        f'bind_socket = "127.0.0.1:{milter}";\nmilter = yes;\nupstream "local" {{ default = yes; self_scan = yes; }}\n'
    )
    (place / "override.d" / "worker-proxy.inc").write_text(proxy)
    variables = [f"--var={name}={place}" for name in ("CONFDIR", "LOCAL_CONFDIR", "DBDIR", "RUNDIR", "LOGDIR")]
    command = ["rspamd", "-f", "-i", "-c", str(place / "rspamd.conf"), *variables]
    with (room / "rspamd.log").open("wb") as log:
        rspamd = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            peers.wait_for_port(milter, 60)
            more = f"smtpd_milters = inet:127.0.0.1:{milter}\nmilter_default_action = tempfail\n"
            peer = peers.postfix(room / "postfix", room / "mail", port, more=more)
            try:
                result = inject(port, [str(room / "mail")], sessions, "10k", count, peer.pid)
            finally:
                peer.stop()
        finally:
            stop(rspamd)
    print(line("postfix", f"+ rspamd, {sessions} x 10k", result), flush=True)


def spamd_alone(room: Path, sessions: int, count: int) -> None:
    """How many messages a second spamd judges, local rules only."""
    (port,) = free_ports(1)
    program = shutil.which("spamd") or "/usr/sbin/spamd"
    command = [
        program, "--listen", f"127.0.0.1:{port}", "--local", "--max-children", str(sessions),
        "--min-children", str(sessions), "--nouser-config", "--helper-home-dir", str(room), "--syslog", "stderr",
    ]  # fmt: skip
    body = "".join(f"Line {number}: shall we meet on Sunday, or some other day?\r\n" for number in range(180))
    message = (
        "From: a@bench.example\r\nTo: user1@example.test\r\nSubject: Sunday\r\nMessage-ID: <1@bench.example>\r\n"
        f"Date: Sat, 21 Nov 2026 08:26:40 +0000\r\n\r\n{body}"
    ).encode()

    def ask(_: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 60) as one:
            one.sendall(spamd.request(len(message)) + message)
            answer = b""
            while came := one.recv(65536):
                answer += came
        spamd.read_answer(answer)

    with (room / "spamd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            peers.wait_for_port(port, 60)
            with ThreadPoolExecutor(sessions) as pool:
                list(pool.map(ask, range(2 * sessions)))
                began = time.monotonic()
                list(pool.map(ask, range(count)))
                took = time.monotonic() - began
        finally:
            stop(process)
    print(f"spamd alone, {sessions} children, 10k: {count / took:.1f} messages/s", flush=True)


def ours(room: Path, names: int, sessions: int, count: int) -> None:
    extra = (
        f'[dns]\nservers = ["127.0.0.1:{names}"]\n[checks]\nenabled = true\ndnsbl = ["bl.example"]\n'
        f'domain_lists = ["dbl.example"]\npeople = ["Ann Miller"]\n{LIMITS}'
    )
    with Appliance(room / "ours", extra=extra) as appliance:
        appliance.people("example.test", *(f"user{n}" for n in range(10)))
        appliance.stop()
        appliance.start_watched()
        maildirs = [str(appliance.maildir(f"user{n}@example.test")) for n in range(10)]
        for name, number in (("ours, warming", max(count // 10, 20)), (f"ours, {sessions} x 10k", count)):
            result = inject(appliance.ports["smtp"], maildirs, sessions, "10k", number, appliance.pid)
            print(line("all on", name, result), flush=True)
        idle = []
        for _ in range(50):
            one = socket.create_connection(("127.0.0.1", appliance.ports["imap"]), 20)
            one.recv(4096)
            idle.append(one)
        print(f"PSS with 50 idle IMAP connections {appliance.pss_kib() / 1024:.1f} MiB", flush=True)
        for one in idle:
            one.close()
        print(appliance.longest_lateness())
        appliance.stop()
        print("\n".join(appliance.tracebacks()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("-n", type=int, default=2000)
    parser.add_argument("--peer-n", type=int, default=600)
    parser.add_argument("--spamd-n", type=int, default=60)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="bench-checked-"))
    room.chmod(0o755)
    server, names = name_server(room)
    try:
        ours(room, names, options.sessions, options.n)
        if not options.no_peer:
            if os.path.exists("/usr/sbin/spamd"):
                spamd_alone(room, options.sessions, options.spamd_n)
            if shutil.which("rspamd") and shutil.which("postfix") and os.geteuid() == 0:
                beside_rspamd(room, names, options.sessions, options.peer_n)
    finally:
        stop(server)
    shutil.rmtree(room)


if __name__ == "__main__":
    main()
