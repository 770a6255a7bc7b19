"""The service's end of the child process that judges and guesses: what is asked, what is heard, when it is ended."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from mailbox_appliance.ports.clock import Clock, Timer

PATIENCE = 60.0  # seconds for a judgement, on a busy machine
MOST_WAITING = 20
AT_ONCE = 2
_LONGEST_LINE = 1 << 20
MODULE = "mailbox_appliance.users.strength.child"


class NotJudged(Exception):
    """The child gave no answer; str() says why, and nothing of what it was asked."""


class Judge(Protocol):
    """Somebody who knows which passwords are guessed easily."""

    async def judge(self, password: str, words: Sequence[str]) -> str:
        """Why ``password`` is weak for whoever has these own ``words``, or "". Raises NotJudged."""


class SpawningReactor(Clock, Protocol):
    """IReactorProcess and IReactorTime, as far as they are needed."""

    def spawnProcess(self, processProtocol: Any, executable: Any, args: Any = (), env: Any = None) -> Any:
        """Start a program."""


def child_command() -> list[str]:
    """What is run: nothing secret is on the command line."""
    return [sys.executable, "-P", "-m", MODULE]


def child_environment() -> dict[str, str]:
    """The child imports from where we import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class Talk(ProcessProtocol):
    """One question; ``heard`` gets each line, ``ended`` comes when the process is gone."""

    transport: IProcessTransport

    def __init__(
        self, question: Mapping[str, Any], heard: Callable[[dict[str, Any]], None], clock: Clock, seconds: float
    ) -> None:
        self._question = question
        self._heard = heard
        self._buffer = b""
        self._timer: Timer = clock.callLater(seconds, self.end)
        self.errors = b""
        self.ended: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(json.dumps(self._question).encode() + b"\n")
        self.transport.closeStdin()
        self._question = {}

    def outReceived(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > _LONGEST_LINE:
            self.end()
            return
        for line in lines:
            try:
                self._heard(json.loads(line))
            except (ValueError, KeyError, TypeError):
                self.end()

    def errReceived(self, data: bytes) -> None:
        self.errors = (self.errors + data)[-500:]

    def processEnded(self, reason: Failure) -> None:
        if self._timer.active():
            self._timer.cancel()
        self.ended.callback(None)

    def end(self) -> None:
        """Kill it."""
        if self._timer.active():
            self._timer.cancel()
        transport = getattr(self, "transport", None)
        if transport is not None:
            with contextlib.suppress(ProcessExitedAlready):
                transport.signalProcess("KILL")


class Children:
    """Starts them, a few at a time. Fits Judge."""

    def __init__(self, reactor: SpawningReactor) -> None:
        self._reactor = reactor
        self._room = DeferredSemaphore(AT_ONCE)
        self._waiting = 0
        self._talks: set[Talk] = set()

    async def judge(self, password: str, words: Sequence[str]) -> str:
        """As Judge."""
        said = await self._short({"do": "judge", "password": password, "words": list(words)})
        return str(said["why"])

    async def suggest(self, count: int) -> list[str]:
        """Passphrases made by chance. Raises NotJudged."""
        said = await self._short({"do": "suggest", "count": count})
        return [str(one) for one in said["passphrases"]]

    async def _short(self, question: Mapping[str, Any]) -> dict[str, Any]:
        if self._waiting >= MOST_WAITING:
            raise NotJudged("too many passwords wait to be judged")
        self._waiting += 1
        try:
            await self._room.acquire()
            try:
                answers: list[dict[str, Any]] = []
                await self.ask(question, answers.append, PATIENCE)
            finally:
                self._room.release()
        finally:
            self._waiting -= 1
        if not answers:
            raise NotJudged("the process that judges passwords gave no answer")
        return answers[0]

    async def ask(self, question: Mapping[str, Any], heard: Callable[[dict[str, Any]], None], seconds: float) -> None:
        """Run one child to its end, killed after ``seconds``. Raises NotJudged when none can be started."""
        talk = Talk(question, heard, self._reactor, seconds)
        self._talks.add(talk)
        try:
            command = child_command()
            self._reactor.spawnProcess(talk, command[0], command, child_environment())
        except OSError as error:
            talk.end()
            self._talks.discard(talk)
            raise NotJudged(f"no process could be started: {error.strerror}") from None
        try:
            await talk.ended
        finally:
            talk.end()
            self._talks.discard(talk)

    def stop(self) -> None:
        """End what runs."""
        for talk in list(self._talks):
            talk.end()
