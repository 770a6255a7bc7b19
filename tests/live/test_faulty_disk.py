"""A disk that breaks now and then, is full, read-only or slow: nothing accepted is lost, the answers say what is true.

Every call that changes a file of the state folder, those of SQLite included, passes a layer that fails when told to
(faulty_disk.c, built with the machine's C compiler).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import Appliance, missing, wait_until

PASSWORD = "correct horse battery"
LAYER = Path(__file__).with_name("faulty_disk.c")


class Sender(threading.Thread):
    """Sends one small message after the other until it is told to stop; keeps what was answered."""

    def __init__(self, appliance: Appliance, name: str, service: str, recipients: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self.appliance = appliance
        self.label = name
        self.service = service
        self.recipients = recipients
        self.accepted: list[str] = []
        self.replies: Counter[str] = Counter()
        self.over = threading.Event()

    def run(self) -> None:
        for number in itertools.count():
            if self.over.is_set():
                return
            mark = f"{self.label}-{number:06}-end"
            with contextlib.suppress(OSError, AssertionError, EOFError):
                self.one(mark)

    def one(self, mark: str) -> None:
        """A connection, a message."""
        ours = self.service == "submissions"
        with Peer(self.appliance.ports[self.service], tls=ours) as peer:
            peer.hello()
            if ours and not self.good(peer.auth_plain("ann@example.test", PASSWORD)):
                return
            sender = "ann@example.test" if ours else "stranger@example.org"
            if not self.good(peer.say(f"MAIL FROM:<{sender}>")):
                return
            for recipient in self.recipients:
                if not self.good(peer.say(f"RCPT TO:<{recipient}>")):
                    return
            if not self.good(peer.say("DATA")):
                return
            peer.send(f"From: {sender}\r\nSubject: {mark}\r\n\r\n{mark}\r\n.\r\n".encode())
            reply = peer.reply()
            self.replies[reply[:3]] += 1
            if reply.startswith("250"):
                self.accepted.append(mark)

    def good(self, reply: str) -> bool:
        if reply[:1] in "23":
            return True
        self.replies[reply[:3]] += 1
        return False


class FaultyDiskTests(SynchronousTestCase):
    """The whole service over a disk that obeys orders."""

    def setUp(self) -> None:
        if reason := missing("cc"):
            self.skipTest(reason)
        self.folder = Path(tempfile.mkdtemp(prefix="faulty-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        layer = self.folder / "faulty.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(layer), str(LAYER), "-ldl"], check=True)
        self.orders = self.folder / "orders"
        extra = '[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"\n[guard]\nexempt = ["127.0.0.0/8"]\n'
        self.appliance = Appliance(self.folder, extra=extra)
        self.environ = {
            "LD_PRELOAD": str(layer),
            "FAULTY_ROOT": str(self.appliance.state),
            "FAULTY_ORDERS": str(self.orders),
        }
        self.appliance.start(environ=self.environ)
        self.addCleanup(self.appliance.kill)
        self.appliance.people("example.test", "ann", "bob", password=PASSWORD)

    def order(self, number: int = 0, share: int = 0, delay: int = 0) -> None:
        """From now on. ``share`` in a thousand; ``delay`` of flushes in milliseconds."""
        self.orders.with_suffix(".new").write_text(f"{number} {share} {delay}\n")
        self.orders.with_suffix(".new").rename(self.orders)

    def senders(self, label: str = "") -> list[Sender]:
        found = [
            Sender(self.appliance, f"{label}in", "smtp", ("ann@example.test", "bob@example.test")),
            Sender(self.appliance, f"{label}also", "smtp", ("ann@example.test",)),
            Sender(self.appliance, f"{label}out", "submissions", ("friend@elsewhere.test",)),
            Sender(self.appliance, f"{label}both", "submissions", ("bob@example.test", "friend@elsewhere.test")),
        ]
        for sender in found:
            sender.start()
        return found

    def stop(self, senders: list[Sender]) -> None:
        for sender in senders:
            sender.over.set()
        for sender in senders:
            sender.join(30)

    def in_mailbox(self, name: str) -> set[str]:
        """The marks of the whole messages there."""
        found = set()
        for path in self.appliance.maildir(f"{name}@example.test").glob("[nc]*/*"):
            text = path.read_text("utf-8", "replace")
            self.assertTrue(text.endswith("\n"), (path, text))  # nothing half written has a name
            if whole := re.search(r"\nSubject: (\S+-end)\n(?:.*\n)*?\n(\S+)\n\Z", text):
                self.assertEqual(whole[1], whole[2])
                found.add(whole[1])
        return found

    def in_queue(self) -> set[str]:
        """The same in the queue."""
        listed = self.appliance.cli("queue", "list", "--json")
        found = set()
        for path in (self.appliance.state / "queue" / "content").iterdir():
            if path.name.partition(".")[0] in listed or path.name in listed:
                found.update(re.findall(r"\nSubject: (\S+)\n", path.read_text("utf-8", "replace")))
        return found

    def check(self, senders: list[Sender]) -> None:
        """Whatever was answered with 250 is where it belongs."""
        ann, bob, queue = self.in_mailbox("ann"), self.in_mailbox("bob"), self.in_queue()
        for sender in senders:
            for recipient in sender.recipients:
                place = {"ann": ann, "bob": bob}.get(recipient.partition("@")[0], queue)
                lost = set(sender.accepted) - place
                self.assertEqual(lost, set(), (sender.label, recipient, sender.replies))

    def test_faults(self) -> None:
        """Errors of all shares; then it works as before, and after a restart everything is still there."""
        rows = (
            (errno.EIO, 10, {"451"}),
            (errno.ENOSPC, 50, {"452", "451"}),
            (errno.EIO, 300, {"451"}),
            (errno.EROFS, 1000, {"451", "452"}),
            (errno.ENOSPC, 1000, {"452"}),
        )
        everybody: list[Sender] = []
        for number, share, told in rows:
            where = f"{errno.errorcode[number]} in {share} of 1000"
            senders = self.senders(f"{errno.errorcode[number]}{share}")
            everybody += senders
            time.sleep(0.5)
            self.order(number, share)
            time.sleep(2)
            if share == 1000:
                before = [len(sender.accepted) for sender in senders]
                time.sleep(1)
                self.assertEqual([len(sender.accepted) for sender in senders], before, where)
            self.order()
            time.sleep(1)
            self.stop(senders)
            replies = sum((sender.replies for sender in senders), Counter())
            self.assertGreater(replies["250"], 5, (where, replies))
            self.assertLessEqual(set(replies) - {"250", "421"}, {"451", "452"}, (where, replies))
            if share >= 300:
                self.assertTrue(told & set(replies), (where, replies))
            self.check(senders)
        self.assertEqual(self.appliance.stop(), 0)
        self.appliance.start(environ=self.environ)
        self.check(everybody)
        last = Sender(self.appliance, "last", "smtp", ("ann@example.test",))
        last.one("last-000000-end")
        self.assertEqual(last.replies, {"250": 1})
        with Peer(self.appliance.ports["imaps"], tls=True) as peer:
            peer.line()
            self.assertRegex(peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')[-1], b"^a OK ")
            said = [b"".join(peer.ask("SELECT INBOX"))]
            # A message that moves from new/ to cur/ meanwhile is listed in both, and is still one.
            found = self.appliance.maildir("ann@example.test").glob("[nc]*/*")
            files = len({path.name.partition(":")[0] for path in found})

            def all_there() -> bool:
                said.append(b"".join(peer.ask("NOOP")))
                return re.findall(rb"\* (\d+) EXISTS", b"".join(said))[-1] == str(files).encode()

            wait_until(all_there, 10, "all messages in INBOX")

    def test_slow(self) -> None:
        """Flushes that take half a second: the answers come late, others are put off, and what is due is delivered."""
        self.order(delay=500)
        senders = self.senders()
        time.sleep(6)
        with Peer(self.appliance.ports["smtp"]) as peer:
            began = time.monotonic()
            peer.hello()
            self.assertLess(time.monotonic() - began, 1.0)  # the reactor waits for no disk
        self.stop(senders)
        self.order()
        replies = sum((sender.replies for sender in senders), Counter())
        self.assertGreater(replies["250"], 3, replies)
        self.assertLessEqual(set(replies), {"250", "421", "451", "452"}, replies)
        self.check(senders)
        wait_until(self.in_queue, 5, "the queue")
        self.assertEqual(self.appliance.tracebacks(), [])
