"""Orders a certificate through the child process: the parent's half of the conversation in ``acme/child.py``.

Measured: the acme library with what it imports holds 7 MB and more once it has run; in a child it is soon gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock, Timer

ORDER_SECONDS = 180.0
_LONGEST_OUTPUT = 1 << 20

Publish = Callable[[dict[str, str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Order:
    """What to order. Paths are ours; ``csr`` is PEM and holds the names."""

    directory: str
    email: str
    trust_anchor: str  # "" = the system's CAs alone
    account_key: str  # made when missing
    account: str
    names: tuple[str, ...]
    csr: bytes = field(repr=False)


class OrderFailed(Exception):
    """No certificate. ``names`` tells which names were refused and why, as far as the authority said."""

    def __init__(self, reason: str, names: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.names = names or {}


class Authority(Protocol):
    """Somebody who signs: the child process, or a test's own."""

    def order(self, order: Order, publish: Publish) -> Awaitable[bytes]:
        """The chain as PEM. ``publish`` makes the tokens visible on port 80 before they are asked for.

        Raises OrderFailed.
        """


class SpawningReactor(Protocol):
    """IReactorProcess, as far as it is needed."""

    def spawnProcess(self, processProtocol: Any, executable: Any, args: Any = (), env: Any = None) -> Any: ...


def child_environment() -> dict[str, str]:
    """The child imports from where we import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class ChildAuthority:
    """One child per order, killed when it takes too long."""

    def __init__(self, reactor: SpawningReactor, clock: Clock) -> None:
        self._reactor = reactor
        self._clock = clock
        self._talks: set[_Talk] = set()

    async def order(self, order: Order, publish: Publish) -> bytes:
        """Raises OrderFailed."""
        talk = _Talk(order, publish, self._clock)
        self._talks.add(talk)
        try:
            self._reactor.spawnProcess(
                talk,
                sys.executable,
                [sys.executable, "-P", "-m", "mailbox_appliance.acme.child"],
                child_environment(),
            )
        except OSError as error:
            self._talks.discard(talk)
            talk.give_up()
            talk.result.addErrback(lambda failure: None)  # nobody waits for it
            raise OrderFailed(f"no process could be started: {error.strerror}") from None
        try:
            chain = await talk.result
        except BaseException:
            talk.give_up()
            raise
        finally:
            await talk.ended
            self._talks.discard(talk)
        return chain

    def stop(self) -> None:
        """End what runs."""
        for talk in list(self._talks):
            talk.give_up()


class _Talk(ProcessProtocol):
    """The conversation with one child."""

    transport: IProcessTransport

    def __init__(self, order: Order, publish: Publish, clock: Clock) -> None:
        self._order = order
        self._publish = publish
        self._buffer = b""
        self._errors = b""
        self._heard = 0
        self._timer: Timer = clock.callLater(ORDER_SECONDS + 30, self.give_up)
        self.result: Deferred[bytes] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        order = self._order
        request = {
            "directory": order.directory,
            "email": order.email,
            "trust_anchor": order.trust_anchor,
            "account_key": order.account_key,
            "account": order.account,
            "names": order.names,
            "csr": order.csr.decode("ascii"),
            "seconds": ORDER_SECONDS,
        }
        self._tell(request)

    def _tell(self, words: dict[str, Any]) -> None:
        self.transport.write(json.dumps(words).encode("utf-8") + b"\n")

    def outReceived(self, data: bytes) -> None:
        self._heard += len(data)
        if self._heard > _LONGEST_OUTPUT:
            self._fail(OrderFailed("the child process talks without end"))
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            try:
                self._listen(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                self._fail(OrderFailed("the child process said what cannot be understood"))

    def _listen(self, words: dict[str, Any]) -> None:
        match words["say"]:
            case "tokens":
                tokens = {str(token): str(answer) for token, answer in words["tokens"].items()}
                published = Deferred.fromCoroutine(_run(self._publish(tokens)))
                published.addCallbacks(lambda _: self._tell({"ready": True}), self._could_not_publish)
            case "certificate":
                if not self.result.called:
                    self.result.callback(str(words["chain"]).encode("ascii"))
            case "failed":
                if words.get("forget_account"):
                    with contextlib.suppress(OSError):
                        os.unlink(self._order.account)
                names = {str(name): str(why) for name, why in (words.get("names") or {}).items()}
                self._fail(OrderFailed(str(words["reason"]), names))

    def _could_not_publish(self, failure: Failure) -> None:
        self._fail(OrderFailed(f"the tokens could not be put where they are looked for: {failure.value}"))

    def errReceived(self, data: bytes) -> None:
        self._errors = (self._errors + data)[-2000:]

    def processEnded(self, reason: Failure) -> None:
        if self._timer.active():
            self._timer.cancel()
        last = self._errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        self._fail(OrderFailed(f"the child process ended without an answer: {last or reason.getErrorMessage()}"))
        self.ended.callback(None)

    def _fail(self, error: OrderFailed) -> None:
        if not self.result.called:
            self.result.errback(Failure(error))

    def give_up(self) -> None:
        """End the child; a result that is still awaited fails."""
        if self._timer.active():
            self._timer.cancel()
        self._fail(OrderFailed("the authority did not answer in time"))
        transport = getattr(self, "transport", None)
        if transport is not None:
            with contextlib.suppress(ProcessExitedAlready):
                transport.signalProcess("KILL")


async def _run(step: Awaitable[None]) -> None:
    await step
