"""Strangers' mail through port 25 with every check on, beside Postfix + rspamd and Exim + spamd in the same run.

    python -m bench.checked [--sessions 4] [-n 2000] [--peer-n 600] [--spamd-n 60] [--no-peer]

The names come from a name server on loopback, so the cache is warm after the first message: FCrDNS, HELO, SPF, DKIM,
ARC, DMARC, a list of addresses, a list of domains, attachments, impostors, the junk filter. Ours: messages/s until the
last lies in a mailbox, CPU a message, the longest lateness of a 10 ms timer, and PSS with 50 idle IMAP connections.
rspamd is Debian's with its own settings, as a milter. spamd has as many children as there are sessions and local rules
only; it is asked directly, and by Exim before its reply (spamd_address, spam in the ACL of DATA). Needs root for both.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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


@contextlib.contextmanager
def spamd_at_work(room: Path, sessions: int) -> Iterator[int]:
    """Its port."""
    (port,) = free_ports(1)
    program = shutil.which("spamd") or "/usr/sbin/spamd"
    command = [
        program, "--listen", f"127.0.0.1:{port}", "--local", "--max-children", str(sessions),
        "--min-children", str(sessions), "--nouser-config", "--helper-home-dir", str(room), "--syslog", "stderr",
    ]  # fmt: skip
    with (room / "spamd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            peers.wait_for_port(port, 60)
            yield port
        finally:
            stop(process)


def spamd_alone(port: int, sessions: int, count: int) -> None:
    """How many messages a second spamd judges."""
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

    with ThreadPoolExecutor(sessions) as pool:
        list(pool.map(ask, range(2 * sessions)))
        began = time.monotonic()
        list(pool.map(ask, range(count)))
        took = time.monotonic() - began
    print(f"spamd alone, {sessions} children, 10k: {count / took:.1f} messages/s", flush=True)


def exim_with_spamd(root: Path, room: Path, port: int, sessions: int, count: int) -> None:
    """Exim, with that spamd asked before each reply."""
    (smtp,) = free_ports(1)
    peer = peers.exim(root, room / "exim", room / "exim-mail", smtp, spamd=port)
    try:
        result = inject(smtp, [str(room / "exim-mail")], sessions, "10k", count, peer.pid)
    finally:
        peer.stop()
    panics = room / "exim/log/paniclog"
    if panics.exists():
        print(panics.read_text()[:2000])
    scanned = sum(b"X-Spam-Score:" in file.read_bytes() for file in (room / "exim-mail").glob("*/new/*"))
    print(line("exim", f"+ spamd, {sessions} x 10k", result) + f"  scanned {scanned} of {count}", flush=True)


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
                with spamd_at_work(room, options.sessions) as port:
                    spamd_alone(port, options.sessions, options.spamd_n)
                    root = peers.exim_files(Path(tempfile.gettempdir()) / "bench-exim") if os.geteuid() == 0 else None
                    if root is not None:
                        exim_with_spamd(root, room, port, options.sessions, 2 * options.spamd_n)
            if shutil.which("rspamd") and shutil.which("postfix") and os.geteuid() == 0:
                beside_rspamd(room, names, options.sessions, options.peer_n)
    finally:
        stop(server)
    shutil.rmtree(room)


if __name__ == "__main__":
    main()
