"""All scanners behind one door (fills ports/scanners.Scanners): each within its time, and what is done without it.

One that fails three times in a row is left alone for half a minute at a time, so that a hanging program does not cost
each message its whole time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, TimeoutError, gatherResults
from twisted.internet.error import ConnectionRefusedError, DNSLookupError

from mailbox_appliance.journal.events.scanners import ScannerAnswers, ScannerDown
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Evidence
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.scanners import Scanned
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.scanners import milter, rspamd, spamd
from mailbox_appliance.scanners.settings import ScannerSettings
from mailbox_appliance.scanners.talk import Trouble

AT_ONCE = 8  # messages at one scanner
ENOUGH = 3  # failures in a row
LEFT_ALONE = 30.0  # seconds

Ask = Callable[[Parcel, ScannerSettings, Any, Workers], Coroutine[Deferred[Any], Any, Scanned]]
_ASK: dict[str, Ask] = {"spamd": spamd.ask, "rspamd": rspamd.ask, "milter": milter.ask}


@dataclass(slots=True)
class State:
    """How one scanner has been lately."""

    settings: ScannerSettings
    failures: int = 0
    trouble: str = ""  # of the last message; "" when it was answered
    since: float = 0.0  # of the first failure in this row
    last: float = 0.0
    asked: int = 0
    turns: DeferredSemaphore = field(default_factory=lambda: DeferredSemaphore(AT_ONCE))


class OutsideScanners:
    """Fits ports.scanners.Scanners."""

    def __init__(
        self, settings: Sequence[ScannerSettings], reactor: Any, workers: Workers, journal: FullJournal
    ) -> None:
        self.states = {one.name: State(one) for one in settings}
        self._reactor = reactor
        self._workers = workers
        self._journal = journal

    def scan(self, parcel: Parcel) -> Awaitable[Scanned]:
        """ports/scanners.Scanners."""
        return Deferred.fromCoroutine(self._scan(parcel))

    async def _scan(self, parcel: Parcel) -> Scanned:
        found: list[Scanned] = await gatherResults(
            [Deferred.fromCoroutine(self._one(state, parcel)) for state in self.states.values()], consumeErrors=True
        )
        evidence = tuple(one for scanned in found for one in scanned.evidence)
        return Scanned(evidence, b"".join(scanned.fields for scanned in found))

    async def _one(self, state: State, parcel: Parcel) -> Scanned:
        settings = state.settings
        now = self._reactor.seconds()
        if state.failures >= ENOUGH and 0 <= now - state.last < LEFT_ALONE:
            return self._without(state)
        state.asked += 1
        asked: Deferred[Scanned] = state.turns.run(lambda: Deferred.fromCoroutine(self._ask(settings, parcel)))
        asked.addTimeout(settings.timeout, self._reactor)
        try:
            scanned = await asked
        except TimeoutError:
            self._failed(state, f"no answer within {settings.timeout:g} seconds")
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a scanner does is the scanner's trouble
            self._failed(state, _words(error))
        else:
            if state.failures:
                self._journal.tell(ScannerAnswers(scanner=settings.name))
            state.failures, state.trouble = 0, ""
            return scanned
        return self._without(state)

    async def _ask(self, settings: ScannerSettings, parcel: Parcel) -> Scanned:
        return await _ASK[settings.kind](parcel, settings, self._reactor, self._workers)

    def _failed(self, state: State, trouble: str) -> None:
        now = self._reactor.seconds()
        if not state.failures:
            state.since = now
            rule = "defer" if state.settings.defer else "accept"
            self._journal.tell(
                ScannerDown(scanner=state.settings.name, where=state.settings.where, reason=trouble, when_down=rule)
            )
        state.failures += 1
        state.trouble, state.last = trouble, now

    def _without(self, state: State) -> Scanned:
        result = "down" if state.settings.defer else "absent"
        return Scanned((Evidence("scanner", result, reason=f"{state.settings.name}: {state.trouble}"[:250]),))


def _words(error: Exception) -> str:
    """What the owner can read."""
    if isinstance(error, ConnectionRefusedError):
        return "refused, nothing listens there"
    if isinstance(error, DNSLookupError):
        return "its name is not known"
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200] if isinstance(error, Trouble) else f"{type(error).__name__}: {text}"[:200]
