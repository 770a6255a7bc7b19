"""An edge and a store in network namespaces of their own, joined by one line that can be cut, and by nothing else."""

from __future__ import annotations

import email
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.live.appliance import CHECKOUT, Appliance, wait_until

NOBODY = 65534
EDGE_ADDRESS, STORE_ADDRESSES = "10.77.0.1", ("10.77.0.2", "10.77.0.3")
EDGE_ADDRESS_6, STORE_ADDRESS_6 = "fd00:77::1", "fd00:77::2"
PORTS = {"smtp": 2525, "submission": 2587, "submissions": 2465, "imaps": 2993, "http": 2080}
PASSWORD = "correct horse battery"

# A mail host for all the world: takes everything, writes one line for each message.
SINK = r"""
import re, socket, sys, threading
def talk(sock):
    file = sock.makefile("rwb")
    def say(text):
        file.write(text + b"\r\n"); file.flush()
    say(b"220 sink")
    to = []
    while line := file.readline():
        verb = line[:4].upper()
        if verb in (b"EHLO", b"HELO"): say(b"250 sink")
        elif verb == b"MAIL": to = []; say(b"250 ok")
        elif verb == b"RCPT": to.append(line.strip()); say(b"250 ok")
        elif verb == b"DATA":
            say(b"354 go"); content = b""
            while (line := file.readline()) not in (b".\r\n", b""): content += line
            if not line: return
            subject = re.search(rb"(?mi)^subject: *(\S+)", content)
            with open(sys.argv[2], "ab") as log: log.write((subject[1] if subject else b"?") + b"\n")
            say(b"250 ok")
        elif verb == b"QUIT": say(b"221 bye"); return
        else: say(b"250 ok")
def main():
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    while True:
        sock, _ = server.accept()
        threading.Thread(target=talk, args=(sock,), daemon=True).start()
main()
"""

# Sends numbered messages to the edge until told to stop; prints the number of each that was answered 250.
SENDER = r"""
import smtplib, sys, time
host, port, to, first, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
number = first
while number < first + count:
    try:
        with smtplib.SMTP(host, port, timeout=20) as client:
            client.ehlo("far.example")
            while number < first + count:
                text = f"From: x@far.example\r\nTo: {to}\r\nSubject: m{number}\r\n\r\nhello\r\n"
                client.sendmail("x@far.example", [to], text)
                print(number, flush=True)
                number += 1
                time.sleep(0.02)
    except (OSError, smtplib.SMTPException) as error:
        print("again", repr(error)[:100], file=sys.stderr, flush=True)
        time.sleep(0.2)
"""


@functools.cache
def forbidden() -> str:
    """Why there can be no namespaces here; "" when there can."""
    for program in ("ip", "setpriv"):
        if shutil.which(program) is None:
            return f"not installed: {program}"
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    name = f"ma-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"no network namespaces here: {tried.stderr.strip()}"
    try:
        run = [*_within(name), sys.executable, "-c", "import mailbox_appliance.service"]
        tried = subprocess.run(run, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
    return f"no program can be run in a namespace: {tried.stderr[-200:]}" if tried.returncode else ""


def _within(namespace: str) -> tuple[str, ...]:
    """A user without rights, but able to read this checkout wherever it lies."""
    capability = "+dac_read_search"
    return (
        "ip", "netns", "exec", namespace, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
        f"--inh-caps={capability}", f"--ambient-caps={capability}", "--",
    )  # fmt: skip


class Halves:
    """``edge`` and ``store`` are Appliances that are not started yet; close() takes everything away."""

    def __init__(self, extra_edge: str = "", extra_store: str = "", names_at: str = "127.0.0.1:5399") -> None:
        """``names_at``: the name server; there is none at the usual one."""
        self.names = tuple(f"ma-{which}-{os.getpid()}" for which in ("edge", "store"))
        self.folder = Path(tempfile.mkdtemp(prefix="halves-"))
        self.folder.chmod(0o755)
        self.address = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        for name in self.names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            self._ip(name, "link", "set", "lo", "up")
        a, b = (f"v{which}{os.getpid() % 100000}" for which in "es")
        subprocess.run(
            ["ip", "link", "add", a, "netns", self.names[0], "type", "veth", "peer", "name", b, "netns", self.names[1]],
            check=True,
        )
        self.devices = (a, b)
        for name, device, address in zip(self.names, self.devices, (EDGE_ADDRESS, STORE_ADDRESSES[0]), strict=True):
            self._ip(name, "addr", "add", f"{address}/24", "dev", device)
            self._ip(name, "link", "set", device, "up")
        for name, device, address in zip(self.names, self.devices, (EDGE_ADDRESS_6, STORE_ADDRESS_6), strict=True):
            self._ip(name, "-6", "addr", "add", f"{address}/64", "dev", device, "nodad")
        self.sink_log = self.folder / "sink"
        first = "[relay]\nfirst_retry = 1\n"
        way_out = '[relay]\nsmarthost = "127.0.0.1:2599"\ntls = "none"\nfirst_retry = 1\n'
        nobody = f'[dns]\nservers = ["{names_at}"]\n'
        self.edge = self._appliance(
            0, "mx.example.test", 'role = "edge"\n' + extra_edge + way_out + nobody, EDGE_ADDRESS
        )
        self.store = self._appliance(
            1, "home.example.test", 'role = "store"\n' + extra_store + first + nobody, "127.0.0.1"
        )
        text = self.edge.config.read_text()
        six = EDGE_ADDRESS_6.replace(":", "\\\\:")
        link = f'["tcp:4025:interface={EDGE_ADDRESS}", "tcp6:4025:interface={six}"]'
        self.edge.config.write_text(text + f"imap = []\nhttps = []\nlink = {link}\n")
        self.store.config.write_text(self.store.config.read_text() + "imap = []\n")
        self._processes.append(
            subprocess.Popen([*_within(self.names[0]), sys.executable, "-c", SINK, "2599", str(self.sink_log)])
        )

    def _appliance(self, which: int, hostname: str, extra: str, address: str) -> Appliance:
        folder = self.folder / ("edge", "store")[which]
        made = Appliance(
            folder, hostname=hostname, extra=extra, listen=dict(PORTS), address=address,
            within=_within(self.names[which]),
        )  # fmt: skip
        for path in (self.folder, folder, made.state, made.config):
            os.chown(path, NOBODY, NOBODY)
        return made

    def _ip(self, namespace: str, *arguments: str) -> None:
        subprocess.run(["ip", "-n", namespace, *arguments], check=True)

    def begin(self, which: int, words: list[str], environment: dict[str, str]) -> None:
        """Another program in a namespace, until close()."""
        self._processes.append(
            subprocess.Popen(
                [*_within(self.names[which]), *words],
                env={**os.environ, **environment},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    # ------------------------------------------------------------ life

    def straight(self) -> Halves:
        """The store's port 587 can be reached from outside, for as long as it has its first address."""
        text = self.store.config.read_text()
        at = f'submission = ["tcp:{PORTS["submission"]}"]\nsubmission_at = "{STORE_ADDRESSES[0]}:{PORTS["submission"]}"'
        self.store.config.write_text(re.sub(r"(?m)^submission = .*$", at, text))
        return self

    def start(self, edge_address: str = EDGE_ADDRESS) -> Halves:
        """Both, paired, with a domain and two people."""
        self.edge.start()
        self.store.start()
        self.store.people("example.test", "ann", "bob", password=PASSWORD)
        code = re.search(r"mailappliance pair (\S+)", self.edge.cli("pair"))
        assert code is not None
        secret = code[1].partition("/")[2]
        self.store.cli("pair", f"{edge_address}/{secret}")
        wait_until(self.knows, 20, "the edge to know ann")
        return self

    def knows(self) -> bool:
        """The edge has a list."""
        return "link.list_taken" in self.edge.log()

    def close(self) -> None:
        """Whatever has happened, nothing stays."""
        for half in (self.edge, self.store):
            half.kill()
        for process in self._processes:
            process.kill()
            process.wait()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ the line

    def cut(self) -> None:
        """Nothing passes, and nobody is told."""
        self._ip(self.names[1], "link", "set", self.devices[1], "down")

    def mend(self) -> None:
        """The line is whole again."""
        self._ip(self.names[1], "link", "set", self.devices[1], "up")

    def move(self) -> None:
        """The store's provider gives it another address."""
        old, self.address = STORE_ADDRESSES[self.address], 1 - self.address
        self._ip(self.names[1], "addr", "del", f"{old}/24", "dev", self.devices[1])
        self._ip(self.names[1], "addr", "add", f"{STORE_ADDRESSES[self.address]}/24", "dev", self.devices[1])

    # ------------------------------------------------------------ mail

    def send(self, to: str, first: int, count: int, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Numbered messages from the world; each is tried until the edge has taken it."""
        arguments = [EDGE_ADDRESS, str(PORTS["smtp"]), to, str(first), str(count)]
        process = subprocess.Popen(
            [*_within(self.names[0]), sys.executable, "-c", SENDER, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._processes.append(process)
        if wait:
            process.wait(60)
        return process

    def run(self, which: int, code: str, *arguments: str) -> str:
        """A Python program in a namespace; what it prints."""
        done = subprocess.run(
            [*_within(self.names[which]), sys.executable, "-c", code, *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    def arrived(self, address: str) -> list[str]:
        """The subjects of everything in a mailbox, doubles included."""
        found = []
        for path in self.store.maildir(address).rglob("*"):
            if path.parent.name in ("new", "cur") and path.is_file():
                subject = re.search(rb"(?m)^Subject: (m\d+)\s*$", path.read_bytes())
                if subject is not None:
                    found.append(subject[1].decode())
        return sorted(found)

    def edge_ids(self, address: str) -> list[str]:
        """The edge's queue id of everything in a mailbox, doubles included: nothing may come twice under one of them."""
        found = []
        for path in self.store.maildir(address).rglob("*"):
            if path.parent.name in ("new", "cur") and path.is_file():
                received = email.message_from_bytes(path.read_bytes()).get_all("Received", [])
                ids = [re.search(r"\bid (\S+)", one) for one in received if "by mx.example.test" in one]
                found += [one[1] for one in ids if one is not None]
        return sorted(found)

    def sunk(self) -> list[str]:
        """The subjects of everything that left for the world."""
        return sorted(self.sink_log.read_text().split()) if self.sink_log.exists() else []

    def wait_for(self, count: int, seconds: float = 60.0) -> None:
        """Until ann has so many."""
        end = time.monotonic() + seconds
        while len(self.arrived("ann@example.test")) < count and time.monotonic() < end:
            time.sleep(0.2)
