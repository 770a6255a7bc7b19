"""Runs the owner's command after a new certificate: ``[tls] deployed_command``. No shell; a time limit."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from mailbox_appliance.acme.client import SpawningReactor
from mailbox_appliance.config.values import command_words
from mailbox_appliance.ports.clock import Clock, Timer

COMMAND_SECONDS = 60.0
_LAST_OCTETS = 400


def read_command(text: str) -> tuple[str, ...]:
    """Words as a shell would split them. Raises ValueError for an open quote or no words at all."""
    return command_words(text)


class _Run(ProcessProtocol):
    transport: IProcessTransport

    def __init__(self, clock: Clock) -> None:
        self._said = b""
        self._late = False
        self._timer: Timer = clock.callLater(COMMAND_SECONDS, self._too_long)
        self.ended: Deferred[tuple[str, str]] = Deferred()

    def connectionMade(self) -> None:
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        self._said = (self._said + data)[-_LAST_OCTETS:]

    errReceived = outReceived

    def _too_long(self) -> None:
        self._late = True
        with contextlib.suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    def processExited(self, reason: Failure) -> None:
        # Not processEnded, which waits for whoever inherited the pipes.
        if self.ended.called:
            return
        if self._timer.active():
            self._timer.cancel()
        error = reason.value
        if self._late:
            result = f"took longer than {COMMAND_SECONDS:.0f} s and was killed"
        elif isinstance(error, ProcessDone):
            result = "done"
        elif isinstance(error, ProcessTerminated) and error.exitCode is not None:
            result = f"exit code {error.exitCode}"
        else:
            result = reason.getErrorMessage()
        last = self._said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        transport = getattr(self, "transport", None)
        if transport is not None:
            transport.loseConnection()
        self.ended.callback((result, last))


async def run_command(
    reactor: SpawningReactor, clock: Clock, command: tuple[str, ...], facts: dict[str, str]
) -> tuple[str, str]:
    """How it ended, and the last line it printed. ``facts`` join its environment. Never raises for what it does."""
    run = _Run(clock)
    environment: dict[str, Any] = {**os.environ, **facts}
    try:
        reactor.spawnProcess(run, command[0], list(command), environment)
    except OSError as error:
        run.processExited(Failure(error))
    return await run.ended
