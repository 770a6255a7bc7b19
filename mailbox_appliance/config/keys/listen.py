"""[listen]: the ports, each a Twisted endpoint description."""

from __future__ import annotations

from mailbox_appliance.config import endpoints, values
from mailbox_appliance.config.keys.key import Key

_endpoints = values.several(endpoints.endpoint)

TEXTS = {
    "listen": "Where to listen. A missing key means the usual port on all addresses; an empty list switches off.",
}

KEYS: tuple[Key, ...] = (
    Key(
        "listen.smtp",
        _endpoints,
        '["tcp:25", "tcp6:25"]',
        "Mail from other servers (port 25).",
        '["tcp:25:interface=192.0.2.1"]',
    ),
    Key(
        "listen.submission",
        _endpoints,
        '["tcp:587", "tcp6:587"]',
        "Mail from your own people, TLS by STARTTLS (port 587).",
        '["tcp:587", "tcp6:587"]',
    ),
    Key(
        "listen.submissions",
        _endpoints,
        '["tcp:465", "tcp6:465"]',
        "Mail from your own people, TLS from the start (port 465).",
        '["tcp:465", "tcp6:465"]',
    ),
    Key(
        "listen.imap",
        _endpoints,
        '["tcp:143", "tcp6:143"]',
        "Reading mail, TLS by STARTTLS (port 143).",
        '["tcp:143", "tcp6:143"]',
    ),
    Key(
        "listen.imaps",
        _endpoints,
        '["tcp:993", "tcp6:993"]',
        "Reading mail, TLS from the start (port 993).",
        '["tcp:993", "tcp6:993"]',
    ),
    Key(
        "listen.http",
        _endpoints,
        '["tcp:80", "tcp6:80"]',
        "Answers the certificate authority's questions (port 80); an empty list where that port is somebody else's.",
        "[]",
    ),
    Key(
        "listen.https",
        _endpoints,
        "[]",
        "Web pages over TLS (port 443): the policy that tells other servers to send to us by TLS only (MTA-STS).",
        '["tcp:443", "tcp6:443"]',
    ),
    Key(
        "listen.lmtp",
        _endpoints,
        "[]",
        "Mail from another mail server on this machine (RFC 2033): a Unix socket or loopback only.",
        '["unix:/run/mailappliance/lmtp"]',
    ),
    Key(
        "listen.managesieve",
        _endpoints,
        "[]",
        "Editing mail rules (RFC 5804); not in this version.",
        "[]",
    ),
    Key(
        "listen.link",
        _endpoints,
        "[]",
        "Where an edge waits for its store (port 4025 on all addresses when nothing is said).",
        '["tcp:4025", "tcp6:4025"]',
    ),
    Key(
        "listen.submission_from",
        values.several(values.network),
        "[]",
        "Only these networks may use submission (587 and 465); an empty list means everybody with a password.",
        '["192.168.1.0/24"]',
    ),
    Key(
        "listen.submission_at",
        values.host_and_port,
        "",
        "At a store that can be reached from outside: where its edge finds its port 587. Mail then comes that way, and "
        "over the link only when it cannot.",
        '"home.example.org:587"',
    ),
)
