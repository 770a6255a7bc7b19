"""Half an hour of everything at once: does memory, descriptors or files grow?

    python -m bench.soak [--minutes 30] [--settled 10] [--rate 1.0] [--every 15]

Strangers bring mail on port 25 (small ones, now and then 3 MB), users submit to one another and to the outside, mail
for the outside leaves through a sink, and IMAP sessions come, look, fetch, mark, delete and go. Mailboxes are emptied
all the time, so that the load is the same in the last minute as in the first. Every ``--every`` seconds the PSS of the
process, its descriptors and threads, and the files in its folders for temporary ones are noted. The figures from
minute ``--settled`` on are laid on a straight line, and its growth until the end is told in per cent.
"""

from __future__ import annotations

import argparse
import json
import random
import smtplib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.kit.peer import Peer
from tests.live.appliance import Appliance, anything_goes, free_ports

BENCH = Path(__file__).with_name("smtp_bench.py")
PASSWORD = "correct horse battery"
DOMAIN = "example.test"
PEOPLE = tuple(f"user{number}" for number in range(8))


class Load:
    """Threads that each do one thing at a pace, until told to stop."""

    def __init__(self, appliance: Appliance, rate: float) -> None:
        self.appliance = appliance
        self.rate = rate
        self.done: Counter[str] = Counter()
        self.over = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, name: str, what: Callable[[random.Random], None], a_second: float) -> None:
        """Do ``what`` so often."""

        def go() -> None:
            chance = random.Random(name)
            while not self.over.wait(chance.expovariate(a_second * self.rate)):
                try:
                    what(chance)
                    self.done[name] += 1
                except (OSError, AssertionError, smtplib.SMTPException, EOFError) as error:
                    self.done[f"{name} failed: {str(error)[:80]}"] += 1

        self._threads.append(threading.Thread(target=go, daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(30)

    # ------------------------------------------------------------ what is done

    def stranger(self, chance: random.Random) -> None:
        """A few messages in one connection, to one or two people."""
        size = 3_000_000 if chance.random() < 0.01 else chance.choice((800, 4_000, 20_000, 90_000))
        with smtplib.SMTP("127.0.0.1", self.appliance.ports["smtp"], "stranger.example", 60) as smtp:
            for _ in range(chance.randint(1, 4)):
                to = [f"{name}@{DOMAIN}" for name in chance.sample(PEOPLE, chance.randint(1, 2))]
                smtp.sendmail("somebody@stranger.example", to, letter("somebody@stranger.example", size, chance))

    def submission(self, chance: random.Random) -> None:
        """A user's message to a colleague and to somebody outside."""
        name = chance.choice(PEOPLE)
        with smtplib.SMTP("127.0.0.1", self.appliance.ports["submission"], "laptop.test", 60) as smtp:
            smtp.starttls(context=anything_goes())
            smtp.login(f"{name}@{DOMAIN}", PASSWORD)
            to = [f"{chance.choice(PEOPLE)}@{DOMAIN}", f"friend{chance.randint(0, 50)}@elsewhere.test"]
            smtp.sendmail(f"{name}@{DOMAIN}", to, letter(f"{name}@{DOMAIN}", chance.choice((1_000, 30_000)), chance))

    def reader(self, chance: random.Random) -> None:
        """Look, fetch, search, mark, and throw away all but the last fifty."""
        with Peer(self.appliance.ports["imaps"], tls=True) as peer:
            peer.line()
            name = chance.choice(PEOPLE)
            assert peer.ask(f'LOGIN {name}@{DOMAIN} "{PASSWORD}"')[-1].startswith(b"a OK")
            lines = peer.ask("SELECT INBOX")
            there = next((int(line.split()[1]) for line in lines if line.strip().endswith(b"EXISTS")), 0)
            peer.ask("FETCH 1:* (UID FLAGS)") if there else None
            for _ in range(min(there, 3)):
                peer.ask(f"FETCH {chance.randint(1, there)} (ENVELOPE BODYSTRUCTURE)")
                peer.ask(f"UID SEARCH SUBJECT {chance.randint(0, 99)}")
            if there > 50:
                peer.ask(rf"STORE 1:{there - 50} +FLAGS.SILENT (\Deleted)")
                peer.ask("EXPUNGE")
            peer.ask("LOGOUT")


def letter(sender: str, size: int, chance: random.Random) -> bytes:
    """A message of about ``size`` octets."""
    line = b"%060d\r\n" % chance.getrandbits(60)
    head = f"From: {sender}\r\nTo: you\r\nSubject: soak {chance.randint(0, 99)}\r\n\r\n".encode()
    return head + line * (size // len(line) + 1)


def noted(appliance: Appliance) -> dict[str, float]:
    """The figures of this moment."""
    folders = [appliance.state / "spool", *appliance.state.glob("mail/*/*/Maildir/tmp"), appliance.state / "queue"]
    files = sum(1 for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file())
    status = Path(f"/proc/{appliance.pid}/status").read_text()
    return {
        "pss_kib": appliance.pss_kib(),
        "descriptors": sum(1 for _ in Path(f"/proc/{appliance.pid}/fd").iterdir()),
        "threads": int(status.partition("Threads:")[2].split()[0]),
        "temporary_files": files,
    }


def growth(moments: list[float], figures: list[float]) -> float:
    """Per cent from the first to the last of the straight line through them."""
    if len(moments) < 3 or len(set(figures)) == 1:
        return 0.0
    slope, start = statistics.linear_regression(moments, figures)
    first, last = start + slope * moments[0], start + slope * moments[-1]
    return 100 * (last - first) / max(first, 1.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--settled", type=float, default=10)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--every", type=float, default=15)
    options = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="soak-"))
    (sink_port,) = free_ports(1)
    sink = subprocess.Popen([sys.executable, str(BENCH), "sink", "--port", str(sink_port)], stdout=subprocess.DEVNULL)
    extra = (
        f'[relay]\nsmarthost = "127.0.0.1:{sink_port}"\ntls = "none"\nfirst_retry = 5\n'
        '[guard]\nexempt = ["127.0.0.0/8"]\n'
        "[store]\nundelete_days = 0\n"
    )
    try:
        with Appliance(room, extra=extra) as appliance:
            appliance.people(DOMAIN, *PEOPLE, password=PASSWORD)
            load = Load(appliance, options.rate)
            for number in range(3):
                load.add(f"stranger {number}", load.stranger, 3)
            load.add("submission", load.submission, 1.5)
            for number in range(2):
                load.add(f"reader {number}", load.reader, 1.5)
            load.start()
            began = time.monotonic()
            rows: list[tuple[float, dict[str, float]]] = []
            while (minutes := (time.monotonic() - began) / 60) < options.minutes:
                time.sleep(options.every)
                rows.append((minutes, noted(appliance)))
                if len(rows) % 4 == 0:
                    print(f"{minutes:5.1f} min  {json.dumps(rows[-1][1])}  {sum(load.done.values())} done", flush=True)
            load.stop()
            print(json.dumps(dict(sorted(load.done.items())), indent=1))
            settled = [(minutes, figures) for minutes, figures in rows if minutes >= options.settled]
            moments = [minutes for minutes, _ in settled]
            for name in rows[0][1]:
                figures = [values[name] for _, values in settled]
                print(
                    f"{name:16} from minute {options.settled:g}: first {figures[0]:.0f}, least {min(figures):.0f}, "
                    f"most {max(figures):.0f}, last {figures[-1]:.0f}, growth {growth(moments, figures):+.2f} %"
                )
            print("tracebacks:", appliance.tracebacks(), "broken:", appliance.log().count("journal.broken"))
    finally:
        sink.terminate()
        sink.wait(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
