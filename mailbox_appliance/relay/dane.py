"""DANE for SMTP: TLSA records of a mail exchanger, and what a handshake proves by them (RFC 7672, RFC 7671).

Only where DNSSEC protects every step (the AD bit of a resolver on this machine): the MX records, the exchanger's
addresses, the TLSA records. A look-up that fails where all was signed is no "no": that exchanger is left alone.

========================== ============================================= ===================
the exchanger's addresses   its TLSA records are looked for below         §
========================== ============================================= ===================
signed, no CNAME            its name                                      2.2.2
signed, behind CNAMEs       the last name, then its own                   2.2.3
unsigned behind a signed    its own name                                  2.2.2
CNAME
unsigned                    nowhere: DANE does not apply                  2.2.2
========================== ============================================= ===================
"""

from __future__ import annotations

from collections.abc import Sequence

from OpenSSL import SSL, crypto

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.tlsa import Tlsa, TlsaError, Usage, read_tlsa
from mailbox_appliance.ports.dns import Answer, Resolver, Status
from mailbox_appliance.relay.peername import name_fault

MOST_RECORDS = 32
_MOST_ALIASES = 8
_MOST_CHAIN = 16


class DaneTrouble(Exception):
    """The records cannot be had now, so the exchanger must be left alone (RFC 7672 §2.1.1); str() says why."""


@dataclass(frozen=True, slots=True)
class Dane:
    """What an exchanger must prove. ``base`` is the TLSA base domain: its SNI too (RFC 7672 §8.1).

    ``records`` are the usable ones; without any TLS is still a must, but anybody's (§2.2). ``names``: one of them
    must be in the certificate for usage 2.
    """

    base: str
    records: tuple[Tlsa, ...]
    names: tuple[str, ...]
    texts: tuple[str, ...] = ()  # all records, for reports
    by: str = "DANE"  # what verifies it, for the journal

    def fault(self, connection: SSL.Connection) -> str:
        """Why the peer's certificate is not the one, in plain words; "" when it is."""
        chain = (connection.get_peer_cert_chain() or [])[:_MOST_CHAIN]
        if not chain:
            return "it was not shown"
        octets = [crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in chain]
        if any(record.usage == Usage.DANE_EE and record.fits(octets[0]) for record in self.records):
            return ""  # names and dates mean nothing here (RFC 7672 §3.1.1)
        faults = [
            self._anchored(connection, chain, octets, record)
            for record in self.records
            if record.usage == Usage.DANE_TA
        ]
        if "" in faults:
            return ""
        real = [fault for fault in faults if fault is not None]
        return real[0] if real else "it fits none of the TLSA records (DANE)"

    def _anchored(
        self, connection: SSL.Connection, chain: Sequence[crypto.X509], octets: Sequence[bytes], record: Tlsa
    ) -> str | None:
        """Usage 2: the chain leads to the anchor and a name is right. None: the anchor is not in the chain."""
        anchor = next((chain[n] for n in range(1, len(chain)) if record.fits(octets[n])), None)
        if anchor is None and (record.selector, record.matching) == (0, 0):
            try:
                anchor = crypto.load_certificate(crypto.FILETYPE_ASN1, record.data)
            except crypto.Error:
                return None
        if anchor is None:
            return None
        store = crypto.X509Store()
        store.add_cert(anchor)
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        try:
            crypto.X509StoreContext(store, chain[0], list(chain[1:])).verify_certificate()
        except crypto.X509StoreContextError as error:
            return f"it does not lead to the anchor of the TLSA record: {error}"
        faults = [name_fault(connection, name) for name in self.names]
        return "" if "" in faults else faults[0]


async def find_dane(resolver: Resolver, domain: str, host: str, port: int) -> Dane | None:
    """What DANE asks of ``host``, an exchanger of ``domain`` by signed MX records; None: nothing.

    Raises DaneTrouble.
    """
    bases = await _bases(resolver, host)
    for base in bases:
        answer = await resolver.look_up(f"_{port}._tcp.{base}", "TLSA")
        if answer.status is Status.TEMPERROR:
            raise DaneTrouble(f"the TLSA records of {base} cannot be looked up: {answer.reason}")
        if answer.status is not Status.OK or not answer.authentic:
            continue
        records, texts = [], []
        for text in answer.records[:MOST_RECORDS]:
            texts.append(str(text)[:200])
            try:
                record = read_tlsa(str(text))
            except TlsaError:
                continue
            if record.is_usable:
                records.append(record)
        names = tuple(dict.fromkeys((base, host, domain)))
        return Dane(base, tuple(records), names, tuple(texts))
    return None


async def _bases(resolver: Resolver, host: str) -> tuple[str, ...]:
    """Below which names TLSA records are looked for, in order (RFC 7672 §2.2.2, §2.2.3)."""
    addresses = await _addresses(resolver, host)
    alias = await resolver.look_up(host, "CNAME")
    if alias.status is Status.TEMPERROR:
        raise DaneTrouble(f"whether {host} is an alias cannot be looked up: {alias.reason}")
    is_alias = alias.status is Status.OK and bool(alias.records)
    if not addresses.authentic:
        return (host,) if is_alias and alias.authentic else ()
    if not is_alias:
        return (host,)
    last = host
    for _ in range(_MOST_ALIASES):
        answer = await resolver.look_up(last, "CNAME")
        if answer.status is not Status.OK or not answer.records:
            break
        if not answer.authentic:
            return (host,)
        last = str(answer.records[0])
    return (last, host)


async def _addresses(resolver: Resolver, host: str) -> Answer:
    """An answer that gave addresses: its AD bit covers the whole chain of aliases."""
    ipv4 = await resolver.look_up(host, "A")
    if ipv4.status is Status.OK:
        return ipv4
    ipv6 = await resolver.look_up(host, "AAAA")
    return ipv6 if ipv6.status is Status.OK else ipv4
