"""Memory and start-up: PSS after start, after 3,000 messages with 50 idle IMAP connections; seconds to ``ready``.

    python -m bench.memory            those
    python -m bench.memory --data     PSS while 50 sessions bring 50 MB each and 10,000 messages wait in the queue
    python -m bench.memory --acme     PSS around an order at an ACME authority (needs pebble)

PSS counts a page that several processes share in parts: look on a machine where no other Python runs.
"""

from __future__ import annotations

import argparse
import contextlib
import imaplib
import shutil
import smtplib
import tempfile
import threading
import time
from pathlib import Path

from bench.queue import domain, fill
from tests.kit.peer import Peer
from tests.live.appliance import PROTOCOLS, Appliance, free_ports, wait_until
from tests.live.authority import Authority, absent

PASSWORD = "correct horse battery"
EXTRA = "[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
SESSIONS = 50
OCTETS = 50_000_000  # of each message; the shipped limit is 50 MB
LINE = b"A line of text as people write it, and as long as mail programs make them.\r\n"


def start_and_idle() -> None:
    """The rows of the first table."""
    with Appliance(extra=EXTRA) as appliance:
        appliance.people("example.test", "ann", password=PASSWORD)
        appliance.stop()
        began = time.monotonic()
        appliance.start()
        print(f"start to ready: {time.monotonic() - began:.2f} s")
        time.sleep(2)
        print(f"PSS after start: {appliance.pss_kib() / 1024:.1f} MiB")
        client = smtplib.SMTP("127.0.0.1", appliance.ports["smtp"], local_hostname="sender.example")
        for number in range(3000):
            text = (
                f"From: s@sender.example\r\nSubject: {number}\r\n\r\n" + "A line of text as people write it.\r\n" * 100
            )
            client.sendmail("s@sender.example", ["ann@example.test"], text)
        client.quit()
        idle = []
        for _ in range(50):
            connection = imaplib.IMAP4_SSL("127.0.0.1", appliance.ports["imaps"])
            connection.login("ann@example.test", PASSWORD)
            connection.select("INBOX")
            connection.send(b"x IDLE\r\n")
            connection.readline()
            idle.append(connection)
        time.sleep(2)
        print(f"PSS after 3,000 messages and with 50 idle IMAP connections (TLS): {appliance.pss_kib() / 1024:.1f} MiB")


class Watch:
    """The highest PSS of the time it is open, in KiB."""

    def __init__(self, appliance: Appliance) -> None:
        self.highest = 0
        self._appliance = appliance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.highest = max(self.highest, self._appliance.pss_kib())


def bring(port: int, number: int, all_there: threading.Barrier, troubles: list[str]) -> None:
    """One session: all octets but the last dot, then a wait for the others."""
    head = f"From: s@sender.example\r\nSubject: large {number}\r\n\r\n".encode()
    piece = LINE * 800
    try:
        with Peer(port, patience=600) as peer:
            peer.hello()
            peer.envelope("s@sender.example", "ann@example.test")
            peer.say("DATA")
            peer.send(head)
            for _ in range((OCTETS - len(head)) // len(piece)):
                peer.send(piece)
            all_there.wait(600)  # the last one is there
            all_there.wait(600)  # it has been looked at
            peer.send(b".\r\n")
            if not (reply := peer.reply()).startswith("250 "):
                troubles.append(f"{number}: {reply}")
    except (OSError, AssertionError, threading.BrokenBarrierError) as error:
        troubles.append(f"{number}: {error!r}")
        all_there.abort()


def wait_for(all_there: threading.Barrier) -> None:
    with contextlib.suppress(threading.BrokenBarrierError):
        all_there.wait(600)


def in_data(waiting: int) -> None:
    """50 x 50 MB at once beside a queue that rests for a day."""
    room = Path(tempfile.mkdtemp(prefix="bench-memory-"))
    troubles: list[str] = []
    try:
        appliance = Appliance(room, extra=EXTRA)
        appliance.people("example.test", "ann", password=PASSWORD)
        fill(appliance.state, [domain(number % 100) for number in range(waiting)], time.time() + 86_400)
        with appliance:
            time.sleep(3)
            print(f"PSS with {waiting} messages in the queue: {appliance.pss_kib() / 1024:.1f} MiB", flush=True)
            all_there = threading.Barrier(SESSIONS + 1)
            threads = [
                threading.Thread(target=bring, args=(appliance.ports["smtp"], number, all_there, troubles))
                for number in range(SESSIONS)
            ]
            for thread in threads:
                thread.start()
            with Watch(appliance) as coming:
                began = time.monotonic()
                wait_for(all_there)
            took = time.monotonic() - began
            print(
                f"PSS with {SESSIONS} sessions in DATA, {OCTETS / 1e6:.0f} MB of each there after {took:.0f} s: "
                f"{appliance.pss_kib() / 1024:.1f} MiB; at most until then: {coming.highest / 1024:.1f} MiB"
            )
            with Watch(appliance) as ending:
                wait_for(all_there)
                for thread in threads:
                    thread.join()
            print(f"at most while all are accepted at once: {ending.highest / 1024:.1f} MiB")
            time.sleep(65)
            print(f"PSS a minute later: {appliance.pss_kib() / 1024:.1f} MiB")
            print("\n".join([*troubles, *appliance.tracebacks()]))
    finally:
        shutil.rmtree(room)


def around_an_order() -> None:
    """A first start without a certificate: PSS with the child that orders one, and when it has come."""
    if reason := absent():
        raise SystemExit(reason)
    room = Path(tempfile.mkdtemp(prefix="bench-memory-"))
    ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True))
    try:
        with Authority(room, ports["http"]) as authority:
            extra = (
                f'[acme]\ndirectory = "{authority.directory}"\nemail = "owner@example.test"\n'
                f'trust_anchor = "{authority.anchor}"\n[dns]\nservers = ["{authority.names}"]\n'
            )
            with Appliance(room, extra=extra, listen=ports) as appliance:
                with Watch(appliance) as ordering:
                    wait_until(lambda: "source=acme" in appliance.log(), 60, "a certificate of the authority")
                print(f"PSS while it orders, its child included: {ordering.highest / 1024:.1f} MiB at most")
                time.sleep(2)
                print(f"PSS after the certificate has come: {appliance.pss_kib() / 1024:.1f} MiB")
    finally:
        shutil.rmtree(room)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="store_true")
    parser.add_argument("--acme", action="store_true")
    parser.add_argument("--waiting", type=int, default=10_000, help="messages in the queue, for --data")
    options = parser.parse_args()
    if options.data:
        in_data(options.waiting)
    elif options.acme:
        around_an_order()
    else:
        start_and_idle()


if __name__ == "__main__":
    main()
