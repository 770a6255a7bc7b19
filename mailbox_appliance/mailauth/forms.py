"""A record as the web form of a registrar wants it: the name without the domain, and each part of the value in a field.

Nearly all forms add the domain to what is typed as a name; "@" (or nothing) is the domain itself. Pure.
"""

from __future__ import annotations

import ipaddress

from mailbox_appliance.mailauth.publish import DnsRecord

_FIELDS = {
    "MX": ("priority", "value"),
    "SRV": ("priority", "weight", "port", "target"),
    "TLSA": ("usage", "selector", "matching type", "data"),
    "CAA": ("flags", "tag", "value"),
}


def short_name(name: str, domain: str) -> str:
    """What is typed as the name; "" when ``name`` does not lie in ``domain``."""
    if name == domain:
        return "@"
    return name.removesuffix(f".{domain}") if name.endswith(f".{domain}") else ""


def form_fields(record: DnsRecord, domain: str) -> dict[str, str]:
    """The fields in their usual order; none for what no form of the domain takes (PTR, names of other domains)."""
    name = short_name(record.name, domain)
    if record.rdtype == "PTR" or not name:
        return {}
    fields = {"type": record.rdtype, "name": name}
    if record.rdtype == "SRV":
        service, protocol, *rest = name.split(".")
        fields |= {"service": service, "protocol": protocol, "name": ".".join(rest) or "@"}
    keys = _FIELDS.get(record.rdtype, ("value",))
    values = record.value.split(" ", len(keys) - 1)
    if record.rdtype != "TXT":
        values = [value.strip('"').removesuffix(".") or "." for value in values]
    return fields | dict(zip(keys, values, strict=True))


def form_line(record: DnsRecord, domain: str) -> str:
    """The fields in a line, but for a value that stands above as it is; or where else the record goes."""
    if record.rdtype == "PTR":
        return (
            f"not in the domain's form: set where you got {address_of(record.name)}, as its reverse name (reverse DNS)"
        )
    fields = form_fields(record, domain)
    if not fields:
        return f"not in the form of {domain}: the name belongs to another domain, and once is enough"
    said = [f"{key} {value}" for key, value in fields.items() if key != "type" and value != record.value]
    return f"in a form: {', '.join(said)}" + (", the value as it stands" if record.value in fields.values() else "")


def address_of(pointer: str) -> str:
    """The address that a name below in-addr.arpa or ip6.arpa means (RFC 1035 §3.5, RFC 3596 §2.5)."""
    labels = pointer.rstrip(".").split(".")
    if labels[-2:] == ["ip6", "arpa"]:
        nibbles = "".join(reversed(labels[:-2]))
        return str(ipaddress.IPv6Address(int(nibbles, 16)))
    return ".".join(reversed(labels[:-2]))
