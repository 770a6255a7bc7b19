"""The domain's records: dns records shows what to publish, dns check what the world sees of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from mailbox_appliance.admin.keylines import KeyRecord, after_rotation, key_lines
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import domain_argument, span_words
from mailbox_appliance.checks.connection import check_lists
from mailbox_appliance.checks.domains import registered
from mailbox_appliance.checks.lookups import Inquiry
from mailbox_appliance.checks.settings import dns_lists
from mailbox_appliance.config.model import Config
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.forms import address_of, form_fields, form_line
from mailbox_appliance.mailauth.lookups import Answers, settle
from mailbox_appliance.mailauth.publish import (
    MAY,
    MUST,
    SHOULD,
    STRING_OCTETS,
    DnsRecord,
    Publication,
    records,
    split_text,
    zone_file,
)
from mailbox_appliance.mailauth.published import NOT_YET, SEEN, WRONG, Finding, Subject, compare
from mailbox_appliance.ports.certificates import CertificateState
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.dns import Answer, Resolver, Status
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.ports.workers import Busy

CLOCK_OFF = 300.0  # seconds: with less nobody quarrels
CERTIFICATE_SOON = 14 * 86_400.0
LOOK_UP_SECONDS = 30.0  # all of one check together
TIERS = {MUST: "must", SHOULD: "should", MAY: "may"}
_HEADS = {
    MUST: "MUST be there: without these mail is lost or refused",
    SHOULD: "SHOULD be there: many look at these",
    MAY: "MAY be there",
}
# Whom a CAA record must name for the directories people use; others are left to the owner.
_ISSUERS = {"letsencrypt.org": "letsencrypt.org", "pki.goog": "pki.goog", "zerossl.com": "sectigo.com"}


class Keys(Protocol):
    """Filled by checks.signing.DkimKeys."""

    def records(self, domain: str) -> Awaitable[Sequence[KeyRecord]]: ...
    def rotate(self, domain: str) -> Awaitable[Sequence[KeyRecord]]: ...
    def saw(self, domain: str, names: Iterable[str]) -> Awaitable[None]: ...
    def clear(self, domain: str, names: Iterable[str]) -> Awaitable[None]: ...


class TimeOfDay(Protocol):
    """Filled by acme.timeofday.TimeOfDay."""

    def ahead(self, host: str) -> Awaitable[float | None]: ...


class Keeper(Protocol):
    """Filled by acme.keeper.CertificateKeeper."""

    def tlsa(self) -> tuple[str, ...]: ...
    def states(self) -> tuple[CertificateState, ...]: ...


@dataclass(frozen=True, slots=True)
class Examined:
    """What the world sees of one domain."""

    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    keys: tuple[KeyRecord, ...]

    @property
    def good(self) -> bool:
        """Nothing that must or should be is amiss."""
        return all(one.state == SEEN or one.tier == MAY for one in self.findings)


class NamesDesk:
    """``own_addresses`` tells the machine's public addresses (none behind NAT); ``forget`` empties the DNS cache."""

    def __init__(
        self,
        config_now: Callable[[], Config],
        directory: Directory,
        keys: Keys,
        keeper: Keeper,
        resolver: Resolver,
        clock: Clock,
        own_addresses: Callable[[], frozenset[str]],
        forget: Callable[[], None],
        policy_id: Callable[[], str] = str,
        mail_host: Callable[[], str] = str,
        clock_is_kept: Callable[[], bool | None] = lambda: None,
        time_of_day: TimeOfDay | None = None,
    ) -> None:
        """``policy_id`` of the MTA-STS policy that we serve, "" when we serve none; ``mail_host``: a store's edge;
        ``clock_is_kept``: None where nobody knows; ``time_of_day``: whom to ask for the time."""
        self._time_of_day = time_of_day
        self._clock_is_kept = clock_is_kept
        self._mail_host = mail_host
        self._policy_id = policy_id
        self._config_now = config_now
        self._directory = directory
        self._keys = keys
        self._keeper = keeper
        self._resolver = resolver
        self._clock = clock
        self._own_addresses = own_addresses
        self._forget = forget

    async def records(self, arguments: Arguments) -> Result:
        """What the domain should publish, musts first."""
        domain = self._ours(arguments)
        subject, remarks = await self._subject(domain)
        found = records(subject.publication)
        zone = subject.publication.zone
        data = [_record_data(one, zone) for one in found]
        if arguments.get("zone"):
            lines = zone_file(found).splitlines()
            return Result((*(f"; {remark}" for remark in remarks), *lines), data=data)
        lines = [
            f"Most forms add {zone} to a name by themselves: type the short one there, @ for the",
            "domain itself (some want nothing instead). Zone files want the long names, and dots at ends.",
        ]
        for tier, head in _HEADS.items():
            mine = [one for one in found if one.tier == tier]
            if not mine:
                continue
            lines += ["", head]
            for number, one in enumerate(mine, 1):
                lines += ["", f"{number}. {one.rdtype} {one.name}", f"   ({one.why})", f"   {one.value}"]
                if one.rdtype == "TXT" and len(one.value) > STRING_OCTETS:
                    lines += ["   where the provider's form takes no more than 255 characters a piece:"]
                    lines += [f"   {split_text(one.value)}"]
                lines.append(f"   {form_line(one, zone)}")
        lines += ["", *remarks, f"when it is done: mailappliance dns check {domain}"]
        return Result(tuple(lines), data=data)

    async def check(self, arguments: Arguments) -> Result:
        """What the world sees of it; exit code 1 when a must or a should is not as it has to be."""
        domain = self._ours(arguments)
        if self._config.local:
            raise Refused("local mode asks nobody for names: this needs a config of your own")
        self._forget()
        examined = await self.examine(domain)
        findings, remarks, good = examined.findings, examined.remarks, examined.good
        lines = []
        for tier in TIERS:
            for one in findings:
                if one.tier == tier:
                    name = address_of(one.name) if one.rdtype == "PTR" else one.name
                    lines.append(f"{one.state:<8} {tier:<6} {one.rdtype} {name}: {one.words}")
                    if one.remedy:
                        lines.append(f"{'':<8} {'':<6} → {one.remedy}")
        done = sum(one.state == SEEN for one in findings)
        lines += ["", *remarks]
        if any(one.state == NOT_YET for one in findings):
            lines.append("what was changed just now may take an hour to be seen everywhere, by us too")
        lines.append(f"{done} of {len(findings)} are as they should be" + ("" if good else f"; {domain} needs a hand"))
        rows = [
            {
                "tier": one.tier,
                "name": one.name,
                "type": one.rdtype,
                "state": one.state,
                "words": one.words,
                "remedy": one.remedy,
            }
            for one in findings
        ]
        return Result(tuple(lines), data={"good": good, "records": rows}, code=0 if good else 1)

    async def rotate(self, arguments: Arguments) -> Result:
        """New keys, published first and used once the world has seen them."""
        domain = self._ours(arguments)
        if self._config.local:
            raise Refused("local mode signs nothing: this needs a config of your own")
        try:
            before = {one.name for one in await self._keys.records(domain)}
            found = await self._keys.rotate(domain)
        except (OSError, ValueError, Busy) as error:
            raise Refused(f"no key could be made: {error}") from None
        waiting = [one for one in found if one.state == "waits"]
        if not waiting:  # the domain had none at all
            waiting = [one for one in found if one.name not in before]
        made = any(one.name not in before for one in waiting)
        said = "new keys were made" if made else "new keys wait already since they were made"
        lines = (
            f"{said}; publish their records beside the old ones:",
            *key_lines(waiting, form_zone(domain)),
            "",
            *after_rotation(domain),
        )
        return Result(lines, data=[{"name": one.name, "value": one.text, "state": one.state} for one in found])

    async def examine(self, domain: str) -> Examined:
        """Ask the world about ``domain``, and take note of the keys it sees. Raises Refused."""
        subject, remarks = await self._subject(domain)
        inquiry = Inquiry(self._resolver, self._clock, LOOK_UP_SECONDS)
        try:
            keys = tuple(await self._keys.records(domain))
        except (OSError, ValueError, Busy) as error:
            raise Refused(f"the keys of {domain} cannot be read: {error}") from None
        old = tuple(one.name for one in keys if one.state == "removable")

        def job(answers: Answers) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
            answers.want((name, "TXT") for name in old)
            gone = (name for name in old if answers.get(name, "TXT").status in (Status.NXDOMAIN, Status.NODATA))
            return compare(subject, answers) + self._listed(subject, answers), tuple(gone)

        found, gone = await settle(job, Answers(inquiry.known), inquiry.ask)
        findings = (*found, *self._certificate(), *await self._right_clock())
        ours = {one.name for one in keys}
        try:
            await self._keys.saw(domain, [one.name for one in findings if one.name in ours and one.state == SEEN])
            await self._keys.clear(domain, gone)
        except (OSError, ValueError, Busy) as error:
            remarks.append(f"what was seen of the keys could not be written down: {error}")
        return Examined(findings, tuple(remarks), keys)

    # ------------------------------------------------------------ what is known

    @property
    def _config(self) -> Config:
        """As it is after the last reload."""
        return self._config_now()

    def _ours(self, arguments: Arguments) -> str:
        domain = domain_argument(arguments)
        ours = self._directory.domains()
        if domain not in ours:
            raise Refused(f"{domain} is not one of our domains ({', '.join(sorted(ours)[:5]) or 'there is none yet'})")
        return domain

    async def _subject(self, domain: str) -> tuple[Subject, list[str]]:
        config, remarks = self._config, []
        addresses = () if config.local else await self._addresses()
        if not addresses and not config.local:
            remarks.append(
                f"this machine does not know its public address: publish A (and AAAA) of {config.hostname} yourself"
            )
        try:
            keys = await self._keys.records(domain)
        except (OSError, ValueError, Busy) as error:
            raise Refused(f"the keys of {domain} cannot be read: {error}") from None
        if not keys:
            remarks.append(
                f"{domain} has no signing key" + (" in local mode" if config.local else ": restart the service")
            )
        for one in keys:
            if one.state == "removable":
                remarks.append(f"{one.name} has had its time: take it out of the DNS")
        keys = [one for one in keys if one.state != "removable"]
        if any(one.state == "waits" for one in keys):
            remarks.append("new keys wait: they sign a day after their records were first seen by `dns check`")
        smarthost = self._smarthost(domain)
        includes: tuple[str, ...] = ()
        if smarthost and not config.local:
            includes = await self._includes(smarthost)
            if not includes:
                remarks.append(f"mail leaves through {smarthost}: ask its provider which include: SPF needs")
        publication = Publication(
            domain,
            config.hostname,
            addresses,
            includes,
            tuple((one.name, one.text) for one in keys),
            reports_to=f"postmaster@{domain}",
            mta_sts_id=self._policy_id(),
            mail_host=self._mail_host(),
            form_zone=form_zone(domain),
            # Port 25 is the edge's, with a key of its own.
            tlsa=() if self._mail_host() else tuple(dict.fromkeys(self._keeper.tlsa())),
            caa=_issuer(config),
            imaps=bool(config.listen.imaps),
            submissions=bool(config.listen.submissions),
        )
        return Subject(publication, sends=not smarthost), remarks

    def _smarthost(self, domain: str) -> str:
        relay = self._config.relay
        sender = relay.senders.get(domain)
        if sender is not None and sender.host is not None:
            return sender.host.host
        return relay.smarthost.host if relay.smarthost is not None and relay.route == "smarthost" else ""

    async def _addresses(self) -> tuple[str, ...]:
        """Our own ones, else (behind NAT) those that our name has in the DNS."""
        own = self._own_addresses()
        if not own:
            asked = [await self._resolver.look_up(self._config.hostname, kind) for kind in ("A", "AAAA")]
            own = frozenset(str(record) for answer in asked for record in answer.records)
        found = sorted((ipaddress.ip_address(text) for text in own), key=lambda one: (one.version, int(one)))
        return tuple(str(one) for one in found)

    async def _includes(self, smarthost: str) -> tuple[str, ...]:
        """Where the smarthost's provider keeps his SPF record: at its name or above."""
        labels = smarthost.split(".")
        if labels[-1].isdigit() or ":" in smarthost:
            return ()
        for at in range(len(labels) - 1):
            name = ".".join(labels[at:])
            answer: Answer = await self._resolver.look_up(name, "TXT")
            if any(isinstance(text, bytes) and text.lower().startswith(b"v=spf1") for text in answer.records):
                return (name,)
        return ()

    def _listed(self, subject: Subject, answers: Answers) -> tuple[Finding, ...]:
        """The lists that we ask about others, asked about ourselves."""
        found = []
        lists = tuple(one for one in dns_lists(self._config.checks.dnsbl) if one.weight > 0)
        for text in subject.publication.addresses if lists else ():
            listed, _ = check_lists(ipaddress.ip_address(text), lists, answers)
            for one in listed:
                if one.result != "temperror":
                    remedy = "see that list's web page for why, and have the address taken out"
                    found.append(Finding(SHOULD, text, "DNSBL", WRONG, one.reason, remedy))
        return tuple(found)

    def _certificate(self) -> tuple[Finding, ...]:
        """An ended or early certificate: mail programs turn away, and the cause may be a wrong clock."""
        now, found = self._clock.seconds(), []
        for state in self._keeper.states():
            names = ", ".join(state.names)
            if state.not_after <= now:
                words = f"ended {span_words(now - state.not_after)} ago"
                found.append(Finding(MUST, names, "certificate", WRONG, words, "mailappliance cert renew"))
            elif state.not_before > now:
                words = f"begins in {span_words(state.not_before - now)}: this machine's clock is probably wrong"
                remedy = "set the clock: timedatectl set-ntp true"
                found.append(Finding(MUST, names, "certificate", WRONG, words, remedy))
            elif state.not_after - now < CERTIFICATE_SOON:
                words = f"ends in {span_words(state.not_after - now)}"
                found.append(Finding(SHOULD, names, "certificate", WRONG, words, "mailappliance cert renew"))
        return tuple(found)

    async def _right_clock(self) -> tuple[Finding, ...]:
        """Signatures, certificates and greylists live by the clock; the certificate authority has another."""
        acme = self._config.acme
        host = (urlsplit(acme.directory).hostname or "") if acme.wanted else ""
        ahead = None if self._time_of_day is None else await self._time_of_day.ahead(host)
        if ahead is not None and abs(ahead) > CLOCK_OFF:
            words = f"is {span_words(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}, as {host} has the time"
            return (Finding(SHOULD, "this machine", "clock", WRONG, words, "set it by NTP: timedatectl set-ntp true"),)
        if self._clock_is_kept() is not False:
            return ()
        words = "nobody keeps it right: signatures and certificates are judged by it"
        return (Finding(MAY, "this machine", "clock", WRONG, words, "set it by NTP: timedatectl set-ntp true"),)


def form_zone(domain: str) -> str:
    """The name under which ``domain`` is registered, whose form the owner has."""
    return registered(domain) if domain.count(".") > 1 else domain


def _issuer(config: Config) -> tuple[str, ...]:
    """The authority we order from, where its CAA name is known."""
    if not config.acme.wanted:
        return ()
    host = urlsplit(config.acme.directory).hostname or ""
    return tuple(name for ending, name in _ISSUERS.items() if host == ending or host.endswith("." + ending))


def _record_data(one: DnsRecord, domain: str) -> dict[str, Any]:
    data: dict[str, Any] = {"tier": one.tier, "name": one.name, "type": one.rdtype, "value": one.value, "why": one.why}
    if one.rdtype == "TXT":
        data["split"] = split_text(one.value)
    data["form"] = form_fields(one, domain)
    return data
