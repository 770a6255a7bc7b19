"""The whole table of mail coming in: sizes, sessions, one message a connection or many, in clear, by STARTTLS, by AUTH.

    python -m bench.smtp --cells [--modes plain,starttls,auth] [--sizes 1k,10k,100k] [--sessions 1,10,50]
        [--connections one,many] [--peers postfix,exim] [--rounds 3] [--minutes 14] [--flush syncfs]

Every cell is taken ``--rounds`` times, ours and the peers by turns, and shows medians. How many messages a turn brings
follows from the speed seen so far, so that all of it ends within ``--minutes``. AUTH is PLAIN under STARTTLS on
submission, the peers ask Dovecot; argon2id costs the same on both sides. CPU is that of everything a server has
started. The reply is the time from the first octet of content to the 250. Flushes are the whole machine's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import peers
from bench.injection import flatten, inject
from bench.processor import Account
from mailbox_appliance.users.hashing import HashSettings, make_hash
from tests.live.appliance import Appliance, free_ports

PASSWORD = "correct horse battery"
USERS = [f"user{number}@example.test" for number in range(10)]
NAMES = {"plain": "port 25", "starttls": "port 25, STARTTLS", "auth": "STARTTLS + AUTH"}
LONGEST_ARRIVAL = 1.2  # seconds after which ours has numbered what lies in a mailbox that nobody watches
SHORTEST = 0.3  # seconds of a turn, even when the time is up


@dataclass
class Server:
    """One of those that are compared."""

    name: str
    ports: dict[str, int]
    maildirs: list[str]
    account: Account
    stop: Callable[[], None]
    rates: dict[tuple[str, int], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    mode: str
    connections: str
    size: str
    sessions: int


@dataclass
class Taken:
    """What the turns of one server in one cell gave."""

    rates: list[float] = field(default_factory=list)
    replies: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    flushes: list[float] = field(default_factory=list)
    failed: int = 0


class Pace:
    """How long a turn may take, so that all of them end in time."""

    def __init__(self, seconds: float, turns: int) -> None:
        self.began = time.monotonic()
        self._end = self.began + seconds
        self._left = turns
        self._beside = 0.0  # what a turn takes beyond its messages, as seen so far
        self._asked = 0.0
        self._last = 0.0

    def seconds(self) -> float:
        """For the next turn: its share of what is left, less what the last ones took beyond their messages."""
        now = time.monotonic()
        if self._asked:
            self._beside += 0.1 * (now - self._asked - self._last - self._beside)
        else:
            self._beside = 1.0
        share = (self._end - now) / max(self._left, 1)
        self._asked, self._left = now, self._left - 1
        self._last = max(share - self._beside, SHORTEST)
        return self._last


def ours(room: Path, flush: str) -> tuple[Server, Appliance]:
    account = Account("ours")
    flushing = f'[store]\nflush = "{flush}"\n' if flush else ""
    limits = "[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
    appliance = Appliance(room / "ours", extra=f"{flushing}[checks]\nenabled = false\n{limits}")
    appliance.start()
    appliance.people("example.test", *(user.partition("@")[0] for user in USERS), password=PASSWORD)
    appliance.stop()
    with account.joined():
        appliance.start(environ={"MAILAPPLIANCE_LATENESS": "1"})
    account.pid = appliance.pid
    ports = {
        "plain": appliance.ports["smtp"],
        "starttls": appliance.ports["smtp"],
        "auth": appliance.ports["submission"],
    }
    maildirs = [str(appliance.maildir(user)) for user in USERS]
    return Server("ours", ports, maildirs, account, lambda: None), appliance


def _people() -> dict[str, str]:
    cost = HashSettings()
    return {user: "{ARGON2ID}" + make_hash(PASSWORD.encode(), cost) for user in USERS}


def postfix(room: Path) -> Server:
    account = Account("postfix")
    (port,) = free_ports(1)
    cert, key = peers.certificate(room / "certificate")
    with account.joined():
        judge, sasl = peers.dovecot_sasl(room / "postfix-sasl", _people())
        more = (
            f"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {cert}\nsmtpd_tls_key_file = {key}\n"
            f"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = {sasl}\n"
        )
        peer = peers.postfix(room / "postfix", room / "postfix-mail", port, more=more)
    account.pid = peer.pid

    def stop() -> None:
        peer.stop()
        judge.stop()

    return Server("postfix", dict.fromkeys(NAMES, port), [str(room / "postfix-mail")], account, stop)


def exim(room: Path, root: Path) -> Server:
    account = Account("exim")
    (port,) = free_ports(1)
    cert, key = peers.certificate(room / "certificate")
    with account.joined():
        judge, sasl = peers.dovecot_sasl(room / "exim-sasl", _people())
        tls = f"tls_advertise_hosts = *\ntls_certificate = {cert}\ntls_privatekey = {key}"
        authenticators = (
            f"plain:\n  driver = dovecot\n  public_name = PLAIN\n  server_socket = {sasl}\n  server_set_id = $auth1\n"
        )
        peer = peers.exim(root, room / "exim", room / "exim-mail", port, more=tls, authenticators=authenticators)
    account.pid = peer.pid

    def stop() -> None:
        peer.stop()
        judge.stop()

    return Server("exim", dict.fromkeys(NAMES, port), [str(room / "exim-mail")], account, stop)


def turn(server: Server, cell: Cell, count: int, taken: Taken) -> None:
    more = ["--per-connection", "1"] if cell.connections == "one" else []
    if cell.mode != "plain":
        more.append("--starttls")
    if cell.mode == "auth":
        more += ["--auth", f"{USERS[0]}:{PASSWORD}", "--sender", USERS[0]]
    before = server.account.seconds()
    result = inject(server.ports[cell.mode], server.maildirs, cell.sessions, cell.size, count, *more)
    settle(server)
    flat = flatten(result)
    rate = float(flat.get("delivered_per_s") or 0)  # type: ignore[arg-type]
    if not rate:
        taken.failed += 1
        return
    server.rates[cell.mode + cell.connections + cell.size, cell.sessions] = rate
    taken.rates.append(rate)
    taken.replies.append(float(flat.get("reply_ms.p99") or 0))  # type: ignore[arg-type]
    taken.processor.append((server.account.seconds() - before) / count * 1000)
    taken.flushes.append(float(flat.get("flushes") or 0))  # type: ignore[arg-type]


def settle(server: Server) -> None:
    """What a server does afterwards is its own time, not the next one's."""
    if server.name == "ours":
        time.sleep(LONGEST_ARRIVAL)
    for _ in range(20):
        before = server.account.seconds()
        time.sleep(0.1)
        if server.account.seconds() - before < 0.004:
            return


def count_for(server: Server, cell: Cell, seconds: float) -> int:
    """So many messages that a turn takes about ``seconds``; a guess from the cell before when this one is new."""
    known = server.rates.get((cell.mode + cell.connections + cell.size, cell.sessions))
    rate = known or min(
        [100.0, *(rate / 2 for (_, sessions), rate in server.rates.items() if sessions == cell.sessions)]
    )
    least = max(30, 2 * cell.sessions)
    return int(min(max(rate * seconds, least), 3000))


def table(rows: dict[Cell, dict[str, Taken]], names: list[str], flush: str) -> str:
    """Markdown."""
    others = [name for name in names if name != "ours"]
    head = ["way", "connection", "size", "sessions", "ours"]
    for name in others:
        head += [name, "ratio"]
    head += [f"p99 of the reply, {' / '.join(names)}", f"CPU a message, {' / '.join(names)}"]
    head.append(f"flushes, {' / '.join(names)} ({flush or 'fsync'})")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for cell, by_server in rows.items():
        lines.append("| " + " | ".join(_row(cell, by_server, names, others)) + " |")
    return "\n".join(lines)


def _row(cell: Cell, by_server: dict[str, Taken], names: list[str], others: list[str]) -> list[str]:
    def median(name: str, what: str) -> float:
        values = getattr(by_server[name], what) if name in by_server else []
        return statistics.median(values) if values else float("nan")

    mine = median("ours", "rates")
    row = [NAMES[cell.mode], cell.connections, cell.size, str(cell.sessions), f"{mine:.0f}/s"]
    for name in others:
        row += [f"{median(name, 'rates'):.0f}/s", f"{mine / median(name, 'rates'):.2f}"]
    for what, form in (("replies", "{:.1f}"), ("processor", "{:.2f}"), ("flushes", "{:.2f}")):
        unit = " ms" if what != "flushes" else ""
        row.append(" / ".join(form.format(median(name, what)) for name in names) + unit)
    failed = sum(one.failed for one in by_server.values())
    if failed:
        row[0] += f" ({failed} turns failed)"
    return row


def run(options: argparse.Namespace) -> None:
    """The table, mode by mode: each mode has fresh servers, so that no folder grows without end."""
    wanted = [name for name in options.peers.split(",") if name]
    modes, connections = options.modes.split(","), options.connections.split(",")
    sizes, sessions = options.sizes.split(","), [int(text) for text in options.sessions.split(",")]
    root = peers.exim_files(Path(tempfile.gettempdir()) / "bench-exim") if "exim" in wanted else None
    if os.geteuid() or not shutil.which("postfix") or not shutil.which("dovecot"):
        wanted = []
    if root is None and "exim" in wanted:
        wanted.remove("exim")
        print("Exim's packages cannot be had: no such column")
    names = ["ours", *wanted]
    turns = len(modes) * len(connections) * len(sizes) * len(sessions) * options.rounds * len(names)
    pace = Pace(options.minutes * 60, turns)
    print(f"load average {os.getloadavg()[0]:.1f}, {turns} turns", flush=True)
    rows: dict[Cell, dict[str, Taken]] = {}
    late: list[str] = []
    for mode in modes:
        room = Path(tempfile.mkdtemp(prefix=f"bench-{mode}-"))
        room.chmod(0o755)
        servers: list[Server] = []
        appliance: Appliance | None = None
        try:
            mine, appliance = ours(room, options.flush)
            servers.append(mine)
            if "postfix" in wanted:
                servers.append(postfix(room))
            if root is not None and "exim" in wanted:
                servers.append(exim(room, root))
            for cell in [Cell(mode, c, size, s) for c in connections for size in sizes for s in sessions]:
                rows[cell] = {server.name: Taken() for server in servers}
                for number in range(options.rounds):
                    for server in servers[number % len(servers) :] + servers[: number % len(servers)]:
                        turn(server, cell, count_for(server, cell, pace.seconds()), rows[cell][server.name])
                print("| " + " | ".join(_row(cell, rows[cell], names, names[1:])) + " |", flush=True)
            late.append(f"{NAMES[mode]}: PSS {appliance.pss_kib() / 1024:.1f} MiB")
        finally:
            if appliance is not None:
                appliance.stop()
                late[-1:] = [f"{text}, {lateness(appliance)}" for text in late[-1:]]
            for server in servers:
                server.stop()
                server.account.close()
            shutil.rmtree(room, ignore_errors=True)
    print()
    print(table(rows, names, options.flush))
    print()
    print("\n".join(late))
    print(f"load average {os.getloadavg()[0]:.1f}, {(time.monotonic() - pace.began) / 60:.1f} minutes")


def lateness(appliance: Appliance) -> str:
    """What the appliance has said about its own reactor, and whether anything broke."""
    found = [
        line.partition("longest_ms=")[2].split()[0] for line in appliance.log().splitlines() if "longest_ms=" in line
    ]
    longest = max((float(text) for text in found), default=float("nan"))
    broken = appliance.tracebacks()
    return f"longest lateness of a 10 ms timer {longest:.1f} ms" + (f", {len(broken)} tracebacks" if broken else "")
