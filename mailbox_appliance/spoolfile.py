"""Files in STATE/spool for messages too large for memory, between their arrival and their place in a mailbox."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from typing import BinaryIO

_PREFIX = "append-"


def open_spool(folder: str) -> BinaryIO:
    """A new file to write to, in ``folder``, which is made when it is missing. Blocks: for workers. Raises OSError."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    descriptor, path = tempfile.mkstemp(prefix=_PREFIX, dir=folder)
    # Opened by its path, since whoever stores the message reads it by ``name``.
    return open(path, "wb", opener=lambda _path, _flags: descriptor)


def remove_spool(file: BinaryIO) -> None:
    """Close it and remove it. Blocks: for workers."""
    file.close()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file.name)


def sweep_spool(folder: str) -> int:
    """Remove what a crash has left; returns how many files. For the start, before anything else is written there."""
    left = glob.glob(os.path.join(glob.escape(folder), f"{_PREFIX}*"))
    for path in left:
        os.unlink(path)
    return len(left)
