"""[dns]: whom to ask, and our own signing keys there."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {"dns": "Names"}

KEYS: tuple[Key, ...] = (
    Key(
        "dns.servers",
        values.several(values.name_server),
        "[]",
        "Name servers to ask; an empty list means those of /etc/resolv.conf.",
        '["127.0.0.1:53"]',
    ),
    Key(
        "dns.rotate_days",
        values.count,
        "365",
        "After so many days a domain gets new signing keys, for the owner to publish; 0 means never.",
        "180",
    ),
)
