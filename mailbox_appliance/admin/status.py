"""Is all well? Five lines, each "ok" or what to do: mail in, mail out, certificate, disk, name servers."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from mailbox_appliance.admin.parts import Door
from mailbox_appliance.admin.result import Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import size_words, span_words
from mailbox_appliance.config.model import Config
from mailbox_appliance.dns.servers import ServerState
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.certificates import Certificates
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.queue import QueueDesk
from mailbox_appliance.ports.users import Directory

# Mail that has been tried for so long without success is trouble (the delay notice goes out at 4 h).
LATE = 3600.0
CERTIFICATE_SOON = 14 * 86400.0
DISK_LOW = 512 << 20
DISK_FULL = 64 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``status``: ``remedy`` is "" when all is well."""

    what: str
    words: str
    remedy: str = ""

    @property
    def good(self) -> bool:
        """Nothing to do."""
        return not self.remedy


Check = Callable[[], Awaitable[Finding]]


class StatusDesk:
    """Runs its checks one after the other; exit code 1 when one of them found something to do."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = checks

    async def status(self, arguments: Arguments) -> Result:
        """Look at everything."""
        findings = [await _asked(check) for check in self._checks]
        width = max(len(finding.what) for finding in findings) + 1
        lines = []
        for finding in findings:
            verdict = "ok" if finding.good else "TO DO"
            lines.append(f"{finding.what + ':':<{width}} {verdict}: {finding.words}")
            if finding.remedy:
                lines += [f"{'':<{width}} → {line}" for line in finding.remedy.splitlines()]
        good = all(finding.good for finding in findings)
        data = {
            "good": good,
            "checks": [
                {"what": one.what, "good": one.good, "words": one.words, "remedy": one.remedy} for one in findings
            ],
        }
        return Result(tuple(lines), data=data, code=0 if good else 1)


async def _asked(check: Check) -> Finding:
    """A check that breaks is a finding itself: the others are still worth reading."""
    try:
        return await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the owner shall see the rest
        what = getattr(check, "__qualname__", "a check").partition(".<locals>")[0].rpartition(".")[2].replace("_", " ")
        return Finding(what, f"could not be asked: {error}", "look for journal.broken in the journal")


def mail_in(doors: Callable[[], Sequence[Door]], directory: Directory) -> Check:
    """The doors are open, and somebody lives here."""

    async def check() -> Finding:
        shut = [door for door in doors() if door.trouble]
        if shut:
            words = "; ".join(f"{door.protocol} {door.endpoint}: {door.trouble}" for door in shut)
            return Finding("mail in", words, "free that port or change it in [listen], then restart")
        if not any(door.protocol in ("smtp", "lmtp") for door in doors()):
            return Finding("mail in", "no port for mail from other servers is open", "set listen.smtp in the config")
        domains = directory.domains()
        if not domains:
            return Finding("mail in", "no domain yet", "mailappliance domain add example.org")
        accounts = await directory.accounts()
        if not accounts:
            return Finding("mail in", "no account yet", f"mailappliance account add you@{min(domains)}")
        return Finding("mail in", f"{len(domains)} domain(s), {len(accounts)} account(s), {len(doors())} open doors")

    return check


def mail_out(queue: QueueDesk, config: Config, clock: Clock) -> Check:
    """There is a way out, and nothing waits for long."""

    async def check() -> Finding:
        if config.local:
            return Finding("mail out", "local mode, nothing leaves this machine")
        route = "edge" if config.sends_by_edge else config.relay.route
        ways = {
            "edge": "by the edge",
            "smarthost": f"by {config.relay.smarthost}",
            "direct": "direct to each domain's mail host",
        }
        if route == "none":
            remedy = "set relay.smarthost, or relay.direct = true, in the config"
            return Finding("mail out", "no way out is configured", remedy)
        messages = await queue.listing()
        now = clock.seconds()
        late = [
            (message, one)
            for message in messages
            for one in message.recipients
            if one.tries and one.state != "held" and now - message.arrived > LATE
        ]
        held = sum(one.state == "held" for message in messages for one in message.recipients)
        if late:
            message, one = late[0]
            words = (
                f"{len(late)} recipient(s) wait although they were tried; the oldest, {one.address}, for "
                f"{span_words(now - message.arrived)}: {one.last_reply or 'no answer'}"
            )
            return Finding("mail out", words, f"mailappliance relay test {one.address}\nmailappliance queue list")
        words = f"{ways[route]}, {len(messages)} message(s) in the queue"
        return Finding("mail out", words + (f", {held} recipient(s) held" if held else ""))

    return check


def certificate(certificates: Certificates, clock: Clock) -> Check:
    """Every certificate is in order and stays so for a while."""

    async def check() -> Finding:
        states = certificates.states()
        if not states:
            return Finding("certificate", "there is none", "mailappliance cert renew")
        now = clock.seconds()
        for state in states:
            names = ", ".join(state.names)
            files = "renew the files named in [tls], then: mailappliance reload"
            remedy = files if state.source == "files" else "mailappliance cert renew"
            if state.not_before > now:
                return Finding("certificate", f"{names}: not valid yet", "set this machine's clock (timedatectl)")
            if state.not_after <= now:
                return Finding("certificate", f"{names}: ended {span_words(now - state.not_after)} ago", remedy)
            if state.trouble:
                return Finding("certificate", f"{names}: {state.trouble}", remedy)
            if state.not_after - now < CERTIFICATE_SOON and state.source != "acme":
                return Finding("certificate", f"{names}: ends in {span_words(state.not_after - now)}", remedy)
        first = min(states, key=lambda state: state.not_after)
        words = f"{', '.join(first.names)} ({first.source}), {span_words(first.not_after - now)} left"
        return Finding("certificate", words)

    return check


def disk(state: str) -> Check:
    """There is room, and it can be written."""

    async def check() -> Finding:
        try:
            about = os.statvfs(state)
        except OSError as error:
            return Finding("disk", f"{state}: {error.strerror}", "look at that folder and its disk")
        free = about.f_bavail * about.f_frsize
        if about.f_flag & os.ST_RDONLY:
            reason = os.strerror(errno.EROFS)
            return Finding("disk", f"{state}: {reason}", "mount it for writing (a disk with faults is often the cause)")
        if free < DISK_FULL:
            words = f"{state} is full ({size_words(free)} left); new mail is put off with 452"
            return Finding("disk", words, "make room, or move the state folder to a larger disk")
        if about.f_files and not about.f_favail:
            return Finding("disk", f"{state} has no inodes left", "delete files, or move the state folder")
        if free < DISK_LOW:
            return Finding("disk", f"{state} has only {size_words(free)} left", "make room soon")
        return Finding("disk", f"{size_words(free)} free")

    return check


def name_servers(
    probe: Callable[[], Awaitable[Sequence[ServerState]]] | None, unsure: Callable[[], int] = lambda: 0
) -> Check:
    """Each one answers. ``probe`` asks them all now; None: local mode, nobody is asked.

    ``unsure`` counts the messages since the start whose checks lacked an answer.
    """

    async def check() -> Finding:
        if probe is None:
            return Finding("name servers", "not needed in local mode")
        states = await probe()
        remedy = "look at /etc/resolv.conf, or name servers that answer in dns.servers"
        if not states:
            return Finding("name servers", "there is none to ask", remedy)
        silent = "; ".join(f"{one.server}: {one.reason or 'silent'}" for one in states if one.good is False)
        if not any(one.good for one in states):
            return Finding("name servers", f"no answer: {silent}", remedy)
        answering = ", ".join(one.server for one in states if one.good)
        if silent:
            return Finding("name servers", f"{answering} answers, but not all do: {silent}", remedy)
        lacking = unsure()
        words = f"; since the start {lacking} message(s) were checked without some answer" if lacking else ""
        return Finding("name servers", f"{answering}: good{words}")

    return check


def junk_filter(is_alive: Callable[[], Awaitable[bool]]) -> Check:
    """It passes its own test."""

    async def check() -> Finding:
        if await is_alive():
            return Finding("junk filter", "it knows the test text for junk and a plain letter for none")
        remedy = "the journal's line junk.filter_dead tells why\nrepair or remove the file it names, then restart"
        return Finding("junk filter", "it failed its own test: junk may pass", remedy)

    return check


def held_domains(found: Sequence[tuple[str, float, int]]) -> Finding:
    """What ``queue hold --domain`` keeps back: (domain, since when, how many recipients)."""
    if not found:
        return Finding("held domains", "none")
    names = ", ".join(f"{domain} ({waiting} waiting)" for domain, _, waiting in found)
    return Finding("held domains", names, f"mailappliance queue release --domain {found[0][0]} lets it go")


def domain_records(bad: Mapping[str, int], looked: float, now: float) -> Finding:
    """What the daily look at our domains' records has found: ``bad`` counts what needs a hand, by domain."""
    if not looked:
        return Finding("records", "not looked at yet")
    wrong = {domain: number for domain, number in bad.items() if number}
    ago = span_words(max(0.0, now - looked))
    if not wrong:
        return Finding("records", f"{len(bad)} domain(s) are published as they should be, seen {ago} ago")
    names = ", ".join(f"{domain} ({number})" for domain, number in sorted(wrong.items()))
    return Finding(
        "records", f"not as they should be, seen {ago} ago: {names}", f"mailappliance dns check {min(wrong)}"
    )


class KeyFiles(Protocol):
    """Of the keys that sign our mail."""

    def look(self, domain: str) -> Awaitable[tuple[int, Sequence[Unreadable]]]:
        """How many there are, and what cannot be read."""


class Unreadable(Protocol):
    """A file, and what is wrong with it."""

    @property
    def path(self) -> str: ...
    @property
    def reason(self) -> str: ...


def signing_keys(keys: KeyFiles, domains: Callable[[], frozenset[str]]) -> Check:
    """Each domain's keys can be read, so its mail leaves signed."""

    async def check() -> Finding:
        count, troubles, remedies = 0, [], []
        for domain in sorted(domains()):
            good, faults = await keys.look(domain)
            count += good
            leaves = "signed by its other keys" if good else "unsigned"
            for one in faults[:5]:
                troubles.append(f"{one.path}: {one.reason}, mail of {domain} leaves {leaves}")
                remedies += [
                    f"put {one.path} back from a backup, readable by the service",
                    f"or without one remove it, say `mailappliance dns rotate {domain}` and publish what that prints",
                ]
            if not good and not faults:
                troubles.append(f"{domain} has no signing key, its mail leaves unsigned")
                remedies.append(f"mailappliance dns rotate {domain}, and publish what it prints")
        if troubles:
            return Finding("signing keys", "; ".join(troubles[:5]), "\n".join(remedies[:10]))
        return Finding("signing keys", f"{count} for {len(domains())} domain(s)")

    return check


def weak_passwords(weak: Callable[[], Sequence[tuple[Address, str, bool]]]) -> Check:
    """``weak`` tells (account, kind, whether it may send all the same)."""

    async def check() -> Finding:
        found = weak()
        names = ", ".join(str(account) for account, _, allowed in found if not allowed)
        if names:
            remedy = "have them changed: mailappliance account link ADDRESS, or account password ADDRESS"
            return Finding("passwords", f"guessed easily, and sending from home only: {names}"[:500], remedy)
        allowed = f"; {len(found)} weak one(s) may send by your leave" if found else ""
        return Finding("passwords", f"none is known to be weak{allowed}")

    return check
