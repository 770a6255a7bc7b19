"""A large queue: ready how soon, how much memory, and does a big destination starve the small ones?

    python -m bench.queue [-n 100000] [--domains 100] [--share 0.9]      ready, memory, fairness
    python -m bench.queue --drain [-n 5000]                              drain to a sink, beside Postfix

Fills STATE/queue offline (1 KB messages), starts the service, and looks at its queue database until it is empty. The
sink is Postfix's smtp-sink, on all loopback addresses; each domain has a route to an address of its own, for both.
Needs Debian's postfix, and root for --drain.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import peers
from bench.processor import cpu_of_tree
from mailbox_appliance.database import Database
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.queue import schema
from tests.live.appliance import Appliance, free_ports

HEADER = b"From: ann@example.test\nTo: you@%s\nSubject: %d\nMessage-ID: <%d@example.test>\n\n"
BODY = b"A line of text as people write it.\n" * 26


class HereAndNow:
    """Workers of a program that has nothing else to do."""

    def run(self, door: str, job: Callable[..., object], *args: object) -> object:
        return job(*args)


def domain(number: int) -> str:
    """The n-th destination; 0 is the big one."""
    return f"d{number}.test"


def route(number: int) -> str:
    """The loopback address that stands for it."""
    return f"127.0.1.{number + 1}"


def fill(state: Path, many: list[str], when: float) -> None:
    """A message for each domain of ``many``, due at ``when``."""
    content = state / "queue" / "content"
    content.mkdir(parents=True, exist_ok=True)
    for folder in (state, state / "queue", content):
        folder.chmod(0o700)
    database = Database(str(state / "queue" / "queue.db"), schema.MIGRATIONS, HereAndNow())  # type: ignore[arg-type]

    def work(connection: sqlite3.Connection) -> None:
        for number, name in enumerate(many):
            trace = new_trace_id(when)
            header = HEADER % (name.encode(), number, number)
            (content / f"{trace}.{number}").write_bytes(header + BODY)
            lines = header.count(b"\n") + BODY.count(b"\n")
            ann = "ann@example.test"
            row = (f"{trace}.{number}", trace, "authenticated", ann, ann, when, when + 400_000,
                   len(header), len(BODY), lines, 0, 0, 0, "", "")  # fmt: skip
            schema.add_message(connection, row, [("you", name, "", "", when, "")])

    database.run_now(work)
    database.close()


def config(sink: int, domains: int) -> str:
    """Our settings: nothing but routes."""
    routes = "\n".join(
        f'[relay.domains."{domain(n)}"]\nhost = "{route(n)}:{sink}"\ntls = "none"' for n in range(domains)
    )
    return f"[checks]\nenabled = false\n[relay]\ndirect = true\nallow_loopback = true\n{routes}\n"


@contextmanager
def sinking() -> Iterator[int]:
    """Postfix's sink on every loopback address."""
    (port,) = free_ports(1)
    command = ["smtp-sink", "-m", "500", f"0.0.0.0:{port}", "1000"]
    if os.geteuid() == 0:
        command[1:1] = ["-u", "nobody"]
    process = subprocess.Popen(command)
    try:
        peers.wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


class Left:
    """What is still in our queue."""

    def __init__(self, state: Path) -> None:
        self._connection = sqlite3.connect(f"file:{state}/queue/queue.db?mode=ro", uri=True)

    def count(self, where: str = "1") -> int:
        """Recipients."""
        number: int = self._connection.execute(f"SELECT count(*) FROM recipient WHERE {where}").fetchone()[0]
        return number


def large(options: argparse.Namespace) -> None:
    """Ready, memory, fairness."""
    room = Path(tempfile.mkdtemp(prefix="bench-queue-"))
    big = int(options.n * options.share)
    many = [domain(0)] * big + [domain(1 + n % (options.domains - 1)) for n in range(options.n - big)]
    with sinking() as sink:
        appliance = Appliance(room / "ours", extra=config(sink, options.domains))
        appliance.people("example.test", "ann")
        appliance.start()
        time.sleep(3)
        before = appliance.pss_kib()
        appliance.stop()
        print(f"PSS with an empty queue {before / 1024:.1f} MiB", flush=True)
        began = time.monotonic()
        fill(appliance.state, many, time.time() + 86_400)
        print(f"{options.n} messages put into the queue in {time.monotonic() - began:.0f} s", flush=True)

        began = time.monotonic()
        appliance.start()
        print(f"all resting: ready in {time.monotonic() - began:.2f} s", end="", flush=True)
        time.sleep(3)
        resting = appliance.pss_kib()
        print(f", PSS {resting / 1024:.1f} MiB (+{(resting - before) / 1024:.1f})", flush=True)
        appliance.stop()

        connection = sqlite3.connect(appliance.state / "queue" / "queue.db")
        connection.execute("UPDATE recipient SET next_attempt = 1")
        connection.commit()
        connection.close()
        began = time.monotonic()
        appliance.start(environ={"MAILAPPLIANCE_LATENESS": "1"})
        print(f"all due: ready in {time.monotonic() - began:.2f} s", flush=True)
        left, highest, began = Left(appliance.state), 0, time.monotonic()
        small = f"domain <> '{domain(0)}'"
        first = left.count(small)
        small_done = 0.0
        cpu = cpu_of_tree(appliance.pid)
        at = 0
        while waiting := left.count():
            highest = max(highest, appliance.pss_kib())
            now = time.monotonic() - began
            if not small_done and not left.count(small):
                small_done = now
                print(f"small destinations ({first}) done after {now:.1f} s; {waiting} of the big one wait", flush=True)
            at += 1
            if at % 20 == 0:
                print(f"  {now:.0f} s: {waiting} wait, {left.count(small)} of them small", flush=True)
            if now > options.seconds:
                break
            time.sleep(0.5)
        took = time.monotonic() - began
        done = options.n - left.count()
        cpu = cpu_of_tree(appliance.pid) - cpu
        print(f"drained {done} in {took:.1f} s: {done / took:.0f}/s, {cpu / done * 1e6:.0f} us CPU a message")
        print(f"PSS at most {highest / 1024:.1f} MiB (+{(highest - before) / 1024:.1f})")
        print(appliance.longest_lateness())
        appliance.stop()
        print("\n".join(appliance.tracebacks()))
    shutil.rmtree(room)


def drain(options: argparse.Namespace) -> None:
    """After a restart, beside Postfix."""
    for domains in (1, 100):
        room = Path(tempfile.mkdtemp(prefix="bench-drain-"))
        room.chmod(0o755)
        many = [domain(n % domains) for n in range(options.n)]
        with sinking() as sink:
            peer = postfix_drain(room, sink, many, domains) if shutil.which("postfix") and os.geteuid() == 0 else 0.0
            ours = our_drain(room, sink, many, domains)
        ratio = f", ratio {ours / peer:.2f}" if peer else ""
        print(f"{domains} destinations: Postfix {peer:.0f}/s, ours {ours:.0f}/s{ratio}", flush=True)
        shutil.rmtree(room)


def our_drain(room: Path, sink: int, many: list[str], domains: int) -> float:
    """Messages a second, from the start of the program until its queue is empty."""
    appliance = Appliance(room / "ours", extra=config(sink, domains))
    appliance.people("example.test", "ann")
    fill(appliance.state, many, time.time())
    appliance.start()
    began, left, cpu = time.monotonic(), Left(appliance.state), cpu_of_tree(appliance.pid)
    while left.count():
        time.sleep(0.02)
    took = time.monotonic() - began
    print(f"ours: {len(many)} in {took:.2f} s, {(cpu_of_tree(appliance.pid) - cpu) / len(many) * 1e6:.0f} us CPU each")
    appliance.stop()
    return len(many) / took


def postfix_drain(room: Path, sink: int, many: list[str], domains: int) -> float:
    """The same: put in while nothing may leave, started anew, flushed."""
    (port,) = free_ports(1)
    folder = room / "postfix"
    peer = peers.postfix(folder, room / "mail", port)
    etc, queue = folder / "etc", folder / "queue"
    routes = "".join(f"{domain(n)} smtp:[{route(n)}]:{sink}\n" for n in range(domains))
    (etc / "transport").write_text(routes)
    with (etc / "main.cf").open("a") as main:
        main.write(f"transport_maps = texthash:{etc}/transport\ndefer_transports = smtp\n")
    run = ["postfix", "-c", str(etc)]
    subprocess.run([*run, "reload"], check=True, capture_output=True)
    time.sleep(1)
    body = (HEADER % (b"x", 1, 1) + BODY).replace(b"\n", b"\r\n").decode()
    import smtplib

    client = smtplib.SMTP("127.0.0.1", port, local_hostname="sender.example")
    for name in many:
        client.sendmail("ann@example.org", [f"you@{name}"], body)
    client.quit()

    def waiting() -> int:
        return sum(len(files) for part in ("active", "incoming", "deferred") for _, _, files in os.walk(queue / part))

    while any(files for part in ("active", "incoming") for _, _, files in os.walk(queue / part)):
        time.sleep(0.2)
    peer.stop()
    text = (etc / "main.cf").read_text().replace("defer_transports = smtp\n", "")
    (etc / "main.cf").write_text(text)
    subprocess.run([*run, "start"], check=True, capture_output=True)
    peers.wait_for_port(port)
    began = time.monotonic()
    subprocess.run(["postqueue", "-c", str(etc), "-f"], check=True, capture_output=True)
    while waiting():
        time.sleep(0.02)
    took = time.monotonic() - began
    peer.stop()
    print(f"postfix: {len(many)} in {took:.2f} s")
    return len(many) / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=0)
    parser.add_argument("--domains", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.9)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--drain", action="store_true")
    options = parser.parse_args()
    if options.drain:
        options.n = options.n or 5000
        drain(options)
    else:
        options.n = options.n or 100_000
        large(options)


if __name__ == "__main__":
    main()
