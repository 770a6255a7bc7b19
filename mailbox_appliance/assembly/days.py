"""What the service does once a day, and after its start, beside what each part does by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.ways_out import send_tls_reports
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.events.checks import NotSigned
from mailbox_appliance.ports.workers import Busy

if TYPE_CHECKING:
    from mailbox_appliance.stations import Stations

DAY = 86_400.0


class Days:
    """``begin`` once the service is ready. What fails is journaled, and the other works have their day too.

    ``present`` gives the config as it is now.
    """

    def __init__(self, reactor: Any, built: Stations, present: Callable[[], Config]) -> None:
        self._reactor = reactor
        self._built = built
        self._present = present
        self._next: Any = None

    async def begin(self) -> None:
        """The first day."""
        await self._make_missing_keys()
        self._each_day()

    def stop(self) -> None:
        """No further day."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _each_day(self) -> None:
        self._next = self._reactor.callLater(DAY, self._each_day)
        reports = send_tls_reports(self._built, self._present(), self._reactor)
        for work in (self._forget_removed(), reports):
            Deferred.fromCoroutine(work).addErrback(self._broken)
        for part in self._built.parts:
            Deferred.fromCoroutine(self._day_of(part))

    def _broken(self, failure: Any) -> None:
        self._built.journal.broken("service", failure.value)

    async def _day_of(self, part: Part) -> None:
        try:
            await part.each_day()
        except Exception as error:  # noqa: BLE001 - the others have their day too
            self._built.journal.broken(part.name, error)

    async def _make_missing_keys(self) -> None:
        """Every domain signs, also those that were ours before this version."""
        if self._present().local:
            return
        for domain in sorted(self._built.users.directory.domains()):
            try:
                await self._built.dkim_keys.ensure(domain)
            except (OSError, ValueError, Busy) as error:
                self._built.journal.tell(NotSigned(domain=domain, reason=f"no key could be made: {error}"[:250]))

    async def _forget_removed(self) -> None:
        """Accounts removed two weeks ago go for good, with their mail."""
        import shutil  # needed once a day: not worth its memory before

        for address in await self._built.users.accounts.forget_old():
            self._built.stores.forget(address)
            for part in self._built.parts:
                part.forget(address)
            folder = os.path.join(self._present().state, "mail", address.domain, address.local)
            await self._built.workers.run("disk", shutil.rmtree, folder, True)
