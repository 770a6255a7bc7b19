"""A real appliance in a process of its own, on loopback ports, for the live tests and the benchmarks."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PROTOCOLS = ("smtp", "submission", "submissions", "imap", "imaps", "http")


class NotStarted(AssertionError):
    """The process ended or did not say ``ready`` in time; the text is what it printed."""


def missing(*programs: str) -> str:
    """The reason to skip a test whose peer programs are not all installed; '' when they are."""
    absent = [program for program in programs if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on right now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def wait_until(true: object, seconds: float = 20.0, what: str = "it") -> None:
    """Poll the callable ``true`` until it holds; AssertionError when it never does."""
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


class Appliance:
    """One appliance with a configuration file of its own below ``folder``.

    ``extra`` is TOML put behind the basic keys; ``within`` is a command that runs another command (nsenter …).
    Use as a context manager, or call start() and stop().
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        hostname: str = "mx.example.test",
        extra: str = "",
        listen: dict[str, int] | None = None,
        address: str = "127.0.0.1",
        state: Path | None = None,
        within: Iterable[str] = (),
    ) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="appliance-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = address
        self.within = tuple(within)
        self.state = state or self.folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.ports = listen or dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True))
        self.config = self.folder / "mailappliance.toml"
        listening = "\n".join(f'{name} = ["tcp:{port}:interface={address}"]' for name, port in self.ports.items())
        self.config.write_text(f'hostname = "{hostname}"\nstate = "{self.state}"\n{extra}\n[listen]\n{listening}\n')
        self.log_path = self.folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------ life

    def start(
        self, *, seconds: float = 30.0, arguments: Iterable[str] = (), environ: dict[str, str] | None = None
    ) -> Appliance:
        """Start it and wait for ``ready``. Raises NotStarted."""
        offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, str(BIN / "twistd"), "--pidfile=", *arguments, "-n", "mailappliance", "--config", str(self.config)],
                cwd=CHECKOUT, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, **(environ or {})},
            )  # fmt: skip
        end = time.monotonic() + seconds
        while True:
            said = self.log_path.read_bytes()[offset:].decode("utf-8", "replace")
            if re.search(r"(?m) ready ", said):
                return self
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise NotStarted(said[-4000:])
            time.sleep(0.01)

    def start_watched(self) -> Appliance:
        """Start it so that it tells each second how late a timer of 10 ms was, and wait for the first such line."""
        told = self._lateness_lines()
        self.start(environ={"MAILAPPLIANCE_LATENESS": "1"})
        wait_until(lambda: len(self._lateness_lines()) > len(told), what="the first line about lateness")
        return self

    def longest_lateness(self) -> str:
        """In words, the last second too: so ask before it is stopped."""
        told = self._lateness_lines()
        wait_until(lambda: len(self._lateness_lines()) > len(told), what="the last line about lateness")
        return f"longest lateness of a 10 ms timer: {max(self._lateness_lines()):.1f} ms"

    def _lateness_lines(self) -> list[float]:
        return [float(text) for text in re.findall(r"longest_ms=([0-9.]+)", self.log())]

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(45)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a power cut would end it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)

    def __enter__(self) -> Appliance:
        return self.start()

    def __exit__(self, *_: object) -> None:
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            if self._temporary:
                shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ use

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        """Everything it has printed."""
        return self.log_path.read_text("utf-8", "replace")

    def tracebacks(self) -> list[str]:
        """Lines that begin a traceback: there should be none."""
        return [line for line in self.log().splitlines() if "Traceback" in line or "Unhandled" in line]

    def cli(self, *arguments: str, stdin: str = "", status: int | None = 0) -> str:
        """Run ``mailappliance --config … ARGUMENTS``; checks the exit status (None: any) and returns what it printed."""
        done = subprocess.run(
            [*self.within, str(BIN / "mailappliance"), "--config", str(self.config), *arguments],
            input=stdin, capture_output=True, text=True, cwd=self.folder, timeout=120, check=False,
        )  # fmt: skip
        if status is not None and done.returncode != status:
            raise AssertionError(f"{arguments}: exit {done.returncode}, wanted {status}\n{done.stdout}\n{done.stderr}")
        return done.stdout + (done.stderr if status != 0 else "")

    def people(self, domain: str = "example.test", *names: str, password: str = "correct horse battery") -> None:
        """A domain with accounts, all with one password."""
        self.cli("domain", "add", domain)
        for name in names or ("ann",):
            self.cli("account", "add", f"{name}@{domain}", stdin=password + "\n")

    def maildir(self, address: str) -> Path:
        """STATE/mail/DOMAIN/LOCALPART/Maildir."""
        local, _, domain = address.partition("@")
        return self.state / "mail" / domain / local / "Maildir"

    def pss_kib(self) -> int:
        """Proportional set size of the process and its children, KiB."""
        total = 0
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for pid in [str(self.pid), *children]:
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            total += int(re.search(r"(?m)^Pss:\s+(\d+)", text)[1])  # type: ignore[index]
        return total


def shared(make: Callable[[], Appliance]) -> Callable[[], Appliance]:
    """One running appliance for all tests of a module, made at the first call and stopped at the end of the run.

    (trial knows no setUpClass.) ``make`` returns it started.
    """

    @functools.cache
    def only() -> Appliance:
        appliance = make()
        atexit.register(appliance.__exit__)
        return appliance

    return only


def anything_goes() -> ssl.SSLContext:
    """A client context that trusts every certificate: for tests that are about something else."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def environment() -> dict[str, str]:
    """The environment for peers: no user configuration of the machine leaks in."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}
