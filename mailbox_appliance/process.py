"""The process itself: who it runs as, what it tells systemd, how its garbage is collected, how late its timers are."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pwd
import resource
import socket
import sys
from collections.abc import Callable, Mapping

from mailbox_appliance.ports.clock import Clock, Timer

# Switch threads after half a millisecond: beside a busy thread the default of 5 ms lets every reactor turn wait.
SWITCH_INTERVAL = 0.0005
LATENESS_INTERVAL = 0.01
# mallopt(3): blocks of this many octets and more come from the kernel and go back to it at once.
M_MMAP_THRESHOLD = -3
LARGE_BLOCK = 256 * 1024
# Heaps beside one another. By default each thread gets its own, up to eight a processor, and none gives back its holes.
M_ARENA_MAX = -8
MOST_ARENAS = 2
# Before this moment no machine that runs this program can be: a Raspberry Pi without a clock starts in 1970.
PROGRAM_MADE = 1_764_000_000.0
DAY = 86_400.0


class StillRoot(Exception):
    """The service would go on as root; str() says how to avoid it."""


def leave_root(state: str, *, loopback_only: bool) -> str:
    """Stop being root for good, once the ports are bound; returns a sentence for the journal, "" when never root.

    ``twistd --uid`` has done it already, or the state directory's owner is who we become. When that is root too, a
    service that only this machine can reach goes on for a trial; any other raises StillRoot.
    """
    if os.geteuid() != 0:
        return ""
    owner = os.stat(state)
    if owner.st_uid != 0:
        try:
            os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
        except KeyError:  # a container's user without a name
            os.setgroups([owner.st_gid])
        os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
        os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)
        return f"gave up root and became uid {owner.st_uid}, the owner of {state}"
    if loopback_only:
        return "still root: let pass because only this machine can reach the service; give the state directory a user"
    raise StillRoot(
        f"mailappliance does not stay root. Give {state} to a user of its own (chown -R USER:GROUP {state}), or start "
        "it with `twistd --uid USER --gid GROUP -n mailappliance` or with the systemd unit from etc/; ports below "
        "1024 are bound before root is given up"
    )


def tell_systemd(state: str, environ: Mapping[str, str] | None = None) -> bool:
    """Send ``READY=1`` or the like to the service manager that waits for it (sd_notify(3)); False without one."""
    address = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect("\0" + address[1:] if address[0] == "@" else address)
            sock.sendall(state.encode())
        except OSError:
            return False
    return True


def settle() -> None:
    """Once everything is imported and built: let threads switch early, and keep the collector from old objects.

    A full collection over everything that was imported takes tens of milliseconds; frozen objects are not looked at.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    tidy()  # what importing left behind: about a megabyte
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)


def tidy() -> None:
    """Collect dead rings of objects, then give the kernel back what the C library holds free; some milliseconds.

    A closed TLS connection is such a ring, and its C library's half (100 KiB) is nothing that the collector counts:
    one that was open during two of its rounds would wait for hours.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def give_memory_back() -> bool:
    """Keep glibc from learning to hold on to large blocks, and from a heap for each thread; False with another library.

    Call it before the first thread starts.

    The first freed message of some megabytes teaches it to serve blocks of that size from its heap, which then stays as
    large as it ever was: 20 MB more at rest, 30 MB more under large messages.
    """
    try:
        library = ctypes.CDLL(None)
        return bool(library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK) and library.mallopt(M_ARENA_MAX, MOST_ARENAS))
    except (AttributeError, OSError):
        return False


def raise_descriptor_limit(wanted: int = 8192) -> int:
    """Raise the soft limit of open files as far as ``wanted`` and the hard limit allow; returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        return target
    return soft


_UNSYNCHRONIZED = 0x40  # STA_UNSYNC


def odd_clock(now: float, last_run: float) -> str:
    """What is wrong with the clock, and what to do; "" when nothing is. ``last_run``: when we ran last, 0 for never."""
    remedy = "set it (timedatectl set-ntp true), or mail carries wrong dates and certificates look invalid"
    if now < PROGRAM_MADE:
        return f"this machine's clock stands before this program was made; {remedy}"
    if now < last_run - DAY:
        days = round((last_run - now) / DAY)
        return f"this machine's clock stands {days} day(s) before the last run: it is wrong now or was then; {remedy}"
    return ""


def clock_is_kept() -> bool | None:
    """Does anybody (chrony, timesyncd, ntpd, the host) keep the kernel's clock right? None where it cannot be asked."""
    import ctypes

    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_char * 512),
        )

    asked = Timex()  # modes 0: only read (adjtimex(2))
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else not asked.status & _UNSYNCHRONIZED


def last_change(path: str) -> float:
    """The file's time of change (epoch seconds); 0 when there is none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


class Lateness:
    """How late a timer of 10 ms is called: the longest time the reactor was kept from its work.

    Costs a hundred wake-ups a second, so it runs only when asked for.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due = 0.0
        self._timer: Timer | None = None
        self._telling: Timer | None = None
        self.longest = 0.0  # seconds, since start or the last reset

    def start(self) -> None:
        """Begin to measure."""
        self._due = self._clock.seconds() + LATENESS_INTERVAL
        self._timer = self._clock.callLater(LATENESS_INTERVAL, self._called)

    def tell_each_second(self, tell: Callable[[float], object]) -> None:
        """Begin in two seconds, when the start is over; from then on ``tell`` hears the longest of each second."""

        def tell_and_go_on() -> None:
            tell(self.reset())
            self._telling = self._clock.callLater(1.0, tell_and_go_on)

        def begin() -> None:
            self.start()
            self._telling = self._clock.callLater(1.0, tell_and_go_on)

        self._telling = self._clock.callLater(2.0, begin)

    def stop(self) -> None:
        """Measure no more."""
        for timer in (self._timer, self._telling):
            if timer is not None and timer.active():
                timer.cancel()

    def reset(self) -> float:
        """Begin anew; returns the longest lateness so far, in seconds."""
        longest, self.longest = self.longest, 0.0
        return longest

    def _called(self) -> None:
        self.longest = max(self.longest, self._clock.seconds() - self._due)
        self.start()
