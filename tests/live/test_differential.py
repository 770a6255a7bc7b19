"""The same random commands to Dovecot and to us, on equal mailboxes: the answers say the same."""

from __future__ import annotations

import os
import random
import re
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.peers import Peer, dovecot
from tests.live.appliance import CHECKOUT, Appliance, free_ports, missing
from tests.live.differential import ACCEPTED, BOXES, Script, comparable, letter, only_ties, settle
from tests.live.talker import Talker

PASSWORD = "correct horse battery"
COMMANDS = int(os.environ.get("MAILAPPLIANCE_DIFFERENTIAL", "400"))
SEEDS = (1, 2, 3)


def tree(root: Path, seed: int) -> None:
    """A Maildir of five mailboxes with UIDs."""
    rng = random.Random(seed)
    number = 0
    for at, box in enumerate(BOXES):
        folder = root if box == "INBOX" else root / f".{box}"
        for place in ("cur", "new", "tmp"):
            (folder / place).mkdir(parents=True, exist_ok=True)
        lines = []
        for uid in range(1, 1 + rng.randint(5, 25)):
            octets = letter(rng, number).replace(b"\r\n", b"\n")
            wire = len(octets) + octets.count(b"\n")
            base = f"{1_600_000_000 + number}.M{number}P1.h,S={len(octets)},W={wire}"
            path = folder / "cur" / f"{base}:2,{''.join(sorted(rng.sample('DFRS', rng.randint(0, 2))))}"
            path.write_bytes(octets)
            os.utime(path, (1_600_000_000 + 40_000 * number, 1_600_000_000 + 40_000 * number))
            lines.append(f"{uid} :{base}\n")
            number += 1
        head = f"3 V{1_500_000_000 + at} N{len(lines) + 1} G{at + 1:032x}\n"
        (folder / "dovecot-uidlist").write_text(head + "".join(lines))
        if box != "INBOX":
            (folder / "maildirfolder").touch()
    (root / "subscriptions").write_text("V\t2\n\n" + "".join(box.replace(".", "\t") + "\n" for box in BOXES))


class DifferentialTests(SynchronousTestCase):
    """Two servers, one script."""

    def both(self, seed: int) -> tuple[Talker, Talker]:
        reason = missing("dovecot", "openssl") or ("" if os.geteuid() == 0 else "needs root")
        if reason:
            self.skipTest(reason)
        folder = Path(tempfile.mkdtemp(prefix="differential-"))
        self.addCleanup(shutil.rmtree, folder, True)
        folder.chmod(0o755)
        theirs = folder / "old" / "Maildir"
        tree(theirs, seed)
        appliance = Appliance(folder / "ours")
        self.addCleanup(appliance.kill)
        appliance.start()
        appliance.people()
        appliance.stop()
        ours = appliance.maildir("ann@example.test")
        shutil.rmtree(ours.parent, ignore_errors=True)
        shutil.copytree(theirs, ours)
        (ours / "mailappliance-special").touch()
        appliance.start()
        (port,) = free_ports(1)
        peer: Peer = dovecot(folder / "dovecot", theirs, port)
        self.addCleanup(peer.stop)
        self.appliance = appliance
        self.port = port
        second = Talker(appliance.ports["imaps"], "ann@example.test", PASSWORD)
        self.addCleanup(second.close)
        return self.their_connection(), second

    def their_connection(self) -> Talker:
        talker = Talker(self.port, "bench", "pass")
        self.addCleanup(talker.close)
        return talker

    def play(self, seed: int) -> list[str]:
        """Differences."""
        first, second = self.both(seed)
        script = Script(seed)
        script.heard(first.say(b"SELECT INBOX"))
        second.say(b"SELECT INBOX")
        differences = []
        for at in range(COMMANDS):
            command = script.command()
            try:
                answer = first.say(command)
            except ConnectionError:  # Dovecot has died of it (an assertion of its own): it is asked something else
                first = self.their_connection()
                self.assertEqual(first.say(b"SELECT " + script.box.encode()).status, "OK")
                continue
            answers = [answer, second.say(command)]
            # What one tells now and the other with the next answer is settled before anything is compared by number.
            settled = [first.say(b"NOOP"), second.say(b"NOOP")]
            script.heard(answers[0])
            script.heard(settled[0])
            theirs, ours = (comparable(command, answer) for answer in answers)
            settle(command, theirs, ours)
            if theirs != ours:
                envelopes = first.say(b"FETCH 1:* (UID ENVELOPE)").of("FETCH") if script.exists else []
                if "sort" in theirs and only_ties(command, envelopes, theirs["sort"], ours.get("sort", [])):
                    continue
                what = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
                lines = [f"{name}: {_short(theirs.get(name), ours.get(name))}" for name in what]
                if {"sort", "thread"} & set(what):
                    lines.append(" ".join(f"{n}/{pairs[1]}={pairs[3][0]!r},{pairs[3][1]!r}" for n, pairs in envelopes))
                differences.append(
                    f"{seed}.{at} {command[:200]!r} {answers[0].text} | {answers[1].text}\n   " + "\n   ".join(lines)
                )
        self.assertEqual(self.appliance.tracebacks(), [])
        return differences

    def test_the_same(self) -> None:
        """Hundreds of commands, three seeds, not one difference."""
        for seed in SEEDS:
            self.assertEqual(self.play(seed), [])

    def test_accepted_differences_are_told(self) -> None:
        """docs/imap.md lists what the comparison passes over, with the reason."""
        text = (CHECKOUT / "docs" / "imap.md").read_text("utf-8")
        rows = re.findall(r"(?m)^\| `([a-z]+)` \| (.+?) \|$", text.partition("## Compared with Dovecot")[2])
        self.assertEqual(dict(rows), ACCEPTED)


def _short(theirs: object, ours: object) -> str:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        keys = [key for key in sorted({*theirs, *ours}, key=str) if theirs.get(key) != ours.get(key)][:3]
        return "; ".join(f"{key}: {_short(theirs.get(key), ours.get(key))}" for key in keys)
    return f"{str(theirs)[:400]} <> {str(ours)[:400]}"
