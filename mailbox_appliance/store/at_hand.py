"""What the kernel has in memory is read in the reactor: going to a worker and back costs more than such a read.

Nothing here waits for a disk. A file is opened by openat2(2) with RESOLVE_CACHED, which fails where a directory or an
inode would have to be fetched, and read by preadv2(2) with RWF_NOWAIT, which gives no more than there is; on kernels
that know neither, and for whatever is not in memory, workers read. SQLite cannot be asked so: where a look into the
index ever takes long, the reactor leaves it alone for a while (``Patience``).
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from types import TracebackType
from typing import Any

from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.store.durable import NO_PLAIN_FILE, READING

MOST_OCTETS = 64 * 1024  # of a file; a longer one is not worth the reactor's time
FEW = 4  # files read so at once
FEW_ROWS = 64  # rows of the index
SLOW = 0.002  # seconds that a look into the index may take of a disk's time
REST = 10.0  # seconds for which the reactor then leaves it alone
_OPENAT2 = 437  # the same number on every architecture
_AT_FDCWD = -100
_RESOLVE_CACHED = 0x20


class Files:
    """Opens and reads small files that are in memory already."""

    __slots__ = ("_call",)

    def __init__(self) -> None:
        self._call: Callable[[bytes], int] | None = None

    def read(self, path: str, size: int) -> bytes | None:
        """The octets of a file of ``size`` octets, or None: it is not at hand, or another one by now."""
        if size > MOST_OCTETS:
            return None
        if self._call is None:
            self._call = _opener()
        try:
            fd = self._call(os.fsencode(path))
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EINVAL, errno.EPERM):
                self._call = _never
            return None
        try:
            room = bytearray(size + 1)
            if os.preadv(fd, [room], 0, os.RWF_NOWAIT) != size:
                return None
            return bytes(memoryview(room)[:size])
        except OSError as error:
            if error.errno not in NO_PLAIN_FILE:  # this file system does not know how
                self._call = _never
            return None
        finally:
            os.close(fd)


def _never(path: bytes) -> int:
    raise BlockingIOError(errno.EAGAIN, "not from memory here")


def _opener() -> Callable[[bytes], int]:
    if not hasattr(os, "RWF_NOWAIT"):
        return _never
    import ctypes

    class OpenHow(ctypes.Structure):
        _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))

    how = OpenHow(READING, 0, _RESOLVE_CACHED)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    library: Any = ctypes.PyDLL(None, use_errno=True)  # no wait, and so no need to let go of the interpreter
    syscall = library.syscall
    syscall.restype = ctypes.c_long
    number, here, pointer = ctypes.c_long(_OPENAT2), ctypes.c_int(_AT_FDCWD), ctypes.byref(how)

    def call(path: bytes) -> int:
        fd: int = syscall(number, here, path, pointer, size)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "openat2")
        return fd

    return call


class Patience:
    """May the reactor look into the index itself? Not for a while after a look for which a disk took long.

    ``with patience:`` around a look. A thread that only had to wait for a processor has read no blocks.
    """

    __slots__ = ("_began", "_blocks", "_clock", "_rests_until")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rests_until = 0.0
        self._began = 0.0
        self._blocks = 0

    def __bool__(self) -> bool:
        return not 0 < self._rests_until - self._clock.seconds() <= REST

    def __enter__(self) -> None:
        self._began = self._clock.seconds()
        self._blocks = blocks_read()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        now = self._clock.seconds()
        if now - self._began > SLOW and blocks_read() != self._blocks:
            self._rests_until = now + REST


def blocks_read() -> int:
    """How many blocks this thread has had to fetch from a disk so far."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock
