"""[relay] and its tables for single domains: how mail leaves."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key


def _next_host(section: str, who: str) -> tuple[Key, ...]:
    """The four keys of a host of its own."""
    return (
        Key(f"{section}.host", values.host_and_port, "", "That host, given as host:port.", '"store.lan:25"'),
        Key(f"{section}.user", values.text, "", f"The user name at {who}.", '"ann"'),
        Key(
            f"{section}.password_file",
            values.path,
            "",
            f"A file whose first line is the password at {who}.",
            '"/etc/mailappliance/host.password"',
        ),
        Key(
            f"{section}.tls",
            values.choice("starttls", "implicit", "none"),
            '"starttls"',
            f"How to speak TLS with {who}: starttls, implicit or none.",
            '"none"',
        ),
    )


TEXTS = {
    "relay": "How mail leaves for other places: through a smarthost, or direct to each domain's mail host",
    "relay.domains.*": "Where the mail for one domain goes, whatever else is set: an internal server, for example",
    "relay.senders.*": "A smarthost of its own for the mail from one of our domains",
}

KEYS: tuple[Key, ...] = (
    Key(
        "relay.smarthost",
        values.host_and_port,
        "",
        "Send everything for other places through your provider's mail host, given as host:port.",
        '"smtp.provider.example:587"',
    ),
    Key("relay.user", values.text, "", "The user name at the smarthost.", '"ann@provider.example"'),
    Key(
        "relay.password_file",
        values.path,
        "",
        "A file whose first line is the password at the smarthost; nobody else may be able to read it.",
        '"/etc/mailappliance/smarthost.password"',
    ),
    Key(
        "relay.tls",
        values.choice("starttls", "implicit", "none"),
        '"starttls"',
        "How to speak TLS with the smarthost: starttls (587), implicit (465) or none.",
        '"starttls"',
    ),
    Key(
        "relay.trust_anchor",
        values.path,
        "",
        "Certificates (PEM) to trust beside the system's when mail leaves.",
        '"/etc/mailappliance/provider-ca.pem"',
    ),
    Key(
        "relay.direct",
        values.flag,
        "",
        "Deliver to each domain's mail host (MX). This is what happens when no smarthost is named.",
        "true",
    ),
    Key("relay.mx_port", values.port_number, "25", "The port of other domains' mail hosts.", "25"),
    Key(
        "relay.allow_loopback",
        values.flag,
        "false",
        "Deliver also to mail hosts on this very machine; for tests.",
        "false",
    ),
    Key(
        "relay.first_retry",
        values.positive_seconds,
        "300",
        "Seconds until the second attempt; later ones wait longer, up to 5 days in all.",
        "300",
    ),
    Key(
        "relay.fallback_after",
        values.count,
        "",
        "With direct = true and a smarthost: so many failed attempts send a message through the smarthost, and so "
        "does a provider that refuses our address; 0 means the latter alone.",
        "3",
    ),
    Key(
        "relay.socks",
        values.host_and_port,
        "",
        "Reach other mail hosts through this SOCKS5 proxy, given as host:port; hosts of the own network are reached "
        "without it.",
        '"127.0.0.1:1080"',
    ),
    Key("relay.socks_user", values.text, "", "The user name at the proxy.", '"ann"'),
    Key(
        "relay.socks_password_file",
        values.path,
        "",
        "A file whose first line is the password at the proxy.",
        '"/etc/mailappliance/socks.password"',
    ),
    Key(
        "relay.tls_reports",
        values.flag,
        "false",
        "Tell domains that ask for it once a day how TLS with their mail hosts went (RFC 8460).",
        "true",
    ),
    *_next_host("relay.domains.*", "the host"),
    *_next_host("relay.senders.*", "that smarthost"),
)
