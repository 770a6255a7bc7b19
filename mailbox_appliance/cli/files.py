"""Files for the service, read here by whoever typed the command: in loads that the control socket takes."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_LOAD = 2 << 20  # octets sent at once
_LARGEST = 64 << 20  # of one file (an mbox is taken whole)


def loads_of(names: Iterable[str], refuse: Callable[[str], Any]) -> Iterator[list[dict[str, str]]]:
    """Names with octets in base 64. A folder stands for the files in it; ``refuse`` ends the command with a reason."""
    load: list[dict[str, str]] = []
    size = 0
    for name in names:
        for path in _paths(name):
            try:
                octets = _read(path)
            except OSError as error:
                refuse(f"{path} cannot be read: {error.strerror}")
                return
            if len(octets) > _LARGEST:
                refuse(f"{path} is larger than {_LARGEST >> 20} MB: cut it into pieces")
                return
            if load and size + len(octets) > _LOAD:
                yield load
                load, size = [], 0
            load.append({"name": path, "octets": base64.b64encode(octets).decode()})
            size += len(octets)
    if load:
        yield load


def _paths(name: str) -> list[str]:
    if not os.path.isdir(name):
        return [name]
    return sorted(entry.path for entry in os.scandir(name) if entry.is_file())


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(_LARGEST + 1)
    with open(path, "rb") as file:
        return file.read(_LARGEST + 1)
