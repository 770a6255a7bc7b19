"""Our own name under our own mail (fills ports/checks.Signing): keys kept in STATE/dkim, two signatures a message.

A key is a file STATE/dkim/DOMAIN/SELECTOR.pem, 0600; seen.json beside it tells when its record was first seen in the
DNS, which decides whose turn it is (checks/turns.py). Making, loading and signing are C code that releases the GIL and
happen beside the reactor.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Awaitable, Iterable

from twisted.internet.defer import Deferred, DeferredLock

from mailbox_appliance.checks.bodies import digests
from mailbox_appliance.checks.turns import REMOVABLE, SIGNS, WAITS, Turn, states
from mailbox_appliance.journal.events.checks import KeyMade, KeyRemoved, KeySeen, KeyUnreadable, NotSigned
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.canonical import RELAXED, BodyDigest, HeaderBlock
from mailbox_appliance.mailauth.sign import SigningKey, dkim_field, load_key, new_key, public_record
from mailbox_appliance.mailauth.signature import ED25519, RSA
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.workers import Busy, Workers

MOST_OCTETS = 65_536
_SUFFIX = ".pem"
_SEEN = "seen.json"
_DOMAIN = re.compile(r"(?!\.)[a-z0-9_.-]{1,253}")
_SELECTOR = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LETTER = {RSA: "r", ED25519: "e"}


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A key and when it was made (seconds since 1970)."""

    key: SigningKey
    made: float
    seen: float | None = None  # when its record was first seen in the DNS

    @property
    def turn(self) -> Turn:
        """What decides whether it signs."""
        return Turn(self.key.selector, self.key.algorithm, self.made, self.seen)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What must be published for one key."""

    name: str  # SELECTOR._domainkey.DOMAIN
    text: str
    algorithm: str
    state: str  # signs, waits, retired, removable
    made: float = 0.0

    @property
    def signs(self) -> bool:
        """Is it in use now?"""
        return self.state == SIGNS


@dataclass(frozen=True, slots=True)
class KeyFault:
    """A file that is no key, or cannot be read."""

    path: str
    reason: str


def _read_keys(folder: str, domain: str) -> tuple[list[KeptKey], list[KeyFault]]:
    """One bad file takes nothing from the others."""
    kept: list[KeptKey] = []
    place = os.path.join(folder, domain)
    try:
        names = sorted(os.listdir(place))
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [KeyFault(place, error.strerror or str(error))]
    faults: list[KeyFault] = []
    try:
        seen = _read_seen(place)
    except OSError as error:
        seen = {}
        faults.append(KeyFault(os.path.join(place, _SEEN), error.strerror or str(error)))
    for name in names[:64]:
        selector = name.removesuffix(_SUFFIX)
        if selector == name or not _SELECTOR.fullmatch(selector):
            continue
        path = os.path.join(place, name)
        try:
            with open(path, "rb") as file:
                key = load_key(domain, selector, file.read(MOST_OCTETS))
                kept.append(KeptKey(key, os.fstat(file.fileno()).st_mtime, seen.get(selector)))
        except OSError as error:
            faults.append(KeyFault(path, error.strerror or str(error)))
        except ValueError:
            # What the library says of it is long, and may quote the file.
            faults.append(KeyFault(path, "it is empty" if not os.path.getsize(path) else "it holds no key that signs"))
    return kept, faults


def _read_seen(place: str) -> dict[str, float]:
    """A file that is damaged costs a day of waiting, no more."""
    try:
        with open(os.path.join(place, _SEEN), "rb") as file:
            rows = json.loads(file.read(65536))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    if not isinstance(rows, dict):
        return {}
    return {name: float(moment) for name, moment in rows.items() if isinstance(moment, int | float)}


def _write_seen(folder: str, domain: str, seen: dict[str, float]) -> None:
    _put(os.path.join(folder, domain), _SEEN, json.dumps(seen, indent=1).encode())


def _remove_key(folder: str, domain: str, selector: str) -> None:
    os.unlink(os.path.join(folder, domain, selector + _SUFFIX))


def _write_key(folder: str, domain: str, selector: str, algorithm: str) -> None:
    place = os.path.join(folder, domain)
    os.makedirs(place, mode=0o700, exist_ok=True)
    _put(place, selector + _SUFFIX, new_key(algorithm))


def _put(place: str, name: str, octets: bytes) -> None:
    """Whole or not at all."""
    path = os.path.join(place, name)
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    place_descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(place_descriptor)
    finally:
        os.close(place_descriptor)


def _sign(block: HeaderBlock, body: BodyDigest, keys: tuple[SigningKey, ...], now: float) -> bytes:
    return b"".join(dkim_field(block, body, key, now) for key in keys)


class DkimKeys:
    """The keys of all our domains, loaded when first wanted."""

    def __init__(self, folder: str, workers: Workers, clock: Clock, journal: FullJournal) -> None:
        """``folder`` is STATE/dkim."""
        self._folder = folder
        self._workers = workers
        self._clock = clock
        self._journal = journal
        self._kept: dict[str, tuple[KeptKey, ...]] = {}
        self._faults: dict[str, list[KeyFault]] = {}
        self._making = DeferredLock()

    async def _of(self, domain: str) -> tuple[KeptKey, ...]:
        """Raises ValueError when there are keys but none of them can be read, and Busy."""
        kept = self._kept.get(domain)
        if kept is None:
            if not _DOMAIN.fullmatch(domain):
                return ()
            found, faults = await self._workers.run("disk", _read_keys, self._folder, domain)
            kept = tuple(found)
            self._note(domain, faults)
            if kept and not faults:  # what has none yet, or a broken one, is looked for again
                self._kept[domain] = kept
            if faults and not kept:
                raise ValueError(f"{faults[0].path}: {faults[0].reason}")
        return kept

    def _note(self, domain: str, faults: list[KeyFault]) -> None:
        known = self._faults.pop(domain, [])
        if faults:
            self._faults[domain] = faults
        for one in faults:
            if one not in known:
                self._journal.tell(KeyUnreadable(domain=domain, path=one.path, reason=one.reason))

    async def look(self, domain: str) -> tuple[int, tuple[KeyFault, ...]]:
        """How many keys the domain has on disk just now, and what is wrong with the others. Raises Busy."""
        self._kept.pop(domain, None)
        try:
            kept = await self._of(domain)
        except ValueError:
            kept = ()
        return len(kept), tuple(self._faults.get(domain, ()))

    async def signing(self, domain: str) -> tuple[SigningKey, ...]:
        """The keys that sign now, RSA first. Raises ValueError (none of them can be read) and Busy."""
        return self._turn(await self._of(domain))

    def _turn(self, kept: tuple[KeptKey, ...]) -> tuple[SigningKey, ...]:
        state = states([one.turn for one in kept], self._clock.seconds())
        signing = [one.key for one in kept if state[one.key.selector] == SIGNS]
        return tuple(sorted(signing, key=lambda key: key.algorithm != RSA))

    async def make(self, domain: str) -> tuple[KeyRecord, ...]:
        """A fresh pair of keys (RSA-2048, Ed25519) and all records to publish. Raises ValueError, OSError, Busy."""
        if not _DOMAIN.fullmatch(domain):
            raise ValueError(f"{domain!r} is no domain of ours")
        taken = {one.key.selector for one in await self._of(domain)}
        day = time.strftime("%Y%m%d", time.gmtime(self._clock.seconds()))
        for algorithm in (RSA, ED25519):
            selector, number = f"{_LETTER[algorithm]}{day}", 1
            while selector in taken:
                number += 1
                selector = f"{_LETTER[algorithm]}{day}-{number}"
            await self._workers.run("password", _write_key, self._folder, domain, selector, algorithm)
            self._journal.tell(KeyMade(domain=domain, selector=selector))
        self._kept.pop(domain, None)
        return await self.records(domain)

    async def ensure(self, domain: str) -> tuple[KeyRecord, ...]:
        """The records of the domain's keys, made now when it has none. Raises ValueError, OSError, Busy."""
        await self._making.acquire()
        try:
            return await self.records(domain) or await self.make(domain)
        finally:
            self._making.release()

    async def rotate(self, domain: str) -> tuple[KeyRecord, ...]:
        """Fresh keys that sign once the world sees their records, unless such wait already; all records.

        Raises ValueError, OSError, Busy.
        """
        await self._making.acquire()
        try:
            known = await self.records(domain)
            return known if any(one.state == WAITS for one in known) else await self.make(domain)
        finally:
            self._making.release()

    async def records(self, domain: str) -> tuple[KeyRecord, ...]:
        """What the domain must publish for its keys, old and new; a removable one no longer."""
        kept = await self._of(domain)
        state = states([one.turn for one in kept], self._clock.seconds())
        return tuple(
            KeyRecord(
                f"{one.key.selector}._domainkey.{domain}",
                public_record(one.key),
                one.key.algorithm,
                state[one.key.selector],
                one.made,
            )
            for one in kept
        )

    async def saw(self, domain: str, names: Iterable[str]) -> None:
        """These records of ours are in the DNS, as they should be. Raises OSError, ValueError, Busy."""
        kept = await self._of(domain)
        selectors = {name.partition(".")[0] for name in names}
        fresh = [one.key.selector for one in kept if one.seen is None and one.key.selector in selectors]
        if not fresh:
            return
        now = self._clock.seconds()
        seen = {one.key.selector: one.seen for one in kept if one.seen is not None} | dict.fromkeys(fresh, now)
        await self._workers.run("disk", _write_seen, self._folder, domain, seen)
        self._kept.pop(domain, None)
        for selector in fresh:
            self._journal.tell(KeySeen(domain=domain, selector=selector))

    async def clear(self, domain: str, names: Iterable[str]) -> None:
        """These are in the DNS no longer: removable keys among them go for good. Raises OSError, ValueError, Busy."""
        gone = {name.partition(".")[0] for name in names}
        for one in await self.records(domain):
            selector = one.name.partition(".")[0]
            if one.state == REMOVABLE and selector in gone:
                await self._workers.run("disk", _remove_key, self._folder, domain, selector)
                self._kept.pop(domain, None)
                self._journal.tell(KeyRemoved(domain=domain, selector=selector))

    def forget(self) -> None:
        """Read the files again when next wanted (reload)."""
        self._kept.clear()


class Signer:
    """Fills ports/checks.Signing."""

    def __init__(self, keys: DkimKeys, workers: Workers, clock: Clock, journal: FullJournal) -> None:
        self._keys = keys
        self._workers = workers
        self._clock = clock
        self._journal = journal

    def sign(self, content: Content, domain: str) -> Awaitable[bytes]:
        """ports/checks.Signing."""
        return Deferred.fromCoroutine(self._signed(content, domain))

    async def _signed(self, content: Content, domain: str) -> bytes:
        try:
            keys = await self._keys.signing(domain)
            if not keys:
                return b""
            body = (await digests(content, {RELAXED}, self._workers, self._clock))[RELAXED]
            block = HeaderBlock(content.header)
            if block.cut:
                raise ValueError("the message has too many header fields")
            return await self._workers.run("disk", _sign, block, body, keys, self._clock.seconds())
        except (Busy, OSError, ValueError) as error:
            self._journal.tell(NotSigned(domain=domain, reason=f"{type(error).__name__}: {error}"[:250]))
            return b""
        except Exception as error:  # noqa: BLE001 - mail leaves unsigned rather than not at all
            self._journal.broken("checks.signing", error)
            return b""
