"""inotify(7): the kernel says which watched mailbox another program has touched, within milliseconds.

Each directory's watch is for one event (IN_ONESHOT) and is set anew before the next look: a program that copies ten
thousand files into a mailbox costs us one event a look, and looks that follow one another without a pause come ever
later, up to ``SLOWEST``. The watches of one process are bounded by the kernel and by ``MOST``; where there are no more,
on network file systems and on other systems, the poll of ``stores`` finds the changes, as it does whatever is missed.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.store.mailbox import OpenMailbox

FIRST = 0.005  # seconds from an event to the look: what one delivery does to a mailbox is seen at once
SLOWEST = 1.0  # between two looks at a mailbox that does not come to rest
CALM = 0.1  # seconds without an event, and the next look is quick again; and
SHARE = 20  # times as many as the last look took: looking is to cost a twentieth of one processor at most
MOST = 2000  # directories; two a mailbox
_HEAD = struct.Struct("iIII")
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONESHOT, _ONLYDIR = 0x80000000, 0x01000000
_MASK = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONESHOT | _ONLYDIR


class Descriptors(Protocol):
    """The reactor, as far as we need it."""

    def addReader(self, reader: Any) -> Any:
        """IReactorFDSet."""

    def removeReader(self, reader: Any) -> Any:
        """IReactorFDSet."""


class _Sight:
    """One mailbox that is watched."""

    __slots__ = ("armed", "cost", "delay", "last", "timer")

    def __init__(self) -> None:
        self.armed: dict[str, int] = {}  # folder: watch
        self.delay = FIRST
        self.cost = 0.0  # seconds that the last look took
        self.last = float("-inf")
        self.timer: Timer | None = None


@implementer(IReadDescriptor)
class Eyes:
    """``look`` is called for a mailbox that somebody has touched, perhaps we ourselves.

    ``short`` is called once the kernel has no watch left.
    """

    def __init__(
        self,
        clock: Clock,
        descriptors: Descriptors | None,
        look: Callable[[OpenMailbox], Deferred[None]],
        short: Callable[[], None] = lambda: None,
        most: int = MOST,
    ) -> None:
        self._clock = clock
        self._descriptors = descriptors
        self._look = look
        self._most = most
        self._short = short
        self._is_short = False
        self._libc: Any = None
        self._fd = -1
        self._sights: dict[OpenMailbox, _Sight] = {}
        self._watches: dict[int, tuple[OpenMailbox, str]] = {}

    def open(self) -> bool:
        """Begin; False where there is no inotify, and with a clock that is no reactor."""
        import ctypes

        if self._descriptors is None or self._fd >= 0:
            return self._fd >= 0
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, AttributeError):
            return False
        if self._fd < 0:
            return False
        self._libc = libc
        self._descriptors.addReader(self)
        return True

    def close(self) -> None:
        """See nothing any more."""
        for box in list(self._sights):
            self.forget(box)
        if self._fd >= 0 and self._descriptors is not None:
            self._descriptors.removeReader(self)
            os.close(self._fd)
            self._fd = -1

    # ------------------------------------------------------------ mailboxes

    def watch(self, box: OpenMailbox) -> None:
        """Somebody has it selected."""
        if self._fd >= 0 and box not in self._sights:
            sight = self._sights[box] = _Sight()
            self._arm(box, sight)

    def forget(self, box: OpenMailbox) -> None:
        """Nobody has it selected any more."""
        sight = self._sights.pop(box, None)
        if sight is None:
            return
        if sight.timer is not None:
            sight.timer.cancel()
        for watch in sight.armed.values():
            self._watches.pop(watch, None)
            self._libc.inotify_rm_watch(self._fd, watch)

    def sees(self, box: OpenMailbox) -> bool:
        """Would a change of this mailbox be told?"""
        sight = self._sights.get(box)
        return sight is not None and (len(sight.armed) == 2 or sight.timer is not None)

    def _arm(self, box: OpenMailbox, sight: _Sight) -> None:
        import ctypes

        for path in (box.folder.new, box.folder.cur):
            if path in sight.armed or len(self._watches) >= self._most:
                continue
            watch = self._libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(_MASK))
            if watch >= 0:
                sight.armed[path] = watch
                self._watches[watch] = (box, path)
            elif ctypes.get_errno() in (errno.ENOSPC, errno.ENOMEM) and not self._is_short:
                self._is_short = True
                self._short()

    # ------------------------------------------------------------ events

    def fileno(self) -> int:
        """IReadDescriptor."""
        return self._fd

    def logPrefix(self) -> str:
        """IReadDescriptor."""
        return "store"

    def connectionLost(self, reason: Failure) -> None:
        """IReadDescriptor: the reactor has given it up."""
        self.close()

    def doRead(self) -> None:
        """Events wait; so many at most as there are watches, since each is for one."""
        try:
            octets = os.read(self._fd, 65_536)
        except BlockingIOError:
            return
        at = 0
        while at + _HEAD.size <= len(octets):
            watch, mask, _, length = _HEAD.unpack_from(octets, at)
            at += _HEAD.size + length
            if mask & _OVERFLOW:
                for watched in list(self._watches):
                    self._seen(watched)
            else:
                self._seen(watch)  # IN_IGNORED without an event before it: the directory is gone

    def _seen(self, watch: int) -> None:
        found = self._watches.pop(watch, None)
        if found is None:
            return
        box, path = found
        sight = self._sights[box]
        sight.armed.pop(path, None)
        if sight.timer is None:
            now = self._clock.seconds()
            calm = max(CALM, SHARE * sight.cost)
            sight.delay = FIRST if not 0 <= now - sight.last < calm else min(2 * sight.delay, SLOWEST)
            sight.timer = self._clock.callLater(sight.delay, self._due, box, sight)

    def _due(self, box: OpenMailbox, sight: _Sight) -> None:
        sight.timer = None
        sight.last = self._clock.seconds()
        self._arm(box, sight)  # before the look: what happens during it is an event again
        self._look(box).addBoth(self._looked, sight)

    def _looked(self, result: None, sight: _Sight) -> None:
        sight.cost = self._clock.seconds() - sight.last
