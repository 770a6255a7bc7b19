"""The daily look at our domains: what has changed goes to the owner once; keys that are old get successors."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mailbox_appliance.admin.keylines import KeyRecord, after_rotation, key_lines
from mailbox_appliance.admin.names import Examined, Keys, form_zone
from mailbox_appliance.admin.result import Refused
from mailbox_appliance.journal.events.dns import RecordsChanged
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.publish import MAY
from mailbox_appliance.mailauth.published import SEEN, UNKNOWN, WRONG, Finding
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.workers import Busy, Workers

DAY = 86_400.0
MOST_OCTETS = 1 << 20
MOST_DOMAINS = 200

Tell = Callable[[str, str, str], Awaitable[bool]]  # domain, subject, text


@dataclass(frozen=True, slots=True)
class Changes:
    """Between two looks: what has become worse, what is well again, and the state of everything to remember."""

    worse: tuple[Finding, ...]
    mended: tuple[str, ...]
    states: dict[str, str]


def changes(before: Mapping[str, str], findings: Sequence[Finding], waiting: frozenset[str] = frozenset()) -> Changes:
    """``waiting`` names the records of keys that are new: that they are not there yet, the owner has heard."""
    states: dict[str, str] = {}
    worse, mended = [], []
    for one in findings:
        key = f"{one.rdtype} {one.name}"
        was = before.get(key, "")
        if one.state == UNKNOWN:  # no answer is no change
            if was:
                states[key] = was
            continue
        states[key] = one.state
        if one.state == SEEN:
            if was and was != SEEN:
                mended.append(key)
        elif was != one.state and one.name not in waiting and (one.tier != MAY or one.state == WRONG or was == SEEN):
            worse.append(one)
    # Listings, certificates and clocks are only spoken of while something is wrong with them.
    mended += [key for key, was in before.items() if key not in states and was != SEEN and not _is_record(key)]
    return Changes(tuple(worse), tuple(mended), states)


def _is_record(key: str) -> bool:
    return key.partition(" ")[0] not in ("DNSBL", "certificate", "clock")


class DomainWatch:
    """``path`` is STATE/names.json. ``tell`` writes to a domain's owner; ``rotate_days`` 0: keys stay."""

    def __init__(
        self,
        examine: Callable[[str], Awaitable[Examined]],
        keys: Keys,
        domains: Callable[[], frozenset[str]],
        path: str,
        clock: Clock,
        workers: Workers,
        journal: Journal,
        tell: Tell,
        rotate_days: Callable[[], int],
    ) -> None:
        self._examine = examine
        self._keys = keys
        self._domains = domains
        self._path = path
        self._clock = clock
        self._workers = workers
        self._journal = journal
        self._tell = tell
        self._rotate_days = rotate_days
        self.bad: dict[str, int] = {}
        self.looked = 0.0

    async def look(self) -> None:
        """At every domain. Raises OSError and Busy when what was seen cannot be kept."""
        known = await self._workers.run("disk", _read, self._path)
        found: dict[str, dict[str, str]] = {}
        bad: dict[str, int] = {}
        for domain in sorted(self._domains())[:MOST_DOMAINS]:
            before = known.get(domain, {})
            try:
                examined = await self._examine(domain)
                found[domain] = await self._tell_changes(domain, before, examined)
                bad[domain] = sum(one.state not in (SEEN, UNKNOWN) and one.tier != MAY for one in examined.findings)
                await self._rotate(domain, examined)
            except (Refused, OSError, ValueError, Busy):
                found.setdefault(domain, before)  # asked again tomorrow; who could not be read has been told of
        self.bad, self.looked = bad, self._clock.seconds()
        if found != known:
            await self._workers.run("disk", _write, self._path, found)

    async def _tell_changes(self, domain: str, before: dict[str, str], examined: Examined) -> dict[str, str]:
        """What to remember: as it was when the owner could not be told."""
        waiting = frozenset(one.name for one in examined.keys if one.state == "waits")
        new = changes(before, examined.findings, waiting)
        removable = [one.name for one in examined.keys if one.state == "removable"]
        marks = {f"removable {name}": SEEN for name in removable}
        fresh = [name for name in removable if f"removable {name}" not in before]
        if new.worse or new.mended or fresh:
            subject, text = letter(domain, new, fresh)
            if not await self._tell(domain, subject, text):
                return before
            worse = tuple(f"{one.rdtype} {one.name}" for one in new.worse)
            self._journal.tell(RecordsChanged(domain=domain, worse=worse, mended=new.mended))
        return new.states | marks

    async def _rotate(self, domain: str, examined: Examined) -> None:
        """New keys when it is time, and the DNS is seen to have the present ones."""
        days = self._rotate_days()
        signing = [one for one in examined.keys if one.state == "signs"]
        if not days or not signing or any(one.state == "waits" for one in examined.keys):
            return
        seen = {one.name for one in examined.findings if one.state == SEEN}
        now = self._clock.seconds()
        if not all(one.name in seen and now - one.made >= days * DAY for one in signing):
            return
        made = await self._keys.rotate(domain)
        waiting = [one for one in made if one.state == "waits"]
        await self._tell(domain, f"New signing keys for {domain}: please publish them", rotation_text(domain, waiting))


def letter(domain: str, new: Changes, removable: Sequence[str]) -> tuple[str, str]:
    """Subject and text for the owner."""
    lines = []
    for one in new.worse:
        lines += [f"{one.rdtype} {one.name}: {one.words}", f"  -> {one.remedy}", ""]
    if new.mended:
        lines += ["Well again:", *(f"  {key}" for key in new.mended), ""]
    if removable:
        lines += ["Other keys sign since two weeks, so these records may be taken out of the DNS:"]
        lines += [*(f"  TXT {name}" for name in removable), ""]
    if new.worse:
        subject = f"{domain}: {len(new.worse)} thing(s) need a hand"
    elif new.mended:
        subject = f"{domain}: well again"
    else:
        subject = f"{domain}: old records may go"
    lines += [f"Everything about it: mailappliance dns check {domain}", "You hear of each change once."]
    return subject, "\n".join(lines) + "\n"


def rotation_text(domain: str, waiting: Sequence[KeyRecord]) -> str:
    """What to publish, and what happens then."""
    lines = [f"The keys that sign the mail of {domain} have grown old, and new ones were made.", ""]
    lines += [
        "Publish their records beside the old ones:",
        *key_lines(waiting, form_zone(domain)),
        "",
        *after_rotation(domain),
    ]
    return "\n".join(lines) + "\n"


def _read(path: str) -> dict[str, dict[str, str]]:
    """A damaged file costs a letter said twice."""
    try:
        with open(path, "rb") as file:
            found: Any = json.loads(file.read(MOST_OCTETS))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        domain: {str(key): str(state) for key, state in rows.items()}
        for domain, rows in found.items()
        if isinstance(rows, dict)
    }


def _write(path: str, found: Mapping[str, Mapping[str, str]]) -> None:
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
