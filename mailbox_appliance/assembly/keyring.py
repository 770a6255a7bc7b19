"""A secret of this machine that proves addresses of our own making: a file of keys, 0600, the newest first.

A new key is made now and then; older ones are kept for as long as what they have signed may come back.
"""

from __future__ import annotations

import os
import secrets

from twisted.internet.defer import DeferredLock

from mailbox_appliance.journal.events.journal import FileLost
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.workers import Workers

DAY = 86_400.0
MOST_KEYS = 16


class KeyRing:
    """``path`` such as STATE/srs.key. ``renew`` and ``keep_old`` in seconds; ``renew`` 0: only by hand."""

    def __init__(
        self,
        path: str,
        workers: Workers,
        clock: Clock,
        journal: Journal,
        *,
        renew: float = 180 * DAY,
        keep_old: float = 30 * DAY,
    ) -> None:
        self._path = path
        self._workers = workers
        self._clock = clock
        self._journal = journal
        self._renew = renew
        self._keep_old = keep_old
        self._keys: list[tuple[bytes, float]] = []
        self._reading = DeferredLock()

    async def keys(self) -> tuple[bytes, ...]:
        """The first makes proofs, all are recognized; read, or made, at the first use. Raises OSError.

        A damaged file is put aside for a new one, and the journal says so.
        """
        if not self._keys:
            await self._reading.acquire()
            try:
                if not self._keys:
                    self._keys, aside = await self._workers.run(
                        "disk", _read_or_make, self._path, self._clock.seconds()
                    )
                    if aside:
                        lost = "the key that proves addresses made so far: put a copy back if there is one"
                        reason = "it holds no keys"
                        self._journal.tell(FileLost(path=self._path, lost=lost, kept_as=aside, reason=reason))
            finally:
                self._reading.release()
        return tuple(key for key, _ in self._keys)

    async def look_after(self) -> None:
        """Once a day: a new key when it is time, and away with what is too old. Raises OSError."""
        await self.keys()
        now = self._clock.seconds()
        kept = list(self._keys)
        if self._renew and now - kept[0][1] >= self._renew:
            kept.insert(0, (secrets.token_bytes(32), now))
        # A key made proofs until its successor came.
        kept = kept[:1] + [old for old, newer in zip(kept[1:], kept, strict=False) if now - newer[1] < self._keep_old]
        if kept != self._keys:
            await self._workers.run("disk", _write, self._path, kept[:MOST_KEYS])
            self._keys = kept[:MOST_KEYS]


def _read_or_make(path: str, now: float) -> tuple[list[tuple[bytes, float]], str]:
    """The keys, and where a damaged file lies now."""
    aside = ""
    try:
        with open(path, encoding="utf-8") as file:
            rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
        keys = [(bytes.fromhex(key), float(made)) for key, made in rows]
        if keys and min(len(key) for key, _ in keys) < 16:
            raise ValueError("a key is too short")
    except FileNotFoundError:
        keys = []
    except ValueError:  # UnicodeDecodeError is one
        keys, aside = [], f"{path}.damaged"
        os.replace(path, aside)
    if not keys:
        keys = [(secrets.token_bytes(32), now)]
        _write(path, keys)
    return keys, aside


def _write(path: str, keys: list[tuple[bytes, float]]) -> None:
    text = "# Secret. Key and when it was made; the first is in use.\n"
    text += "".join(f"{key.hex()} {made:.0f}\n" for key, made in keys)
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
