"""Dovecot and we over one Maildir, in turns and both at once: nobody who looks sees another UID, flag or keyword."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.peers import Peer, dovecot
from tests.live.appliance import Appliance, environment, free_ports, missing
from tests.live.differential import letter
from tests.live.talker import Talker

PASSWORD = "correct horse battery"
NOBODY = 65534
# As Dovecot's own user, so that each can read what the other writes; the checkout may lie where only root can look.
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=+dac_override,+dac_read_search",
    "--ambient-caps=+dac_override,+dac_read_search", "--",
)  # fmt: skip
WORDS = tuple(f"word{number}" for number in range(32))

State = dict[int, tuple[frozenset[str], bytes]]  # flags and Message-ID by UID


def look(talker: Talker, box: str) -> tuple[int, State]:
    """UIDVALIDITY and what is in it."""
    opened = talker.say(b"EXAMINE " + box.encode())
    assert opened.status == "OK", opened.text
    said = " ".join(str(one[1]) for one in opened.untagged if one[0] == "OK")
    validity = int(re.findall(r"UIDVALIDITY (\d+)", said)[0])
    state: State = {}
    fetched = talker.say(b"UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Message-ID)])")
    for _, pairs in fetched.of("FETCH"):
        items = dict(zip(pairs[::2], pairs[1::2], strict=True))
        if "UID" not in items or len(items) < 3:
            continue
        header = next(value for name, value in items.items() if name.startswith("BODY["))
        flags = frozenset(flag.lower() for flag in items["FLAGS"] if flag != "\\Recent")
        state[int(items["UID"])] = flags, header.strip()
    return validity, state


class TogetherCase(SynchronousTestCase):
    """Ann's Maildir, and two servers that can be started over it."""

    def setUp(self) -> None:
        reason = missing("dovecot", "openssl", "setpriv") or ("" if os.geteuid() == 0 else "needs root")
        if reason:
            self.skipTest(reason)
        self.folder = Path(tempfile.mkdtemp(prefix="together-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.folder.chmod(0o755)
        self.appliance = Appliance(self.folder / "ours", within=AS_NOBODY)
        self.chown()
        self.addCleanup(self.appliance.kill)
        self.appliance.start()
        self.appliance.people()
        self.maildir = self.appliance.maildir("ann@example.test")
        self.rng = random.Random(7)
        self.number = 0
        self.named: dict[tuple[str, int, int], bytes] = {}  # which message a UID has named, for ever

    def chown(self) -> None:
        subprocess.run(["chown", "-R", "nobody:nogroup", str(self.folder / "ours")], check=True)

    def ours(self) -> Talker:
        talker = Talker(self.appliance.ports["imaps"], "ann@example.test", PASSWORD)
        self.addCleanup(talker.close)
        return talker

    def theirs(self) -> tuple[Talker, Peer]:
        (port,) = free_ports(1)
        for folder in (self.maildir, *self.maildir.parents[:4]):
            folder.chmod(0o755)
        peer = dovecot(self.folder / f"dovecot{port}", self.maildir, port)
        self.addCleanup(peer.stop)
        talker = Talker(port, "bench", "pass")
        self.addCleanup(talker.close)
        return talker, peer

    def append(self, talker: Talker, box: str, *flags: str) -> None:
        octets = letter(self.rng, self.number)
        self.number += 1
        head = f"APPEND {box} ({' '.join(flags)}) {{{len(octets)}+}}\r\n".encode()
        answer = talker.say(head + octets)
        self.assertEqual(answer.status, "OK", answer.text)

    def do(self, talker: Talker, *commands: bytes) -> None:
        for command in commands:
            answer = talker.say(command)
            self.assertEqual(answer.status, "OK", f"{command!r}: {answer.text}")

    def seen(self, talker: Talker, box: str = "INBOX") -> tuple[int, State]:
        """As ``look``; and no UID has ever named another message."""
        validity, state = look(talker, box)
        for uid, (_, name) in state.items():
            self.assertEqual(self.named.setdefault((box, validity, uid), name), name, f"{box} UID {uid}")
        return validity, state

    def fill(self, talker: Talker) -> None:
        for number in range(12):
            self.append(
                talker, "INBOX", *self.rng.sample(("\\Seen", "\\Flagged", "blue", "$Forwarded", "red"), number % 4)
            )
        self.do(talker, b"CREATE Work", b"CREATE Work.2024", b"SUBSCRIBE Work.2024")
        for number in range(6):
            self.append(talker, "Work", WORDS[number])


class InTurnsTests(TogetherCase):
    """Ours, Dovecot's, ours again."""

    def mbsync(self, port: int, user: str, password: str) -> str:
        """Sync into one local tree; what it says it has done."""
        config = self.folder / "mbsyncrc"
        local = self.folder / "local"
        local.mkdir(exist_ok=True)
        config.write_text(f"""
IMAPAccount a
Host {"localhost" if user == "bench" else "127.0.0.1"}
Port {port}
User {user}
PassCmd "echo '{password}'"
SSLType IMAPS
CertificateFile {self.certificate(port)}

IMAPStore far
Account a

MaildirStore near
Path {local}/
Inbox {local}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX Work
Create Near
Sync All
Expunge Both
SyncState *
""")
        done = subprocess.run(
            ["mbsync", "-c", str(config), "-V", "all"], capture_output=True, text=True, env=environment(), check=False,
            timeout=120,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        return done.stdout + done.stderr

    def certificate(self, port: int) -> Path:
        path = self.folder / f"{port}.pem"
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-showcerts"], input="", capture_output=True,
            text=True, check=False, timeout=30,
        )  # fmt: skip
        path.write_text("".join(re.findall(r"-----BEGIN CERT.*?-----END CERTIFICATE-----\n", done.stdout, re.DOTALL)))
        return path

    def test_three_turns(self) -> None:
        """UIDVALIDITY, UIDs, flags and keywords at every change of hands; what the other did is there."""
        first = self.ours()
        self.fill(first)
        before = {box: self.seen(first, box) for box in ("INBOX", "Work", "Work.2024")}
        first.close()
        self.assertEqual(self.appliance.stop(), 0)
        second, peer = self.theirs()
        for box, state in before.items():
            self.assertEqual(self.seen(second, box), state, box)
        self.do(second, b"SELECT INBOX", b"UID STORE 3 +FLAGS (\\Answered green)", b"UID STORE 2 -FLAGS (\\Seen)")
        self.do(second, b"UID MOVE 4 Work", b"UID COPY 5:6 Work", b"UID STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE")
        self.append(second, "INBOX", "\\Draft", "green")
        after = {box: self.seen(second, box) for box in before}
        second.close()
        peer.stop()
        self.appliance.start()
        third = self.ours()
        for box, state in after.items():
            self.assertEqual(self.seen(third, box), state, box)
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("store.reset", self.appliance.log())

    def test_keywords_beyond_26(self) -> None:
        """Ours know 32; Dovecot sees the first 26, and the others are still there when it has been at work."""
        first = self.ours()
        for word in WORDS:
            self.append(first, "INBOX", word)
        before = self.seen(first)
        first.close()
        self.appliance.stop()
        second, peer = self.theirs()
        validity, state = self.seen(second)
        self.assertEqual(validity, before[0])
        lettered = {uid: flags for uid, (flags, _) in before[1].items() if flags & set(WORDS[:20])}
        self.assertEqual({uid: state[uid][0] for uid in lettered}, lettered)
        self.do(second, b"SELECT INBOX", b"STORE 1:* +FLAGS (\\Flagged)")
        second.close()
        peer.stop()
        self.appliance.start()
        expected = {uid: (flags | {"\\flagged"}, name) for uid, (flags, name) in before[1].items()}
        self.assertEqual(self.seen(self.ours())[1], expected)

    def test_mbsync_sees_no_change(self) -> None:
        """A client's cache is good at the other server: nothing is fetched, nothing pushed."""
        if reason := missing("mbsync"):
            self.skipTest(reason)
        first = self.ours()
        self.fill(first)
        first.close()
        self.mbsync(self.appliance.ports["imaps"], "ann@example.test", PASSWORD)
        again = self.mbsync(self.appliance.ports["imaps"], "ann@example.test", PASSWORD)
        self.appliance.stop()
        second, peer = self.theirs()
        moved = self.mbsync(peer.port, "bench", "pass")
        second.close()
        peer.stop()
        self.appliance.start()
        back = self.mbsync(self.appliance.ports["imaps"], "ann@example.test", PASSWORD)
        for said in (again, moved, back):
            self.assertNotRegex(said, r"UIDVALIDITY|pulling|pushing|trashing|expunging [1-9]")
            self.assertNotRegex(said, r"(?m)(?:Far|Near): \+[1-9]")


class BothAtOnceTests(TogetherCase):
    """The same tree, open in both."""

    def test_a_while(self) -> None:
        """Random changes on either side; soon both show the same, and no UID ever names another message."""
        first = self.ours()
        self.fill(first)
        second, _ = self.theirs()
        for turn in range(60):
            talker = self.rng.choice((first, second))
            _, state = self.seen(talker)
            uid = self.rng.choice(sorted(state) or [1])
            other = self.rng.choice(sorted(state) or [1])
            self.do(talker, b"SELECT INBOX")
            for command in self.rng.choices(
                (
                    b"UID STORE %d +FLAGS (\\Seen blue)" % uid,
                    b"UID STORE %d -FLAGS (\\Seen red)" % uid,
                    b"UID STORE %d:%d FLAGS (\\Flagged word%d)" % (uid, other, turn % 24),
                    b"UID STORE %d +FLAGS (\\Deleted)" % uid,
                    b"EXPUNGE",
                    b"UID COPY %d INBOX" % uid,
                    b"UID COPY %d Work" % uid,
                    b"NOOP",
                ),
                k=2,
            ):
                talker.say(command)  # the other side may have been quicker: any answer will do
            self.append(talker, "INBOX", *self.rng.sample(("blue", "red", "\\Seen"), 1))
            if self.rng.random() < 0.3:
                self.append(first if talker is second else second, "INBOX")
            self._same(first, second, turn)
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("store.reset", self.appliance.log())

    def _same(self, first: Talker, second: Talker, turn: int) -> None:
        end = time.monotonic() + 15
        while True:
            ours, theirs = self.seen(first), self.seen(second)
            if ours == theirs:
                return
            if time.monotonic() > end:
                self.assertEqual(ours, theirs, f"turn {turn}")
            time.sleep(0.1)


class LossTests(TogetherCase):
    """Caches, lists and whole weeks that get lost."""

    def refill(self) -> tuple[int, State]:
        talker = self.ours()
        self.fill(talker)
        for word in WORDS:
            self.append(talker, "INBOX", word)
        self.do(talker, b"SELECT INBOX", b"UID STORE 2:4 +FLAGS (\\Deleted)", b"EXPUNGE")
        state = self.seen(talker)
        talker.close()
        self.appliance.stop()
        return state

    def lose(self, pattern: str) -> None:
        found = list(self.maildir.parent.glob(pattern))
        self.assertTrue(found, pattern)
        for path in found:
            path.unlink()

    def test_lost_index(self) -> None:
        """Everything the files tell is there again."""
        before = self.refill()
        self.lose("index.db*")
        self.appliance.start()
        self.assertEqual(self.seen(self.ours()), before)

    def test_lost_uidlist(self) -> None:
        """The index remembers the UIDs; Dovecot then sees them, too."""
        before = self.refill()
        self.lose("Maildir/dovecot-uidlist")
        self.appliance.start()
        talker = self.ours()
        self.assertEqual(self.seen(talker), before)
        talker.close()
        self.appliance.stop()
        second, _ = self.theirs()
        self.assertEqual(sorted(self.seen(second)[1]), sorted(before[1]))

    def test_lost_both(self) -> None:
        """Then the UIDs are new, under another UIDVALIDITY."""
        before = self.refill()
        self.lose("Maildir/dovecot-uidlist")
        self.lose("index.db*")
        self.appliance.start()
        after = self.seen(self.ours())
        self.assertNotEqual(after[0], before[0])
        self.assertEqual(sorted(map(str, after[1].values())), sorted(map(str, before[1].values())))

    def test_restored_backup(self) -> None:
        """A Maildir of last week under today's index: what was told since names nothing else."""
        self.refill()
        backup = self.folder / "backup"
        shutil.copytree(self.maildir, backup)
        self.appliance.start()
        talker = self.ours()
        for _ in range(5):
            self.append(talker, "INBOX", "later")
        self.seen(talker)
        self.do(talker, b"SELECT INBOX", b"UID STORE 10:12 +FLAGS (\\Flagged)")
        talker.close()
        self.appliance.stop()
        shutil.rmtree(self.maildir)
        shutil.copytree(backup, self.maildir)
        self.chown()
        self.appliance.start()
        talker = self.ours()
        for _ in range(5):
            self.append(talker, "INBOX", "restored")
        self.seen(talker)
        talker.close()
        self.appliance.stop()
        second, _ = self.theirs()
        self.append(second, "INBOX")
        self.seen(second)
