"""The command line's side of an import: whom it asks, and what the person at the terminal sees.

The running service is asked over its control socket. When nobody listens, a child process opens the store under the
lock; a process of its own, because as root it goes on as the owner of STATE, while this one still reads the old mail.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.cli.client import Line, NobodyListens
from mailbox_appliance.config.local import load_or_local
from mailbox_appliance.config.model import Config

_PATIENCE = 20.0
_SHOWN = 20  # remarks on the terminal; the rest stands in the report
_EVERY = 5.0  # seconds between lines where nobody watches


class Terminal:
    """admin.importing.Outside."""

    def __init__(self, option: str | None) -> None:
        self._option = option
        self._config: Config | None = None
        self._child: Child | None = None

    def _loaded(self) -> Config:
        if self._config is None:
            self._config = load_or_local(self._option, os.environ, look=False)
        return self._config

    def state(self) -> str:
        return self._loaded().state

    def ask(self, noun: str, verb: str, arguments: Mapping[str, Any]) -> Result:
        deadline = time.monotonic() + _PATIENCE
        while self._child is None:
            try:
                line = Line(self._loaded().state)
            except NobodyListens:
                pass
            else:
                try:
                    return line.ask(noun, verb, arguments)
                finally:
                    line.close()
            self._child = Child.start(self._loaded())
            if self._child is None:
                if time.monotonic() > deadline:
                    raise Refused("the service holds its state but does not answer: run the import again later")
                time.sleep(0.2)
        return self._child.ask(noun, verb, arguments)

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    @contextlib.contextmanager
    def screen(self, remark: Callable[[str, str], None]) -> Iterator[Any]:
        if sys.stderr.isatty():
            with BarScreen(remark) as bars:
                yield bars
        else:
            yield PlainScreen(remark)


class Child:
    """The store, opened in a process of its own; it ends when this one does, however that happens."""

    def __init__(self, pid: int, ours: socket.socket) -> None:
        self._pid = pid
        self._socket = ours
        self._file = ours.makefile("rwb")

    @classmethod
    def start(cls, config: Config) -> Child | None:
        """None when another process holds the state. Raises Refused."""
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _serve(config, theirs)
        theirs.close()
        child = cls(pid, ours)
        said = child._read()
        if said.get("in_use"):
            child.close()
            return None
        if "refused" in said:
            child.close()
            raise Refused(said["refused"])
        return child

    def ask(self, noun: str, verb: str, arguments: Mapping[str, Any]) -> Result:
        """Raises Refused."""
        self._file.write(json.dumps([noun, verb, dict(arguments)]).encode() + b"\n")
        self._file.flush()
        said = self._read()
        if "refused" in said:
            raise Refused(said["refused"])
        return Result.from_json(said)

    def _read(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise Refused("the process that keeps the mail has ended: run the import again")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """Let it write what it holds, and end."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _serve(config: Config, theirs: socket.socket) -> NoReturn:
    """The child: one question a line, until the line is cut."""
    from mailbox_appliance.admin.lock import StateInUse
    from mailbox_appliance.admin.verbs import INNER
    from mailbox_appliance.desk import OpenDesk

    code = 1
    try:
        verbs = {(verb.noun, verb.verb): verb for verb in INNER}
        with theirs.makefile("rwb") as file:

            def say(what: Mapping[str, Any]) -> None:
                file.write(json.dumps(what).encode() + b"\n")
                file.flush()

            try:
                with OpenDesk(config) as desk:
                    say({})
                    while line := file.readline():
                        noun, verb, arguments = json.loads(line)
                        try:
                            say(desk.run(verbs[noun, verb], arguments).to_json())
                        except Refused as refused:
                            say({"refused": str(refused)})
            except StateInUse:
                say({"in_use": True})
            except Refused as refused:
                say({"refused": str(refused)})
        code = 0
    except (OSError, ValueError):
        pass
    finally:
        os._exit(code)


class _Remarks:
    def __init__(self, remark: Callable[[str, str], None]) -> None:
        self._remark = remark
        self._said = 0

    def remark(self, where: str, text: str) -> None:
        """A line for the report, the first ones for the eye as well."""
        self._remark(where, text)
        self._said += 1
        if self._said <= _SHOWN:
            self.show("".join(c if c.isprintable() else "?" for c in f"{where}: {text}")[:300])
        elif self._said == _SHOWN + 1:
            self.show("… further remarks stand in the report only")

    def show(self, line: str) -> None:
        """One line."""
        sys.stderr.write(line.encode(sys.stderr.encoding or "utf-8", "replace").decode(sys.stderr.encoding) + "\n")


class PlainScreen(_Remarks):
    """A line now and then, where nobody watches."""

    def __init__(self, remark: Callable[[str, str], None]) -> None:
        super().__init__(remark)
        self._name = ""
        self._total = self._done = self._messages = 0
        self._next = time.monotonic() + _EVERY

    def folder(self, name: str, total: int) -> None:
        """A new folder."""
        self._name, self._total, self._done = name, total, 0

    def step(self, cost: int, messages: int) -> None:
        """Further on."""
        self._done += cost
        self._messages += messages
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            part = f"{min(100 * self._done // self._total, 100)} %" if self._total else ""
            self.show(f"{self._name}: {part} ({self._messages} messages in all)")


class BarScreen(_Remarks):
    """A bar for each folder (rich)."""

    def __init__(self, remark: Callable[[str, str], None]) -> None:
        super().__init__(remark)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[messages]} messages", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task: Any = None
        self._messages = 0

    def __enter__(self) -> BarScreen:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def folder(self, name: str, total: int) -> None:
        """A new bar; the last one is full, or was not needed."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._messages = 0
        self._task = self._progress.add_task(name, total=total or None, messages=0)

    def step(self, cost: int, messages: int) -> None:
        """Further on."""
        self._messages += messages
        self._progress.update(self._task, advance=cost, messages=self._messages)

    def show(self, line: str) -> None:
        """Above the bar."""
        self._progress.console.print(line, markup=False, highlight=False)
