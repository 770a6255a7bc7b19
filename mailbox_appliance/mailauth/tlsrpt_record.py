"""The TXT record that asks for TLS reports: ``v=TLSRPTv1; rua=mailto:…`` (RFC 8460 §3)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from mailbox_appliance.mail.address import Address, AddressError

MOST_ADDRESSES = 5


def report_addresses(records: Iterable[object]) -> tuple[Address, ...]:
    """The ``mailto:`` addresses out of the TXT records of ``_smtp._tls.DOMAIN``; other ways are passed over."""
    ours = [record for record in records if isinstance(record, bytes) and record.startswith(b"v=TLSRPTv1;")]
    if len(ours) != 1:
        return ()
    found: list[Address] = []
    for field in ours[0].decode("utf-8", "replace").split(";")[1:]:
        name, equals, value = field.strip(" \t").partition("=")
        if not equals or name.rstrip(" \t") != "rua":
            continue
        for uri in value.split(","):
            scheme, colon, rest = uri.strip(" \t").partition(":")
            if colon and scheme.lower() == "mailto":
                # A "!10m" behind an address (as in DMARC) and ?subject= are nothing for us.
                try:
                    address = Address.parse(unquote(rest.partition("?")[0].partition("!")[0]))
                except AddressError:
                    continue
                if address not in found and not address.domain.startswith("["):
                    found.append(address)
        break
    return tuple(found[:MOST_ADDRESSES])
