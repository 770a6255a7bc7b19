"""Stops of every kind: SIGTERM in the middle of a message, SIGKILL under load, damaged and half-written files."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import Appliance, wait_until

PASSWORD = "correct horse battery"
MANY = 10_000


class CrashTests(SynchronousTestCase):
    """One appliance with one person, mail to outside waits for ever."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="crash-"))
        self.addCleanup(shutil.rmtree, self.folder)
        extra = '[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"\nfirst_retry = 3600\n'
        self.appliance = Appliance(self.folder, extra=extra)
        self.addCleanup(self.appliance.kill)
        self.appliance.start()
        self.appliance.people(password=PASSWORD)
        self.maildir = self.appliance.maildir("ann@example.test")

    def smtp(self) -> Peer:
        """A stranger whose recipient has been taken."""
        peer = Peer(self.appliance.ports["smtp"])
        self.addCleanup(peer.close)
        peer.hello()
        self.assertRegex(peer.envelope("stranger@example.org", "ann@example.test"), "^250 ")
        return peer

    def receive(self, subject: str) -> None:
        """One mail for ann."""
        with Peer(self.appliance.ports["smtp"]) as peer:
            peer.hello()
            peer.envelope("stranger@example.org", "ann@example.test")
            self.assertRegex(peer.data(letter(subject)), "^250 ")

    def submit(self, *recipients: str) -> str:
        """One mail of ann's; its trace id."""
        with Peer(self.appliance.ports["submissions"], tls=True) as peer:
            peer.hello()
            peer.auth_plain("ann@example.test", PASSWORD)
            peer.envelope("ann@example.test", *recipients)
            reply = peer.data(b"From: ann@example.test\r\nSubject: out\r\n\r\nx\r\n")
            self.assertRegex(reply, "^250 ")
            return reply.split()[-1]

    def imap(self) -> Peer:
        """Ann in her INBOX."""
        peer = Peer(self.appliance.ports["imaps"], tls=True, patience=60)
        self.addCleanup(peer.close)
        peer.line()
        peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
        self.assertRegex(peer.ask("SELECT INBOX")[-1], b"^a OK ")
        return peer

    def told(self) -> tuple[bytes, dict[bytes, tuple[bytes, frozenset[bytes]]]]:
        """UIDVALIDITY, and UID → (subject, flags) of everything in INBOX."""
        peer = Peer(self.appliance.ports["imaps"], tls=True, patience=60)
        peer.line()
        peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
        selected = b"".join(peer.ask("EXAMINE INBOX"))
        lines = b"".join(peer.ask("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        peer.close()
        found = re.findall(rb"UID (\d+) FLAGS \(([^)]*)\)[^\r]*\r\nSubject: ([^\r]*)\r\n", lines)
        validity = re.search(rb"UIDVALIDITY (\d+)", selected)
        assert validity is not None
        flags = {uid: (subject, frozenset(flags.split()) - {b"\\Recent"}) for uid, flags, subject in found}
        self.assertEqual(len(flags), len(found))
        return validity[1], flags

    def calm(self) -> None:
        """No traceback, and nothing broken."""
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())


def letter(subject: str, lines: int = 1) -> bytes:
    """A small message."""
    return f"From: a@example.org\r\nSubject: {subject}\r\n\r\n".encode() + b"%068d\r\n" % 7 * lines


class StopTests(CrashTests):
    """SIGTERM: drained within 30 seconds."""

    def test_in_the_middle_of_a_message(self) -> None:
        """421 and BYE to those who rest, the message on its way is finished and answered, status 0 within 30 s."""
        busy, idle = self.smtp(), self.smtp()
        self.assertRegex(busy.say("DATA"), "^354 ")
        busy.send(letter("half"))
        reader = self.imap()
        idler = self.imap()
        idler.send(b"i IDLE\r\n")
        self.assertRegex(idler.line(), rb"^\+ ")
        process = self.appliance.process
        assert process is not None
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertRegex(idle.rest(), rb"\A421 4\.3\.2 ")
        self.assertRegex(reader.rest(), rb"\A\* BYE ")
        self.assertRegex(idler.rest(), rb"\A\* BYE ")
        for peer in (idle, reader, idler):
            peer.close()
        self.assertRaises(ConnectionRefusedError, Peer, self.appliance.ports["smtp"])
        time.sleep(0.5)
        self.assertIsNone(process.poll())
        busy.send(b"and the other half\r\n.\r\n")
        self.assertRegex(busy.reply(), "^250 ")
        self.assertRegex(busy.rest(), rb"\A421 4\.3\.2 ")
        busy.close()
        self.assertEqual(process.wait(30), 0)
        self.assertLess(time.monotonic() - began, 30)
        self.calm()
        (kept,) = [path for path in self.maildir.glob("new/*") if b"Subject: half" in path.read_bytes()]
        self.assertTrue(kept.read_bytes().endswith(b"and the other half\n"))

    def test_somebody_never_ends(self) -> None:
        """Whoever does not finish its message in half a minute is cut off; it was told nothing, so it keeps it."""
        busy = self.smtp()
        busy.say("DATA")
        busy.send(letter("never whole"))
        process = self.appliance.process
        assert process is not None
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(40), 0)
        self.assertTrue(25 < time.monotonic() - began < 36)
        self.assertEqual(busy.rest(), b"")
        self.calm()

    def test_quick_restart(self) -> None:
        """A stop with clients that do not say farewell takes a moment only, and the next start finds its ports."""
        peers = [self.imap() for _ in range(3)] + [self.smtp() for _ in range(3)]
        with Peer(self.appliance.ports["submissions"], tls=True) as submission:
            submission.hello()
            began = time.monotonic()
            self.assertEqual(self.appliance.stop(), 0)
            self.appliance.start()
            self.assertLess(time.monotonic() - began, 15)  # and not the 20 s of a farewell
        self.assertEqual(len(peers), 6)
        self.calm()


class LeftoverTests(CrashTests):
    """What a crash can leave behind."""

    def test_half_written_files(self) -> None:
        """Half-received bodies and queue content that was never accepted go; what is young in tmp/ stays."""
        self.submit("aunt@example.com")
        self.appliance.kill()
        state = self.appliance.state
        for name in ("smtp-1m8244zqw8d8qn.body", "append-abc123"):
            (state / "spool" / name).write_bytes(b"half")
        (state / "queue" / "content" / "1m8244zqw8d8qn.9").write_bytes(b"half")
        (self.maildir / "tmp" / "1795367718.M1P1.mx,S=9").write_bytes(b"half")
        self.appliance.start()
        self.assertEqual(list((state / "spool").iterdir()), [])
        self.assertEqual(len(list((state / "queue" / "content").iterdir())), 1)
        self.assertRegex(self.appliance.log(), r"service\.remark text=\"2 half-received message\(s\)")
        self.assertRegex(self.appliance.log(), r"queue\.leftover_removed files=1")
        self.imap().ask("NOOP")
        self.assertEqual(len(list((self.maildir / "tmp").iterdir())), 1)
        waiting = json.loads(self.appliance.cli("queue", "list", "--json"))
        self.assertEqual([one["to"] for message in waiting for one in message["recipients"]], ["aunt@example.com"])
        self.calm()

    def test_rows_without_content(self) -> None:
        """Accepted mail whose file is gone or short: said loudly, its sender hears of it, the rest goes on."""
        gone, short, whole = (self.submit(f"{name}@example.com") for name in ("gone", "short", "whole"))
        self.appliance.stop()
        content = self.appliance.state / "queue" / "content"
        next(content.glob(f"{gone}*")).unlink()
        os.truncate(next(content.glob(f"{short}*")), 20)
        self.appliance.start()
        self.appliance.cli("queue", "retry", "--all")
        wait_until(lambda: self.appliance.log().count("queue.report_sent") == 2, 10, "two reports")
        for trace, why in ((gone, "No such file or directory"), (short, "it has 20 octets, not")):
            self.assertRegex(self.appliance.log(), rf'error queue\.content_lost trace={trace} .*reason="{why}')
        waiting = json.loads(self.appliance.cli("queue", "list", "--json"))
        self.assertEqual([message["id"] for message in waiting], [whole])
        reports = [path.read_bytes() for path in self.maildir.glob("new/*")]
        reports = [octets for octets in reports if b"multipart/report" in octets]
        self.assertEqual(len(reports), 2)
        for octets in reports:
            self.assertIn(b"please send it once more", octets)
        self.assertIn("queue.content_lost", self.appliance.cli("trace", gone))
        self.calm()

    def test_damaged_index(self) -> None:
        """Garbage in index.db, while it runs and while it does not: set aside, built anew, UIDs and flags kept."""
        for number in range(6):
            self.receive(f"message {number}")
        imap = self.imap()
        imap.ask(r"STORE 2 +FLAGS (\Flagged kept)")
        imap.ask(r"STORE 3 +FLAGS (\Deleted)")
        imap.ask("EXPUNGE")
        imap.close()
        before = self.told()
        index = self.maildir.parent / "index.db"
        for running in (True, False):
            if not running:
                self.appliance.stop()
                for tail in ("-wal", "-shm"):
                    index.with_name(f"index.db{tail}").unlink(missing_ok=True)
            with index.open("r+b") as file:
                file.write(random.Random(running).randbytes(65536))
            if running:
                self.appliance.kill()
            self.appliance.start()
            self.assertEqual(self.told(), before)
            self.receive(f"after {running}")
            known = len(before[1])
            wait_until(lambda known=known: len(self.told()[1]) > known, 5, "the new message")
            after = self.told()
            new = set(after[1]) - set(before[1])
            self.assertEqual({after[1][uid][0] for uid in new}, {f"after {running}".encode()})
            self.assertGreater(min(map(int, new)), max(map(int, before[1])))
            before = after
        self.assertGreaterEqual(len(list(index.parent.glob("index.db.damaged-*"))), 1)
        self.assertRegex(self.appliance.log(), r"warning store\.index_damaged account=ann@example\.test kept_as=")
        self.calm()


class KillTests(CrashTests):
    """SIGKILL under load with ten thousand messages in the mailbox."""

    def setUp(self) -> None:
        super().setUp()
        self.submitted: list[str] = []  # trace ids
        self.answered: list[int] = []  # sequence numbers; nothing is expunged, so they stay what they are

    def test_killed_under_load(self) -> None:
        """Ready within 10 s; every 250 and OK holds (promise 1); no UID names another message (promise 2)."""
        self.appliance.stop()
        for number in range(MANY):
            octets = f"From: a@example.org\nSubject: old {number}\n\n{number}\n".encode()
            (self.maildir / "new" / f"17953677{number:05d}.M1P1.mx").write_bytes(octets)
        self.appliance.start()
        validity, known = self.told()
        self.assertEqual(len(known), MANY + 1)
        kept: dict[str, frozenset[bytes]] = {}  # subject: flags that were answered OK
        rng = random.Random(11)
        for round_number in range(3):
            self.load(round_number, kept, rng.uniform(0.8, 1.6))
            began = time.monotonic()
            self.appliance.start()
            ready = time.monotonic() - began
            self.assertLess(ready, 10)
            again, found = self.told()
            self.assertEqual(again, validity)
            for uid, (subject, flags) in known.items():
                self.assertEqual(found[uid][0], subject)
                self.assertLessEqual(flags, found[uid][1])
            subjects = {subject.decode(): flags for subject, flags in found.values()}
            lost = set(kept) - set(subjects)
            self.assertEqual(lost, set())
            for subject, flags in kept.items():
                self.assertLessEqual(flags, subjects[subject], subject)
            in_order = sorted(found, key=int)
            for number in self.answered:
                self.assertIn(b"\\Answered", found[in_order[number - 1]][1], number)
            waiting = {message["id"] for message in json.loads(self.appliance.cli("queue", "list", "--json"))}
            self.assertLessEqual(set(self.submitted), waiting)
            known = found
            print(
                f"killed with {len(kept)} kept, {len(self.answered)} flagged, {len(self.submitted)} submitted; ready after {ready:.2f} s"
            )
        self.assertGreater(len(kept), 60)
        self.calm()

    def load(self, round_number: int, kept: dict[str, frozenset[bytes]], seconds: float) -> None:
        """Five strangers, two who append, one who sets flags, one who submits; SIGKILL in the middle of it."""
        threads = [threading.Thread(target=self.bring, args=(f"in {round_number}.{n}", kept)) for n in range(5)]
        threads += [threading.Thread(target=self.put, args=(f"put {round_number}.{n}", kept)) for n in range(2)]
        threads += [threading.Thread(target=self.flag, args=(round_number,)), threading.Thread(target=self.send_away)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.appliance.kill()
        for thread in threads:
            thread.join(30)
            self.assertFalse(thread.is_alive())

    def bring(self, name: str, kept: dict[str, frozenset[bytes]]) -> None:
        """Over SMTP, one connection, small and large ones."""
        try:
            with Peer(self.appliance.ports["smtp"]) as peer:
                peer.hello()
                for number in range(100_000):
                    if not peer.envelope("stranger@example.org", "ann@example.test").startswith("250"):
                        return
                    lines = 6000 if number % 10 == 9 else 20
                    if not peer.data(letter(f"{name}.{number}", lines)).startswith("250"):
                        return
                    kept[f"{name}.{number}"] = frozenset()
        except OSError:
            return

    def put(self, name: str, kept: dict[str, frozenset[bytes]]) -> None:
        """By APPEND with flags."""
        try:
            with Peer(self.appliance.ports["imaps"], tls=True) as peer:
                peer.line()
                peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
                for number in range(100_000):
                    message = letter(f"{name}.{number}", 5)
                    command = b"APPEND INBOX (\\Flagged mine) {%d+}\r\n" % len(message)
                    if not peer.ask(command + message)[-1:][0].startswith(b"a OK"):
                        return
                    kept[f"{name}.{number}"] = frozenset({b"\\Flagged", b"mine"})
        except (OSError, IndexError):
            return

    def send_away(self) -> None:
        """Submission to the outside, where nobody answers: it stays in the queue."""
        try:
            with Peer(self.appliance.ports["submissions"], tls=True) as peer:
                peer.hello()
                peer.auth_plain("ann@example.test", PASSWORD)
                for number in range(100_000):
                    peer.envelope("ann@example.test", f"aunt{number}@example.com")
                    reply = peer.data(b"From: ann@example.test\r\nSubject: out\r\n\r\nx\r\n")
                    if not reply.startswith("250"):
                        return
                    self.submitted.append(reply.split()[-1])
        except OSError:
            return

    def flag(self, round_number: int) -> None:
        """STORE on old messages, one after the other."""
        try:
            with Peer(self.appliance.ports["imaps"], tls=True) as peer:
                peer.line()
                peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
                peer.ask("SELECT INBOX")
                for number in range(round_number * 2000, round_number * 2000 + 2000):
                    said = peer.ask(f"STORE {number + 1} +FLAGS (\\Answered)")
                    if not said or not said[-1].startswith(b"a OK"):
                        return
                    self.answered.append(number + 1)
        except OSError:
            return
