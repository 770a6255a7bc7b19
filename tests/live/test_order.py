"""The order of system calls that promise 1 stands on, as strace sees it: file sync, link, directory sync, rows, reply."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import Appliance, missing, wait_until

PASSWORD = "correct horse battery"
CALLS = "fsync,fdatasync,syncfs,link,linkat,write,writev,pwrite64,sendto"


def calls(log: str) -> Iterator[str]:
    """Each call once, when it returned: ``fsync(9</path>) = 0``."""
    begun: dict[str, str] = {}
    for line in log.splitlines():
        found = re.match(r"(\d+) +(.*)", line)
        if found is None:
            continue
        thread, text = found[1], found[2]
        if text.endswith("<unfinished ...>"):
            begun[thread] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        yield begun.pop(thread, "") + resumed[1] if resumed else text


class OrderTests(SynchronousTestCase):
    """One message at a time."""

    def trace(self, extra: str, submit: str = "") -> list[str]:
        """Everything that was called for one message from outside, or for one of ann's to ``submit``."""
        folder = Path(tempfile.mkdtemp(prefix="order-"))
        self.addCleanup(shutil.rmtree, folder)
        appliance = Appliance(folder, extra='[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"\n' + extra)
        self.addCleanup(appliance.kill)
        appliance.start()
        appliance.people("example.test", "ann", "bob", password=PASSWORD)
        if submit:
            peer = Peer(appliance.ports["submissions"], tls=True)
            peer.hello()
            peer.auth_plain("ann@example.test", PASSWORD)
            peer.envelope("ann@example.test", submit)
        else:
            peer = Peer(appliance.ports["smtp"])
            peer.hello()
            peer.envelope("x@y.test", "ann@example.test", "bob@example.test")
        self.addCleanup(peer.close)
        seen = folder / "strace"
        strace = subprocess.Popen(
            ["strace", "-f", "-y", "-s", "60", "-e", f"trace={CALLS}", "-o", str(seen), "-p", str(appliance.pid)],
            stderr=subprocess.PIPE,
        )
        try:
            wait_until(lambda: _is_traced(appliance.pid) or strace.poll() is not None, 10, "strace")
            if strace.poll() is not None:
                self.skipTest("strace may not attach here")  # type: ignore[attr-defined]
            author = b"ann@example.test" if submit else b"x@y.test"
            reply = peer.data(b"From: " + author + b"\r\nSubject: one\r\n\r\nhello\r\n")
            self.assertRegex(reply, "^250 ")
            time.sleep(0.2)
        finally:
            strace.terminate()
            strace.wait(10)
            assert strace.stderr is not None
            strace.stderr.close()
        self.assertEqual(appliance.stop(), 0)
        return list(calls(seen.read_text("utf-8", "replace")))

    def first(self, found: list[str], pattern: str, behind: int = -1) -> int:
        """Where the first call of that kind is; all calls are told when there is none behind ``behind``."""
        for number, call in enumerate(found):
            if number > behind and re.search(pattern, call):
                return number
        raise AssertionError(f"no {pattern} behind {behind} in:\n" + "\n".join(found))

    def test_to_a_mailbox(self) -> None:
        """Content is synced before it has a name in new/; both folders are synced before the peer hears 250."""
        found = self.trace("")
        synced = self.first(found, r"^fsync\(\d+</.*/Maildir/tmp/[^>]+>\) += 0")
        self.first(found, r"^writev\(\d+</.*/Maildir/tmp/")
        self.assertLess(self.first(found, r"^writev\(\d+</.*/Maildir/tmp/"), synced)
        links = []
        for name in ("ann", "bob"):
            links.append(self.first(found, rf'^link\(".*/Maildir/tmp/.*", ".*/{name}/Maildir/new/.*"\) += 0', synced))
        folders = [
            self.first(found, rf"^fsync\(\d+</.*/{name}/Maildir/new>\) += 0", max(links)) for name in ("ann", "bob")
        ]
        self.first(found, r'^sendto\(\d+<.*"250 2\.0\.0 Ok', max(folders))
        self.assertEqual(sum('"250 2.0.0 Ok' in call and call.startswith("sendto") for call in found), 1)
        self.assertEqual(sum(bool(re.match(r"fsync\(\d+</.*/Maildir/tmp/", call)) for call in found), 1)

    def test_to_the_queue(self) -> None:
        """The queue's file, its folder, then the rows, then 250."""
        found = self.trace("", "someone@elsewhere.test")
        content = self.first(found, r"^fsync\(\d+</.*/queue/content/[^>]+>\) += 0")
        folder = self.first(found, r"^fsync\(\d+</.*/queue/content>\) += 0", content)
        rows = self.first(found, r"^f(data)?sync\(\d+</.*/queue/queue\.db(-wal)?>\) += 0", folder)
        self.first(found, r"^(sendto|write)\(\d+<(socket|TCP)", rows)

    if missing("strace"):
        skip = missing("strace")


def _is_traced(pid: int) -> bool:
    """All of its threads."""
    try:
        states = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    except FileNotFoundError:
        return False
    return all(not re.search(r"(?m)^TracerPid:\t0$", state) for state in states)
