"""What nobody ought to say, said to the real process: while one client does, another is answered within a second.

Each row is a fresh, logged-in connection with INBOX selected; the process's memory is looked at in the end.
"""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Callable, Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.bad_imap import LINES
from tests.kit.peer import Peer
from tests.live.appliance import Appliance, shared

PASSWORD = "correct horse battery"
PATIENCE = 1.0  # seconds that the other client waits at most
GROWTH = 80 * 1024  # KiB of the whole process over all rows


@shared
def running() -> Appliance:
    """One who attacks, one who only wants to read his mail."""
    appliance = Appliance(
        extra='[guard]\nexempt = ["127.0.0.0/8"]\n[limits]\nconnections_per_address = 100\n', hostname="localhost"
    ).start()
    appliance.people("example.test", "ann", "bob", password=PASSWORD)
    return appliance


def reader(appliance: Appliance, name: str) -> Peer:
    """Logged in, INBOX selected."""
    peer = Peer(appliance.ports["imaps"], tls=True, patience=60)
    peer.line()
    peer.ask(f'LOGIN {name}@example.test "{PASSWORD}"')
    assert peer.ask("SELECT INBOX")[-1].startswith(b"a OK"), name
    return peer


class Bystander(threading.Thread):
    """Says NOOP twenty times a second and remembers the longest wait."""

    def __init__(self, appliance: Appliance) -> None:
        super().__init__(daemon=True)
        self._peer = reader(appliance, "bob")
        self._over = threading.Event()
        self.longest = 0.0
        self.answers = 0

    def run(self) -> None:
        while not self._over.wait(0.05):
            began = time.monotonic()
            if self._peer.ask("NOOP")[-1:] != [b"a OK Done.\r\n"]:
                self.longest = float("inf")
                return
            self.longest = max(self.longest, time.monotonic() - began)
            self.answers += 1

    def end(self) -> None:
        self._over.set()
        self.join(60)
        self._peer.close()


def says(lines: Sequence[bytes], answer: bytes) -> Callable[[Peer], None]:
    """Each line gets a tagged answer; ``answer`` stands in the last one."""

    def attack(peer: Peer) -> None:
        said: list[bytes] = []
        for line in lines:
            said = peer.ask(line)
            assert said, line[:60]
        assert answer in said[-1], (lines[-1][:60], said[-1])

    return attack


def mime_bomb(peer: Peer) -> None:
    """Multiparts in multiparts, and ten thousand parts side by side; then everything is asked of them."""
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(10_000))
    wide = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000
    addresses = b"To: " + b"(" * 50_000 + b"a@b, " * 20_000 + b"\r\n\r\nx\r\n"
    for bomb in (deep, wide, addresses):
        assert peer.ask(b"APPEND INBOX {%d+}\r\n%b" % (len(bomb), bomb))[-1].startswith(b"a OK")
    for line in ("NOOP", "FETCH 1:* (ENVELOPE BODYSTRUCTURE)", "FETCH 1:* (BODY.PEEK[1.1.1.1.1.1] PREVIEW)"):
        assert peer.ask(line)[-1].startswith((b"a OK", b"a NO")), line
    assert peer.ask("SEARCH TEXT needle")[-1].startswith(b"a OK")


def compressed_bomb(peer: Peer) -> None:
    """A hundred megabytes of nothing in a hundred kilobytes."""
    assert peer.ask("COMPRESS DEFLATE")[-1].startswith(b"a OK")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    for _ in range(100):
        peer.send(squeeze.compress(b"\0" * 1_000_000) + squeeze.flush(zlib.Z_SYNC_FLUSH))
    # Inflated a piece at a time and passed over, as a line without end is; then the next command is read.
    peer.send(squeeze.compress(b"\r\nb LOGOUT\r\n") + squeeze.flush(zlib.Z_SYNC_FLUSH))
    hangs_up(peer)


def hangs_up(peer: Peer) -> None:
    """The server ends it."""
    while peer.line():
        pass


def endless_line(peer: Peer) -> None:
    """Ten megabytes without a line's end."""
    for _ in range(160):
        peer.send(b"a" * 65_536)
    peer.send(b"\r\n")
    assert peer.line(), "neither answered nor ended"


def slow_reader(peer: Peer) -> None:
    """Asks for megabytes and takes nothing."""
    content = b"Subject: large\r\n\r\n" + b"x" * 998 + b"\r\n"
    peer.ask(b"APPEND INBOX {%d+}\r\n%b" % (2_000_000, (content * 2000)[:1_999_998] + b"\r\n"))
    with contextlib.suppress(TimeoutError):
        peer.socket.settimeout(1.0)
        for _ in range(400):
            peer.send(b"x FETCH 1:* (BODY.PEEK[])\r\n")
    time.sleep(3)


def many_commands(peer: Peer) -> None:
    """Twenty thousand at once; all are answered."""
    peer.send(b"x NOOP\r\n" * 20_000)
    peer.send(b"a NOOP\r\n")
    assert peer.answer()[-1] == b"a OK Done.\r\n"


# what is done: how
ROWS: dict[str, Callable[[Peer], None]] = {
    **{name: says(lines, answer) for name, (lines, answer) in LINES.items()},
    "an endless line": endless_line,
    "a MIME bomb": mime_bomb,
    "a compressed bomb": compressed_bomb,
    "a slow reader": slow_reader,
    "many commands": many_commands,
}


class BadInputTests(SynchronousTestCase):
    """Bounded in time and memory, all of it."""

    def test_all_rows(self) -> None:
        """One after another, and somebody else is there all the time."""
        appliance = running()
        before = appliance.pss_kib()
        waits = {}
        for name, attack in ROWS.items():
            peer, bystander = reader(appliance, "ann"), Bystander(appliance)
            bystander.start()
            time.sleep(0.1)
            try:
                attack(peer)
            finally:
                peer.close()
                bystander.end()
            waits[name] = bystander.longest
            self.assertGreater(bystander.answers, 0, name)
        self.assertEqual({name: wait for name, wait in waits.items() if wait > PATIENCE}, {})
        self.assertEqual(appliance.tracebacks(), [])
        self.assertLess(appliance.pss_kib() - before, GROWTH)
        worst = max(waits, key=lambda name: waits[name])
        print(
            f"longest wait of another client: {waits[worst]:.3f} s ({worst}); {appliance.pss_kib() - before} KiB more"
        )
