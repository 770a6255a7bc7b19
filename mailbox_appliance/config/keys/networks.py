"""[networks]: addresses with rights of their own."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

_networks = values.several(values.network)

TEXTS = {"networks": "Who is at home"}

KEYS: tuple[Key, ...] = (
    Key(
        "networks.lan",
        _networks,
        "[]",
        "Networks whose devices may send mail as your domains through port 25 without a password.",
        '["192.168.1.0/24", "fd00:1234::/64"]',
    ),
    Key(
        "networks.proxies",
        _networks,
        "[]",
        "Proxies in front of this machine: each connection from here must begin with the PROXY protocol (v1 or v2).",
        '["192.0.2.7"]',
    ),
    Key(
        "networks.xclient",
        _networks,
        "[]",
        "Mail servers that may say on port 25, by XCLIENT, from which address a message really came.",
        '["192.0.2.8"]',
    ),
)
