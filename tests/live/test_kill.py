"""kill -9 at random moments, fifty times, with mail coming in, going out and being submitted all the while."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import CHECKOUT, Appliance, free_ports, wait_until

TOOL = [sys.executable, str(CHECKOUT / "bench" / "smtp_bench.py")]
KILLS = int(os.environ.get("MAILAPPLIANCE_KILLS", "50"))
PASSWORD = "correct horse battery"
PEOPLE = [f"user{number}" for number in range(4)]
# What the smarthost does to us: refuses for now, hangs, drops the connection before its reply.
FAULTS = [
    "kind=4xx,stage=rcpt,share=0.1",
    "kind=4xx,stage=eod,share=0.05",
    "kind=stall,stage=mail,share=0.02,delay=3",
    "kind=drop,stage=eod,share=0.05",
    "kind=drop,stage=data,share=0.03",
]


class KillTests(SynchronousTestCase):
    """Promise 1, as the peers see it."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kill-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.sink_port,) = free_ports(1)
        extra = (
            f'[relay]\nsmarthost = "127.0.0.1:{self.sink_port}"\ntls = "none"\nfirst_retry = 1\n'
            "[limits]\nconnections_per_address = 0\n[guard]\nexempt = ['127.0.0.0/8']\n"
        )
        self.appliance = Appliance(self.folder / "appliance", extra=extra)
        self.addCleanup(self.appliance.kill)
        self.tools: list[subprocess.Popen[bytes]] = []

    def tool(self, *arguments: str) -> subprocess.Popen[bytes]:
        """One of the bench's programs, in a group of its own."""
        log = (self.folder / f"tool{len(self.tools)}.log").open("wb")
        with log:
            child = subprocess.Popen([*TOOL, *arguments], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        self.tools.append(child)
        self.addCleanup(self.end, child, signal.SIGKILL)
        return child

    def end(self, child: subprocess.Popen[bytes], how: signal.Signals) -> None:
        """Interrupt it and its children; they report what they know."""
        if child.poll() is None:
            os.killpg(child.pid, how)
            child.wait(30)

    def injector(self, name: str, port: str, rcpt: str, *more: str) -> subprocess.Popen[bytes]:
        return self.tool(
            "inject", "--port", str(self.appliance.ports[port]), "-S", "4", "-n", "1000000", "--rate", "60",
            "--size", "3k", "--rcpt", rcpt, "--rcpt-pool", str(len(PEOPLE)), "--reconnect", "60", "--timeout", "20",
            "--per-connection", "7", "--ids", str(self.folder / f"{name}.ids"),
            "--unacked", str(self.folder / f"{name}.unacked"), *more,
        )  # fmt: skip

    def smarthost(self, name: str, *faults: str) -> subprocess.Popen[bytes]:
        """One that keeps what it has answered with 250, in folders that look like a Maildir."""
        kept = self.folder / "sent" / name / "new"
        kept.mkdir(parents=True)
        return self.tool("sink", "--port", str(self.sink_port), "--save", str(kept), *faults)

    def verify(self, ids: list[str], *where: str) -> dict[str, int]:
        arguments = [f"--ids={self.folder / name}.ids" for name in ids]
        arguments += [f"--unacked={self.folder / name}.unacked" for name in ids]
        done = subprocess.run([*TOOL, "verify", *arguments, "--json", "-", *where], capture_output=True, check=False)
        result: dict[str, int] = json.loads(done.stdout)
        return result

    def test_nothing_accepted_is_lost(self) -> None:
        """Whatever was answered with 250 is in a mailbox or at the smarthost, whole; local mail never twice."""
        smarthost = self.smarthost("bad", *(f"--fault={fault}" for fault in FAULTS))
        self.appliance.start()
        self.appliance.people("example.test", *PEOPLE, password=PASSWORD)
        own = ("--sender", "user0@example.test", "--auth", f"user0@example.test:{PASSWORD}", "--tls")
        injectors = [
            self.injector("strangers", "smtp", "user{}@example.test"),
            self.injector("own", "submissions", "user{}@example.test", *own),
            self.injector("out", "submissions", "someone{}@elsewhere.test", *own),
        ]
        chance = random.Random(os.environ.get("MAILAPPLIANCE_SEED", "11"))
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.9))
            self.appliance.kill()
            self.appliance.start()
        time.sleep(1)
        for child in injectors:
            self.end(child, signal.SIGINT)
        self.end(smarthost, signal.SIGINT)
        smarthost = self.smarthost("good")  # from now on it behaves
        self.appliance.cli("queue", "retry", "--all", status=None)
        wait_until(lambda: json.loads(self.appliance.cli("queue", "list", "--json")) == [], 60, "an empty queue")
        self.assertEqual(self.appliance.stop(), 0)
        self.end(smarthost, signal.SIGINT)

        mail = str(self.appliance.state / "mail")
        for name in ("strangers", "own"):
            found = self.verify([name], mail)
            self.assertGreater(found["accepted_ids"], KILLS)
            self.assertEqual((found["lost"], found["duplicated"], found["damaged"]), (0, 0, 0), (name, found))
            self.assertEqual(found["unacknowledged_duplicated"], 0, (name, found))
        found = self.verify(["out"], str(self.folder / "sent"))
        self.assertGreater(found["accepted_ids"], KILLS)
        self.assertEqual((found["lost"], found["damaged"]), (0, 0), found)
        # Twice only what was under way when a kill came or the smarthost dropped the line behind the last dot.
        self.assertLessEqual(found["duplicate_copies"], KILLS * 20, found)
        self.assertEqual(self.appliance.tracebacks(), [])
        left = [path for path in Path(mail).glob("*/*/Maildir/new/*") if not path.stat().st_size]
        self.assertEqual(left, [])
