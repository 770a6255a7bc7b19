"""Many at once: memory of idle connections, and how long small things take while others ask for everything.

    python -m bench.crowd -n 20000 [--connections 90] [--seconds 20] [--only memory,open,others]

``memory``: connections that idle on a mailbox of ``n`` messages, with TLS, then with COMPRESS as well; two accounts,
since an account may have 100 sessions. (Without TLS nobody can log in, so there is no such row.) ``open``: what the
open mailbox of ``n`` messages costs. ``others``: one client fetches all envelopes over and over, another searches
bodies; meanwhile NOOP of a third, MAIL on port 25 and the notice of a new message are timed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
import zlib
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from bench import imap_bench
from tests.live.appliance import Appliance

CLIENT = Path(__file__).with_name("imap_bench.py")
PASSWORD = "correct horse battery"
WORDS = ("meeting", "quixotrope", "budget", "kitchen", "zebra", "invoice")


def connect(port: int, user: str) -> Any:
    """A connection over TLS, logged in."""
    given = argparse.Namespace(
        host="127.0.0.1", port=port, tls=True, starttls=False, user=user, password=PASSWORD, timeout=600
    )
    make: Any = imap_bench.Connection
    return make(given)


def quantiles(name: str, times: list[float]) -> None:
    times.sort()
    print(
        f"{name:34s} {len(times):6d} times  median {times[len(times) // 2] * 1000:7.1f} ms  "
        f"p99 {times[int(len(times) * 0.99)] * 1000:7.1f} ms  most {times[-1] * 1000:7.1f} ms"
    )


# ---------------------------------------------------------------- memory


def opened(appliance: Appliance) -> None:
    """What an open mailbox costs: before SELECT, and after everything about it has been made."""
    port = appliance.ports["imaps"]
    first = connect(port, "ann@example.test")
    first.command("SELECT INBOX")  # now the index knows all of it
    first.command("STATUS INBOX (SIZE)")
    first.close()
    appliance.stop()
    appliance.start()
    one = connect(port, "ann@example.test")
    one.command("SELECT Drafts")
    time.sleep(1)
    before = appliance.pss_kib()
    one.command("SELECT INBOX")
    time.sleep(1)
    print(f"open mailbox: PSS {before} -> {appliance.pss_kib()} KiB, {(appliance.pss_kib() - before) / 1024:.1f} MiB")
    one.close()


def memory(appliance: Appliance, count: int) -> None:
    """``count`` connections for each of two accounts."""
    port = appliance.ports["imaps"]
    users = ("ann@example.test", "bob@example.test")
    for user in users:
        warm = connect(port, user)
        warm.command("SELECT INBOX")
        warm.command("FETCH 1:* (FLAGS)")
        warm.close()
    for compress in (False, True):
        time.sleep(8)
        before = appliance.pss_kib()
        idle = []
        for user in users:
            for _ in range(count):
                connection = connect(port, user)
                if compress:
                    connection.command("COMPRESS DEFLATE")
                    deflater = zlib.compressobj(wbits=-15)
                    text = b"a SELECT INBOX\r\nb FETCH 1:20 ENVELOPE\r\nc IDLE\r\n"
                    connection.send(deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))
                    said, inflater = b"", zlib.decompressobj(wbits=-15)
                    while b"+ idling" not in said:
                        said += inflater.decompress(connection.sock.recv(1 << 16))
                else:
                    connection.command("SELECT INBOX")
                    connection.command("FETCH 1:20 ENVELOPE")
                    connection.send(b"c IDLE\r\n")
                    connection.read_line()
                idle.append(connection)
        time.sleep(8)
        after = appliance.pss_kib()
        kind = "TLS + COMPRESS" if compress else "TLS"
        print(
            f"{len(idle)} idle connections, {kind}: PSS {before} -> {after} KiB, "
            f"{(after - before) / len(idle):.0f} KiB each"
        )
        for connection in idle:
            connection.sock.close()


# ---------------------------------------------------------------- others


def _fetch_all(port: int, end: Event) -> None:
    one = connect(port, "ann@example.test")
    one.command("SELECT INBOX")
    rounds = 0
    while not end.is_set():
        one.command("FETCH 1:* ENVELOPE")
        rounds += 1
    print(f"envelopes of everything: {rounds} times")


def _search(port: int, end: Event) -> None:
    one = connect(port, "bob@example.test")
    one.command("SELECT INBOX")
    rounds = 0
    while not end.is_set():
        one.command(f'SEARCH {("BODY", "TEXT")[rounds % 2]} "{WORDS[rounds % len(WORDS)]}"')
        rounds += 1
    print(f"searches in bodies: {rounds}")


def others(appliance: Appliance, seconds: float) -> None:
    """Three small things, each timed some hundred times, alone and then beside the two."""
    port = appliance.ports["imaps"]
    end = multiprocessing.Event()
    busy = [multiprocessing.Process(target=work, args=(port, end)) for work in (_fetch_all, _search)]
    for beside in (False, True):
        print("beside a FETCH of all envelopes and searches in bodies:" if beside else "alone:", flush=True)
        if beside:
            for process in busy:
                process.start()
            time.sleep(3)
        _small_things(appliance, seconds)
    end.set()
    for process in busy:
        process.join(600)


def _small_things(appliance: Appliance, seconds: float) -> None:
    port = appliance.ports["imaps"]
    third, watcher = connect(port, "cat@example.test"), connect(port, "cat@example.test")
    third.command("SELECT INBOX")
    watcher.command("SELECT INBOX")
    watcher.send(b"w IDLE\r\n")
    while not watcher.read_line().startswith(b"+"):
        pass
    sender = smtplib.SMTP("127.0.0.1", appliance.ports["smtp"], local_hostname="sender.example")
    sender.ehlo()
    noops: list[float] = []
    mails: list[float] = []
    notices: list[float] = []
    stop = time.monotonic() + seconds
    message = b"Subject: x\r\n\r\n" + b"A line of text.\r\n" * 100
    while time.monotonic() < stop:
        noops.append(third.command("NOOP")[0])
        began = time.perf_counter()
        sender.docmd("MAIL", "FROM:<s@sender.example>")
        mails.append(time.perf_counter() - began)
        sender.docmd("RSET")
        third.send(b"x APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n")
        began = time.perf_counter()
        while b"EXISTS" not in watcher.read_line():
            pass
        notices.append(time.perf_counter() - began)
        third.read_until(b"x")
        time.sleep(0.02)
    quantiles("NOOP", noops)
    quantiles("MAIL on port 25", mails)
    quantiles("IDLE notice after an APPEND", notices)
    sender.quit()
    for connection in (third, watcher):
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=90, help="for each of two accounts")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", default="memory,open,others")
    options = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="bench-crowd-"))
    extra = "[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
    try:
        with Appliance(room / "ours", extra=extra) as appliance:
            appliance.people("example.test", "ann", "bob", "cat", password=PASSWORD)
            appliance.stop()
            for name in ("ann", "bob"):
                maildir = appliance.maildir(f"{name}@example.test")
                shutil.rmtree(maildir, ignore_errors=True)
                if name == "ann":
                    subprocess.run(
                        [sys.executable, str(CLIENT), "--populate", str(maildir), "-n", str(options.n)], check=True
                    )
                else:
                    subprocess.run(["cp", "-a", str(appliance.maildir("ann@example.test")), str(maildir)], check=True)
            appliance.start(environ={"MAILAPPLIANCE_LATENESS": "1"})
            if "open" in options.only:
                opened(appliance)
            if "memory" in options.only:
                memory(appliance, options.connections)
            if "others" in options.only:
                others(appliance, options.seconds)
            print("\n".join(appliance.tracebacks()))
    finally:
        shutil.rmtree(room)


if __name__ == "__main__":
    main()
