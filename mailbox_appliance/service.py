"""The whole appliance as one Twisted service: what ``twistd mailappliance`` starts (``stations`` builds what it runs).

Order of a start: the config is read and every complaint about it told (nothing is open yet); ports are bound while we
may still be root, but read by nobody; root is given up; the state is locked and opened; the ports begin to admit;
``ready`` is said. A stop goes the other way round: visitors are told to come back, work in hand is finished, what
waits in memory is written.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, TimeoutError
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.failure import Failure
from zope.interface import implementer

import mailbox_appliance
from mailbox_appliance import local, stations
from mailbox_appliance.admin.control import ControlSocket
from mailbox_appliance.admin.lock import StateInUse, StateLock
from mailbox_appliance.assembly.days import Days
from mailbox_appliance.assembly.doors import Doors
from mailbox_appliance.assembly.greeting import make_welcomes
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.settings import certificate_settings
from mailbox_appliance.config.local import load_or_local
from mailbox_appliance.config.model import Config
from mailbox_appliance.config.read import ConfigWrong, load
from mailbox_appliance.database import Database, DatabaseTrouble, trouble_of
from mailbox_appliance.journal import trail
from mailbox_appliance.journal.bridge import LogBridge
from mailbox_appliance.journal.events.service import (
    ClockOdd,
    ConfigTaken,
    ReactorLate,
    ServiceFailed,
    ServiceReady,
    ServiceRemark,
    ServiceStopped,
    ServiceStopping,
)
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.journal.lines import LineWriter, standard_output
from mailbox_appliance.ports.certificates import CertificateTrouble
from mailbox_appliance.process import (
    Lateness,
    StillRoot,
    give_memory_back,
    last_change,
    leave_root,
    odd_clock,
    raise_descriptor_limit,
    settle,
    tell_systemd,
)
from mailbox_appliance.smtp.intake import sweep
from mailbox_appliance.sockets import PortTaken
from mailbox_appliance.spoolfile import sweep_spool
from mailbox_appliance.workers import ThreadedWorkers

if TYPE_CHECKING:
    from mailbox_appliance.admin.dispatch import Desk

FOLDERS = ("mail", "queue", "journal", "spool", "certificates", "dkim")
DRAIN_SECONDS = 30.0
START_TROUBLES = (PortTaken, StillRoot, StateInUse, DatabaseTrouble, CertificateTrouble, sqlite3.Error, OSError)


class Options(usage.Options):
    """The command line behind ``twistd mailappliance``."""

    optParameters = [
        [
            "config",
            "c",
            None,
            "The configuration file (default: $MAILAPPLIANCE_CONFIG, /etc/mailappliance/…, else a trial)",
        ]
    ]


def makeService(options: Options) -> IService:
    """Read the config and build everything. Ends the program with every complaint when the config is wrong."""
    from twisted.internet import reactor

    try:
        config = load_or_local(options["config"], os.environ)
    except ConfigWrong as wrong:
        sys.exit(str(wrong))
    return ApplianceService(config, reactor)


@implementer(IService)
class ApplianceService(MultiService):
    """One appliance."""

    def __init__(self, config: Config, reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._config = config
        self._reactor = reactor
        self._began = reactor.seconds()
        self._workers = ThreadedWorkers(reactor)
        self._journal = self._make_journal()
        self._stations = stations.build(config, reactor, self._workers, self._journal)
        self._lock = StateLock(config.state)
        self._doors = Doors(config, reactor, self._stations)
        self._days = Days(reactor, self._stations, lambda: self._config)
        self._control: ControlSocket | None = None
        self._desk: Desk | None = None
        self._lateness = Lateness(reactor)
        self._begun: list[Part] = []
        self._started = False
        self._failed = False
        self._ending = False

    def _make_journal(self) -> Journal:
        stream, for_systemd = standard_output()
        lines = LineWriter(stream, self._reactor, for_systemd=for_systemd)
        path = os.path.join(self._config.state, "journal", "trail.db")
        database = Database(path, trail.MIGRATIONS, self._workers, synchronous="NORMAL")
        kept = trail.Trail(database, self._reactor, self._trail_lost)
        return Journal(self._reactor, lines, kept)

    def _trail_lost(self, steps: int, why: str) -> None:
        self._journal.trail_lost(steps, why)

    # ------------------------------------------------------------ start

    def setServiceParent(self, parent: Any) -> None:
        """Twisted's own log goes through our journal: its observer would print whole exception texts."""
        if hasattr(parent, "setComponent"):
            parent.setComponent(ILogObserver, LogBridge(self._journal))
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """Bind the ports, perhaps as root. Ends the program when one cannot be had."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        os.umask(0o077)
        raise_descriptor_limit()
        give_memory_back()
        try:
            os.makedirs(self._config.state, 0o700, exist_ok=True)
            self._doors.open()
        except OSError as trouble:
            self._give_up(_words(trouble))
        except PortTaken as trouble:
            self._give_up(str(trouble))

    def startService(self) -> None:
        """Give up root, then open what lies behind the ports as soon as the reactor runs."""
        super().startService()  # type: ignore[no-untyped-call]
        loopback_only = all(
            endpoint.is_loopback for endpoints in self._config.listen.endpoints().values() for endpoint in endpoints
        )
        try:
            remark = leave_root(self._config.state, loopback_only=loopback_only)
        except (StillRoot, OSError, KeyError) as trouble:
            self._give_up(str(trouble))
        if remark:
            self._journal.tell(ServiceRemark(text=remark))
        self._reactor.callWhenRunning(lambda: Deferred.fromCoroutine(self._start()).addErrback(self._broken))

    def _broken(self, failure: Failure) -> None:
        self._told_broken(failure)
        self._fail("something unexpected happened; the line journal.broken above tells where")

    def _give_up(self, reason: str) -> None:
        """Before the reactor runs: say it and end."""
        self._journal.tell(ServiceFailed(reason=reason))
        self._journal.flush()
        sys.exit(f"mailappliance cannot start: {reason}")

    def _fail(self, reason: str) -> None:
        """While the reactor runs: say it, stop, and end with status 1."""
        self._journal.tell(ServiceFailed(reason=reason))
        self._failed = True
        self._reactor.stop()

    async def _start(self) -> None:
        built, config = self._stations, self._config
        try:
            await self._open()
            password = await local.make_person(built.users, config.state) if config.local else ""
        except START_TROUBLES as trouble:
            self._fail(_words(trouble))
            return
        self._started = True
        self._reactor.callLater(0.5, settle)
        self._doors.admit()
        if config.local:
            numbers = {port.key: port.number for port in self._doors.ports}
            for line in local.facts(config, password, built.certificates.ca_file, numbers):
                print(line, file=sys.__stdout__, flush=True)
        self._say_ready()
        self._watch_signals()
        self._measure()
        built.certificates.watch()
        await make_welcomes(built, self._config, self._reactor).greet_due()
        await self._days.begin()

    async def _open(self) -> None:
        """Everything behind the ports, in the order in which one needs the other. Raises one of START_TROUBLES."""
        built, config = self._stations, self._config
        for folder in FOLDERS:
            os.makedirs(os.path.join(config.state, folder), 0o700, exist_ok=True)
        os.chmod(config.state, 0o700)
        odd = odd_clock(self._reactor.seconds(), last_change(self._lock.path))
        self._lock.take()
        self._journal.start()
        if odd:
            self._journal.tell(ClockOdd(text=odd))
        self._sweep(os.path.join(config.state, "spool"))
        if built.edge is None:  # nobody lives at an edge
            await built.users.start()
        await built.guard.start()
        await built.certificates.start()
        built.stores.start()
        await built.spool.open()
        for part in built.parts:
            await part.prepare()
        await built.dispatch.start()
        for part in built.parts:
            await part.start()
            self._begun.append(part)
        self._control = ControlSocket(self._reactor, config.state, lambda: self._desk_for(config), self._journal)
        self._control.start()

    async def _desk_for(self, config: Config) -> Desk:
        """Made at the first question. Its verbs are a tenth of a second of importing: the reactor does not wait."""
        await self._workers.run("disk", importlib.import_module, "mailbox_appliance.assembly.desks")
        from mailbox_appliance.assembly.desks import make_desk

        if self._desk is None:
            self._desk = make_desk(
                self._stations, self._doors, self._reactor, config, lambda: self._config, self.reload
            )
        return self._desk

    def _say_ready(self) -> None:
        ready = ServiceReady(
            version=mailbox_appliance.__version__,
            ports=tuple(f"{port.key}:{port.number}" for port in self._doors.ports),
            seconds=round(self._reactor.seconds() - self._began, 2),
        )
        self._journal.tell(ready)
        self._journal.flush()
        tell_systemd("READY=1")

    def _sweep(self, spool: str) -> None:
        """What was on its way in when the last process died; no peer was told that it is kept."""
        swept = sweep(spool) + sweep_spool(spool)
        if swept:
            words = f"{swept} half-received message(s) of the last run were removed; their senders still have them"
            self._journal.tell(ServiceRemark(text=words))

    def _measure(self) -> None:
        """Only when asked for by $MAILAPPLIANCE_LATENESS: a hundred wake-ups a second."""
        if os.environ.get("MAILAPPLIANCE_LATENESS"):
            self._lateness.tell_each_second(
                lambda longest: self._journal.tell(ReactorLate(longest_ms=round(longest * 1000, 1)))
            )

    def _told_broken(self, failure: Failure) -> None:
        self._journal.broken("service", failure.value or RuntimeError("no reason given"))

    # ------------------------------------------------------------ reload

    def _watch_signals(self) -> None:
        """SIGHUP reads the file anew; SIGTERM and SIGINT stop in good order, with status 0 (twistd's would be -15)."""

        def hung_up(number: int, frame: object) -> None:
            self._reactor.callFromThread(lambda: Deferred.fromCoroutine(self._reload_by_signal()))

        def end(number: int, frame: object) -> None:
            self._reactor.callFromThread(self._end)

        with contextlib.suppress(ValueError):  # not in the main thread: a test
            signal.signal(signal.SIGHUP, hung_up)
            signal.signal(signal.SIGTERM, end)
            signal.signal(signal.SIGINT, end)

    def _end(self) -> None:
        if self._reactor.running and not self._ending:
            self._ending = True
            self._reactor.stop()

    async def _reload_by_signal(self) -> None:
        try:
            await self.reload()
        except ConfigWrong as wrong:
            self._journal.tell(ConfigTaken(text=("nothing was changed, the file is wrong:", str(wrong))))
        except Exception as error:  # noqa: BLE001 - a signal must not end the service
            self._journal.broken("service", error)

    async def reload(self) -> tuple[str, ...]:
        """Read the file anew and take over what can change while we run. Raises ConfigWrong: then nothing changes."""
        old = self._config
        if not old.path:
            return ("local mode has no file to read",)
        new = load(old.path)
        said = ["the file was read anew and taken over"]
        for what in ("hostname", "state", "role", "listen"):
            if getattr(old, what) != getattr(new, what):
                said.append(f"{what} has changed: that takes a restart")
        stations.take_over(self._stations, new, self._reactor)
        certificates = certificate_settings(new)
        if certificates.source == certificate_settings(old).source:
            await self._stations.certificates.reload(certificates)
        else:
            said.append("where the certificate comes from has changed: that takes a restart")
        self._config = new
        self._journal.tell(ConfigTaken(text=tuple(said)))
        return tuple(said)

    # ------------------------------------------------------------ stop

    def stopService(self) -> Deferred[Any]:
        """SIGTERM: drain within half a minute, write everything, let go."""
        super().stopService()  # type: ignore[no-untyped-call]
        stopped: Deferred[Any] = Deferred.fromCoroutine(self._stop())
        return stopped.addErrback(self._told_broken)

    async def _stop(self) -> None:
        began = self._reactor.seconds()
        tell_systemd("STOPPING=1")
        built = self._stations
        if self._started:
            self._journal.tell(ServiceStopping())
        await self._doors.close()
        self._days.stop()
        self._lateness.stop()
        built.imap.drain()
        await self._in_time(built.smtp.drain(), DRAIN_SECONDS + 2)
        if self._started:
            await self._in_time(Deferred.fromCoroutine(built.dispatch.stop()), DRAIN_SECONDS)
        for part in reversed(self._begun):
            await self._in_time(Deferred.fromCoroutine(self._stop_part(part)), DRAIN_SECONDS)
        await built.relay.close()
        await self._in_time(built.rounds.quiet(), DRAIN_SECONDS)
        built.stores.stop()
        built.spool.close()
        if self._control is not None:
            await self._control.stop()
        await built.certificates.stop()
        await built.guard.stop()
        if self._started:
            await built.users.stop()
            self._journal.tell(ServiceStopped(seconds=round(self._reactor.seconds() - began, 2)))
        await self._journal.stop()
        self._workers.stop()
        self._lock.give_back()
        self._journal.flush()
        if self._failed:
            self._reactor.addSystemEventTrigger("after", "shutdown", _end_with_one)

    async def _stop_part(self, part: Part) -> None:
        try:
            await part.stop()
        except Exception as error:  # noqa: BLE001 - the others must be stopped too
            self._journal.broken(part.name, error)

    async def _in_time(self, waiting: Deferred[Any], seconds: float) -> None:
        """Wait no longer than that; a stop always ends."""
        waiting.addTimeout(seconds, self._reactor)
        with contextlib.suppress(TimeoutError):
            await waiting


def _end_with_one() -> None:
    """A start that failed ends with status 1: twistd itself would end with 0."""
    sys.stdout.flush()
    os._exit(1)


def _words(trouble: BaseException) -> str:
    if isinstance(trouble, FileExistsError | NotADirectoryError):
        return f"{trouble.filename} is not a folder, which it must be; move it away"
    if isinstance(trouble, IsADirectoryError):
        return f"{trouble.filename} is a folder where a file belongs; move it away"
    if isinstance(trouble, OSError) and trouble.filename:
        return f"{trouble.filename}: {trouble.strerror}; make it writable for the service's user, or make room"
    if isinstance(trouble, sqlite3.Error):
        for path in getattr(trouble, "__notes__", ()):
            return str(trouble_of(path, trouble))
    return str(trouble) or type(trouble).__name__
