"""Twisted's own log, led into the journal: an unhandled error becomes ``journal.broken``, a warning a remark.

Set it as the application's ILogObserver, so that twistd's file observer, which prints whole exception texts, is not
used. What libraries merely inform about (a port opened, a factory started) is left out.
"""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.journal.events.journal import NoDescriptors, Remarked
from mailbox_appliance.journal.journal import Journal

_EXHAUSTED = ("EMFILE encountered", "Could not accept new connection")  # twisted.internet.tcp, at accept
_LOUD = {LogLevel.warn, LogLevel.error, LogLevel.critical}


@implementer(ILogObserver)
class LogBridge:
    """An ILogObserver for ``twisted.logger``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._exhausted = float("-inf")
        self._inside = False

    def __call__(self, event: LogEvent) -> None:
        if self._inside:  # our own writing must not come back to us
            return
        self._inside = True
        try:
            self._take(event)
        finally:
            self._inside = False

    def _take(self, event: LogEvent) -> None:
        by = str(event.get("log_namespace") or event.get("log_system") or "twisted")
        failure = event.get("log_failure") or event.get("failure")
        if isinstance(failure, Failure) and isinstance(failure.value, BaseException):
            error = failure.value
            if error.__traceback__ is None:
                error = error.with_traceback(failure.getTracebackObject())
            self._journal.broken(by, error)
        elif event.get("log_level") in _LOUD or event.get("isError"):
            self._journal.tell(Remarked(by=by, text=formatEvent(event)[:500]))
        elif str(event.get("log_format", "")).startswith(_EXHAUSTED):
            # Once a minute: a flood brings many, and all say the same.
            if not 0 <= event.get("log_time", 0.0) - self._exhausted < 60:
                self._exhausted = event.get("log_time", 0.0)
                self._journal.tell(NoDescriptors(text=formatEvent(event)[:200]))
        elif by in ("stdout", "stderr"):
            self._journal.tell(Remarked(by=by, text=formatEvent(event)[:500]))
