"""What a domain of ours should publish in the DNS, in tiers: five musts, then what it should, then what it may.

Pure: everything is an argument; the desks print it, and compare it with what the world sees. RFC 1035 §5.1 (zone
files), RFC 7208, RFC 6376, RFC 9989, RFC 8461 (MTA-STS), RFC 8460 (TLS-RPT), RFC 6698 (TLSA), RFC 6186 (SRV), RFC 8659.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from mailbox_appliance.mail.values import dataclass

TTL = 3600
STRING_OCTETS = 255  # RFC 1035 §3.3.14: of one string in a TXT record
MUST, SHOULD, MAY = "must", "should", "may"


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record to publish. ``value`` in presentation form, texts without quotes and unsplit; ``why`` for people."""

    tier: str
    name: str  # without the final dot
    rdtype: str
    value: str
    why: str

    def zone_line(self) -> str:
        """The line of a zone file; long texts are split into strings of at most 255 octets."""
        value = split_text(self.value) if self.rdtype == "TXT" else self.value
        return f"{self.name}. {TTL} IN {self.rdtype} {value}"


def split_text(text: str) -> str:
    """Quoted strings that together are ``text``."""
    escaped = [text[at : at + STRING_OCTETS] for at in range(0, len(text), STRING_OCTETS)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in escaped)


def spf_record(addresses: Iterable[str] = (), includes: Iterable[str] = ()) -> str:
    """``v=spf1 mx …``: our host by its MX, further addresses, and who else sends (a smarthost)."""
    terms = ["v=spf1", "mx"]
    for text in addresses:
        network = ipaddress.ip_network(text)
        terms.append(f"ip{network.version}:{network.with_prefixlen if network.num_addresses > 1 else network[0]}")
    terms += [f"include:{name}" for name in includes]
    return " ".join([*terms, "-all"])


@dataclass(frozen=True, slots=True)
class Publication:
    """What is known of a domain and its host. Empty means: not used, so not published."""

    domain: str
    hostname: str
    addresses: tuple[str, ...] = ()  # the host's public ones
    spf_includes: tuple[str, ...] = ()
    dkim: tuple[tuple[str, str], ...] = ()  # (name, text), as checks.signing.DkimKeys.records gives them
    dmarc_policy: str = "quarantine"
    reports_to: str = ""  # address for DMARC and TLS reports
    mta_sts_id: str = ""  # of the policy that is served at https://mta-sts.DOMAIN/
    tlsa: tuple[str, ...] = ()  # "3 1 1 HEX" of the host's keys; only with a signed zone
    caa: tuple[str, ...] = ()  # issuers that may certify the domain
    imaps: bool = True
    submissions: bool = True
    form_zone: str = ""  # what the owner's form is for, when the domain lies below it: example.org of club.example.org
    mail_host: str = ""  # another host takes and sends the domain's mail: the edge of a pair; "" is this one

    @property
    def zone(self) -> str:
        """To whose names a registrar's form adds it."""
        return self.form_zone or self.domain

    @property
    def outer(self) -> str:
        """The host that the world's mail servers meet."""
        return self.mail_host or self.hostname


def records(publication: Publication) -> tuple[DnsRecord, ...]:
    """All of them, musts first."""
    one, domain, host = publication, publication.domain, publication.hostname
    found = [DnsRecord(MUST, domain, "MX", f"10 {one.outer}.", "where mail for the domain goes")]
    for text in one.addresses:
        address = ipaddress.ip_address(text)
        rdtype = "A" if address.version == 4 else "AAAA"
        found.append(DnsRecord(MUST, host, rdtype, str(address), "where the host is"))
        if one.outer != host:
            found.append(DnsRecord(MUST, one.outer, rdtype, str(address), "where the edge is"))
    found.append(DnsRecord(MUST, domain, "TXT", spf_record((), one.spf_includes), "who may send for the domain (SPF)"))
    found += [DnsRecord(MUST, name, "TXT", text, "proves our signatures (DKIM)") for name, text in one.dkim]
    rua = f"; rua=mailto:{one.reports_to}" if one.reports_to else ""
    policy = f"v=DMARC1; p={one.dmarc_policy}{rua}"
    found.append(DnsRecord(MUST, f"_dmarc.{domain}", "TXT", policy, "what others do with forgeries (DMARC)"))
    for text in one.addresses:
        pointer = ipaddress.ip_address(text).reverse_pointer
        found.append(DnsRecord(SHOULD, pointer, "PTR", f"{one.outer}.", "set by who gave you the address; many insist"))
    if one.outer != domain:
        found.append(
            DnsRecord(SHOULD, one.outer, "TXT", "v=spf1 a -all", "the host's own name, used in HELO and by bounces")
        )
    if one.mta_sts_id:
        found.append(
            DnsRecord(SHOULD, f"_mta-sts.{domain}", "TXT", f"v=STSv1; id={one.mta_sts_id}", "mail comes by TLS")
        )
        found.append(DnsRecord(SHOULD, f"mta-sts.{domain}", "CNAME", f"{host}.", "where that policy is served"))
    if one.reports_to:
        text = f"v=TLSRPTv1; rua=mailto:{one.reports_to}"
        found.append(DnsRecord(SHOULD, f"_smtp._tls.{domain}", "TXT", text, "others tell when TLS fails"))
    for on, service, port in (
        (one.submissions, "_submissions", 465),
        (one.submissions, "_submission", 587),
        (one.imaps, "_imaps", 993),
    ):
        if on:
            name = f"{service}._tcp.{domain}"
            found.append(DnsRecord(MAY, name, "SRV", f"0 1 {port} {host}.", "mail programs find their settings"))
    if one.imaps:
        found.append(DnsRecord(MAY, f"_imap._tcp.{domain}", "SRV", "0 0 0 .", "no reading without TLS"))
    found += [DnsRecord(MAY, f"_25._tcp.{host}", "TLSA", text, "with DNSSEC: which key to trust") for text in one.tlsa]
    found += [DnsRecord(MAY, domain, "CAA", f'0 issue "{name}"', "who may certify the domain") for name in one.caa]
    return tuple(found)


def zone_file(found: Iterable[DnsRecord]) -> str:
    """The records as a zone file, one tier after the other."""
    lines: list[str] = []
    tier = ""
    for one in found:
        if one.tier != tier:
            tier = one.tier
            lines.append(f"; --- {tier}")
        lines.append(one.zone_line())
    return "\n".join(lines) + "\n"
