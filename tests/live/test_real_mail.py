"""Three thousand real messages, many of them malformed: in by SMTP and by APPEND, out by IMAP, octet for octet."""

from __future__ import annotations

import email.utils
import imaplib
import os
import re
import smtplib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.live.appliance import Appliance

CORPUS = os.environ.get("MAILAPPLIANCE_CORPUS", "")
VECTORS = os.environ.get("MAILAPPLIANCE_VECTORS", "")
PASSWORD = "correct horse battery"

# What the border takes off mail from strangers (docs/mail-flow.md lists the same); written here once more on purpose.
_REMOVED = re.compile(rb"(?mi)^(?:return-path|delivered-to|x-spam-[^:\n]*)[ \t]*:.*\n(?:[ \t].*\n)*")
# What it puts on top.
_ADDED = re.compile(rb"\AReturn-Path: <m(\d+)@sender\.example>\r\n(?:Received: .*\r\n(?:[ \t].*\r\n)*)")


def real_messages() -> Iterator[tuple[str, bytes]]:
    """(name, octets with LF line ends, without the mbox From line) in order of names."""
    for folder in ("easy-ham-1", "spam-1"):
        for path in sorted((Path(CORPUS) / folder).glob("*.txt")):
            octets = path.read_bytes().replace(b"\r\n", b"\n")
            if octets.startswith(b"From "):
                octets = octets.partition(b"\n")[2]
            yield f"{folder}/{path.name}", octets


def crlf(octets: bytes) -> bytes:
    """With CRLF line ends, the last line ended."""
    whole = octets if octets.endswith(b"\n") else octets + b"\n"
    return whole.replace(b"\n", b"\r\n")


def header_of(octets: bytes) -> bytes:
    """The header block with the empty line; everything when there is no empty line."""
    if octets.startswith(b"\n"):
        return b"\n"
    return octets[: octets.find(b"\n\n") + 2] if b"\n\n" in octets else octets


def forbidden(octets: bytes) -> str:
    """Why the border must refuse it, or ''."""
    if b"\r" in octets:
        return "bare CR"
    if b"\0" in octets:
        return "NUL"
    unfolded = re.sub(rb"\n[ \t]+", b" ", header_of(octets))
    fields = [line for line in unfolded.split(b"\n") if line.lower().startswith(b"from:")]
    if len(fields) != 1:
        return f"{len(fields)} From fields"
    addresses = email.utils.getaddresses([fields[0][5:].decode("latin-1")])
    return "" if len(addresses) == 1 else f"{len(addresses)} addresses in From"


class RealMailTests(TestCase):
    """The public corpus, whole."""

    timeout = 600

    def setUp(self) -> None:
        if not CORPUS:
            self.skipTest("MAILAPPLIANCE_CORPUS names no folder")
        self.messages = list(real_messages())
        self.assertGreater(len(self.messages), 2900)

    def read_back(self, appliance: Appliance, mailbox: str) -> dict[int, tuple[bytes, bytes, bytes]]:
        """uid -> (octets, ENVELOPE and BODYSTRUCTURE response, size) of everything in ``mailbox``."""
        client = imaplib.IMAP4("127.0.0.1", appliance.ports["imap"])
        client.starttls(_context())
        client.login("ann@example.test", PASSWORD)
        client.select(mailbox, readonly=True)
        found: dict[int, tuple[bytes, bytes, bytes]] = {}
        _, data = client.uid("FETCH", "1:*", "(RFC822.SIZE BODY.PEEK[])")
        for item in data:
            if isinstance(item, tuple):
                uid = int(re.search(rb"UID (\d+)", item[0])[1])  # type: ignore[index]
                size = re.search(rb"RFC822\.SIZE (\d+)", item[0])[1]  # type: ignore[index]
                found[uid] = (item[1], b"", size)
        _, data = client.uid("FETCH", "1:*", "(ENVELOPE BODYSTRUCTURE)")
        whole = b"".join(b"".join(item) if isinstance(item, tuple) else item or b"" for item in data)
        self.assertEqual(whole.count(b"BODYSTRUCTURE ("), len(found))
        self.assertEqual(whole.count(b"ENVELOPE ("), len(found))
        client.logout()
        return found

    def test_by_smtp(self) -> None:
        """All are injected by ten connections; what is accepted reads back the same, what is forbidden got its 5xx."""
        with Appliance() as appliance:
            appliance.people("example.test", "ann")
            refused: dict[int, str] = {}
            waiting = iter(range(len(self.messages)))
            lock = threading.Lock()
            troubles: list[str] = []

            def inject() -> None:
                client = smtplib.SMTP("127.0.0.1", appliance.ports["smtp"], local_hostname="sender.example")
                while True:
                    with lock:
                        number = next(waiting, None)
                    if number is None:
                        client.quit()
                        return
                    try:
                        client.ehlo_or_helo_if_needed()
                        client.mail(f"m{number}@sender.example", ["BODY=8BITMIME"])
                        client.rcpt("ann@example.test")
                        code, text = client.data(crlf(self.messages[number][1]))
                        if code != 250:
                            refused[number] = f"{code} {text.decode()}"
                    except smtplib.SMTPException as error:
                        troubles.append(f"{self.messages[number][0]}: {error!r}")
                        return

            threads = [threading.Thread(target=inject) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(troubles, [])

            expected_refusals = {n: why for n, (_, octets) in enumerate(self.messages) if (why := forbidden(octets))}
            for number, said in sorted(refused.items()):
                print(f"refused {self.messages[number][0]}: {said}")
            self.assertEqual(sorted(set(expected_refusals) - set(refused)), [])
            for said in refused.values():
                self.assertRegex(said, r"^5\d\d ")
            # A From that our parser and the standard library's read differently is listed above; there are few.
            self.assertLess(len(set(refused) - set(expected_refusals)), 30)

            seen = set()
            for mailbox in ("INBOX", "Junk"):
                for octets, _, size in self.read_back(appliance, mailbox).values():
                    self.assertEqual(int(size), len(octets))
                    if b"\r\nSubject: Welcome to your new mailbox\r\n" in octets:
                        continue
                    top = _ADDED.match(octets)
                    self.assertIsNotNone(top, octets[:400])
                    assert top is not None
                    number = int(top[1])
                    original = self.messages[number][1]
                    header = header_of(original)
                    kept = _REMOVED.sub(b"", header) + original[len(header) :]
                    self.assertEqual(octets[top.end() :], crlf(kept), self.messages[number][0])
                    self.assertNotIn(number, seen)
                    seen.add(number)
            self.assertEqual(len(seen) + len(refused), len(self.messages))
            self.assertEqual(appliance.tracebacks(), [])

    def test_by_append(self) -> None:
        """The same set and the odd messages of the public vectors by APPEND: octet-identical."""
        messages = [crlf(octets) for _, octets in self.messages]
        if VECTORS:
            for path in sorted(Path(VECTORS, "eml").rglob("*")):
                octets = path.read_bytes() if path.is_file() else b""
                if octets and b"\0" not in octets and path.suffix != ".md" and "LICENSE" not in path.name:
                    messages.append(crlf(octets.replace(b"\r\n", b"\n")))
            self.assertGreater(len(messages), 3150)
        with Appliance() as appliance:
            appliance.people("example.test", "ann")
            client = imaplib.IMAP4("127.0.0.1", appliance.ports["imap"])
            client.starttls(_context())
            client.login("ann@example.test", PASSWORD)
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.create("appended")
            for octets in messages:
                status, answer = client._simple_command(  # the public append() changes line ends
                    "APPEND", "appended", _literal(client, octets)
                )
                self.assertEqual(status, "OK", answer)
            client.logout()
            found = self.read_back(appliance, "appended")
            self.assertEqual(len(found), len(messages))
            for (uid, (octets, _, size)), original in zip(sorted(found.items()), messages, strict=True):
                self.assertEqual(octets, original, uid)
                self.assertEqual(int(size), len(original))
            self.assertEqual(appliance.tracebacks(), [])


def _literal(client: imaplib.IMAP4, octets: bytes) -> str:
    client.literal = octets  # type: ignore[assignment]
    return "()"


def _context() -> object:
    from tests.live.appliance import anything_goes

    return anything_goes()
