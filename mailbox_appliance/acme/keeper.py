"""The certificate in use, wherever it comes from: loaded at start, renewed in time, swapped without a dropped session.

Fills ports.certificates. ``start`` always leaves a certificate behind (a self-made one until ACME has given its
first); ``watch`` is called when the ports are open, for an order needs port 80.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError, Deferred

from mailbox_appliance.acme.contexts import ServerContexts, ServerCreator
from mailbox_appliance.acme.disk import load_pair
from mailbox_appliance.acme.orders import ANNOUNCED_FOR, Orders
from mailbox_appliance.acme.pairs import Pair
from mailbox_appliance.acme.schedule import LOOK_AGAIN
from mailbox_appliance.acme.selfmade import SelfMade
from mailbox_appliance.journal.events.acme import (
    CertificateInUse,
    CertificateTroubled,
    DeployedCommandRan,
    KeyAnnounced,
    KeyRotated,
)
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.certificates import CertificateState, CertificateTrouble
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.workers import Workers

NAMES_SOON = 60.0  # seconds between a change of our domains and an order: its DNS is being made, too
FILES_LOOK = 3600.0  # seconds between looks at certificate files that others renew
SOON = 21 * 86400.0  # a certificate of files that ends sooner is complained about

RunCommand = Callable[[dict[str, str]], Awaitable[tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSettings:
    """``folder`` holds everything of ours; ``names`` begin with the host name. ``source``: self-made, files, acme."""

    folder: str
    names: tuple[str, ...]
    source: str = "self-made"
    certificate: str = ""
    key: str = ""


class CertificateKeeper:
    """``orders`` only for source "acme"; ``run_command`` None when there is no deployed_command."""

    def __init__(
        self,
        settings: CertificateSettings,
        *,
        clock: Clock,
        workers: Workers,
        journal: FullJournal,
        orders: Orders | None = None,
        run_command: RunCommand | None = None,
        more_names: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """``more_names``: what a self-made certificate carries beside the names of the settings, asked at each look."""
        self._settings = settings
        self._more_names = more_names
        self._clock = clock
        self._workers = workers
        self._journal = journal
        self._orders = orders
        self._run_command = run_command
        self._self_made = SelfMade(os.path.join(settings.folder, "self-made"))
        self._contexts = ServerContexts()
        self._source = ""
        self._trouble = ""
        self._complained = ""
        self._timer: Timer | None = None
        self._watching = False
        self._running: Deferred[None] | None = None

    # ---- ports.certificates

    def for_server(self, *, strict: bool = True, protocols: tuple[bytes, ...] = ()) -> ServerCreator:
        """A connection creator for startTLS and TLS endpoints; ``protocols`` for ALPN."""
        return self._contexts.creator(strict=strict, protocols=protocols)

    def states(self) -> tuple[CertificateState, ...]:
        """What is in use, and what is wrong with it."""
        trouble = self._trouble
        if self._orders is not None and self._settings.source == "acme":
            trouble = trouble or self._orders.trouble()
        return tuple(pair.state(self._source, trouble) for pair in self._contexts.pairs)

    @property
    def ca_file(self) -> str:
        """The self-made authority's certificate (it exists only when something was self-made)."""
        return self._self_made.ca_file

    def tlsa(self) -> tuple[str, ...]:
        """The TLSA data to publish: of the keys in use, and of one that is announced."""
        announced = self._orders.announced if self._orders is not None else None
        return (*(pair.tlsa() for pair in self._contexts.pairs), *((announced[0],) if announced else ()))

    # ---- life

    async def start(self) -> None:
        """Load or make a certificate. Raises CertificateTrouble (files that cannot be used), OSError (our folder)."""
        if self._settings.source == "files":
            await self._load_files()
            return
        pair = None
        if self._settings.source == "acme" and self._orders is not None:
            pair = await self._orders.stored()
        if pair is not None:
            self._use(pair, "acme")
        else:
            await self._make(anew=False)

    def watch(self) -> None:
        """The ports are open: order what is missing, and look after what is there from now on."""
        self._watching = True
        self._later(1.0)

    def look_soon(self) -> None:
        """The names may be others now: an order for those that are missing need not wait for the next day."""
        if self._watching and self._source != "files":
            self._later(NAMES_SOON)

    async def stop(self) -> None:
        """No more looks; an order that runs is given up."""
        self._watching = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._orders is not None:
            self._orders.stop()
        if self._running is not None:
            self._running.cancel()

    async def reload(self, settings: CertificateSettings) -> None:
        """Take new settings of the same source; files are read again. Raises CertificateTrouble: the old stay."""
        old, self._settings = self._settings, settings
        if settings.source == "files":
            try:
                await self._load_files()
            except CertificateTrouble:
                self._settings = old
                raise
        elif self._watching:
            self._later(0.0)

    # ---- what the operator may ask

    async def renew(self) -> str:
        """A new certificate now. Raises CertificateTrouble."""
        return await self._renewed(fresh_key=False)

    async def rotate(self, *, now: bool = False) -> str:
        """Announce the next key: its TLSA is to be published before it is used, two days later, or ``now``.

        Raises CertificateTrouble.
        """
        if self._settings.source != "acme" or self._orders is None:
            return await self._renewed(fresh_key=True)
        before = self.tlsa()[0]
        if now:
            said = await self._renewed(fresh_key=True)
            self._journal.tell(KeyRotated(old_tlsa=before, new_tlsa=self.tlsa()[0]))
            return f"{said}; TLSA is now {self.tlsa()[0]}"
        announced = self._orders.announced
        if announced is None:
            announced = await self._orders.announce(), self._clock.seconds()
            self._journal.tell(KeyAnnounced(old_tlsa=before, new_tlsa=announced[0]))
            if self._watching:
                self._later(LOOK_AGAIN)
        return (
            f"publish TLSA {announced[0]} beside the present one now (`dns records` shows both); the new key is used "
            f"from {_day(announced[1] + ANNOUNCED_FOR)}, or at once with `cert rotate --now`"
        )

    async def _renewed(self, *, fresh_key: bool) -> str:
        if self._settings.source == "files":
            raise CertificateTrouble(
                "the certificate comes from the files named in [tls]", "renew those, then run: mailappliance reload"
            )
        if self._settings.source == "acme" and self._orders is not None:
            self._use(await self._orders.order(fresh_key=fresh_key), "acme")
            await self._deployed()
        elif fresh_key:
            raise CertificateTrouble(
                "a self-made certificate keeps its key", f"delete {self._self_made.folder} and restart to begin anew"
            )
        else:
            await self._make(anew=True)
        pair = self._contexts.pairs[0]
        if self._watching:
            self._later(LOOK_AGAIN)
        return f"a new certificate for {', '.join(pair.names)} is in use until {_day(pair.not_after)}"

    # ---- looking after it

    def _later(self, delay: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(max(delay, 0.0), self._look)

    def _look(self) -> None:
        if not self._watching or self._running is not None:
            return

        def ended(result: object) -> None:
            self._running = None

        self._running = Deferred.fromCoroutine(self._look_now())
        self._running.addBoth(ended)

    async def _look_now(self) -> None:
        delay = LOOK_AGAIN
        try:
            if self._settings.source == "files":
                delay = FILES_LOOK
                await self._look_at_files()
            elif self._settings.source == "acme" and self._orders is not None:
                before = self._contexts.pairs[0].tlsa()
                pair = await self._orders.renewed_if_due(self._contexts.pairs[0] if self._source == "acme" else None)
                if pair is not None:
                    if self._source == "acme" and pair.tlsa() != before:
                        self._journal.tell(KeyRotated(old_tlsa=before, new_tlsa=pair.tlsa()))
                    self._use(pair, "acme")
                    await self._deployed()
                elif self._source != "acme":
                    await self._make(anew=False)
                delay = min(LOOK_AGAIN, self._orders.next_look())
            else:
                await self._make(anew=False)
        except CancelledError:
            return
        except Exception as error:  # noqa: BLE001  # a station's fault must not end its watch
            self._journal.broken("acme", error)
        if self._watching:
            self._later(delay)

    async def _look_at_files(self) -> None:
        try:
            await self._load_files()
        except CertificateTrouble as trouble:
            self._complain(f"what is in use was read earlier; now {trouble.what}", trouble.remedy)

    async def _load_files(self) -> None:
        settings = self._settings
        pair = await self._workers.run("disk", load_pair, settings.certificate, settings.key)
        now = self._clock.seconds()
        pairs = self._contexts.pairs
        if not pairs or pairs[0].leaf != pair.leaf:
            self._use(pair, "files")
            if self._watching:
                await self._deployed()
        remedy = f"renew {settings.certificate}, then run: mailappliance reload"
        if pair.not_after <= now:
            self._complain(f"{settings.certificate} ended on {_day(pair.not_after)}", remedy)
        elif pair.not_before > now:
            self._complain(
                f"{settings.certificate} is not valid before {_day(pair.not_before)}",
                "set this machine's clock (timedatectl)",
            )
        elif not any(pair.covers(name) for name in settings.names[:1]):
            self._complain(
                f"{settings.certificate} is for {', '.join(pair.names)}, not for {settings.names[0]}",
                "name a certificate for this host, or set hostname to one of its names",
            )
        elif pair.not_after - now < SOON:
            self._complain(f"{settings.certificate} ends on {_day(pair.not_after)}", remedy)
        else:
            self._trouble = self._complained = ""

    async def _make(self, *, anew: bool) -> None:
        names = tuple(dict.fromkeys(self._settings.names + self._more_names()))
        pair = await self._workers.run("disk", self._self_made.pair, names, self._clock.seconds(), anew)
        pairs = self._contexts.pairs
        if not pairs or pairs[0].leaf != pair.leaf:
            self._use(pair, "self-made")

    def _complain(self, what: str, remedy: str) -> None:
        self._trouble = what
        if what != self._complained:
            self._complained = what
            names = self._contexts.pairs[0].names if self._contexts.pairs else ()
            self._journal.tell(CertificateTroubled(names=names, reason=what, remedy=remedy))

    def _use(self, pair: Pair, source: str) -> None:
        self._contexts.use((pair,))
        self._source = source
        self._trouble = ""
        self._journal.tell(
            CertificateInUse(
                source=source, names=pair.names, issuer=pair.issuer, until=_day(pair.not_after), tlsa=pair.tlsa()
            )
        )

    async def _deployed(self) -> None:
        if self._run_command is None:
            return
        settings = self._settings
        if settings.source == "files":
            facts = {"MAILAPPLIANCE_CERTIFICATE": settings.certificate, "MAILAPPLIANCE_KEY": settings.key}
        else:
            folder = os.path.join(settings.folder, "acme")
            facts = {
                "MAILAPPLIANCE_CERTIFICATE": os.path.join(folder, "certificate.pem"),
                "MAILAPPLIANCE_KEY": os.path.join(folder, "certificate.key"),
            }
        result, last = await self._run_command(facts)
        self._journal.tell(DeployedCommandRan(result=result, private=last))


def _day(epoch: float) -> str:
    return datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
