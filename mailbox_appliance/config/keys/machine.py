"""The keys above all sections: which machine this is."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {"": "The machine"}

KEYS: tuple[Key, ...] = (
    Key(
        "hostname",
        values.full_host_name,
        "",
        "The full name of this machine, as its MX record and its certificate say it. The one key that must be there.",
        '"mail.example.org"',
    ),
    Key(
        "state",
        values.path,
        '"/var/lib/mailappliance"',
        "The folder that holds everything: mail, users, queue, certificates, journal.",
        '"/var/lib/mailappliance"',
    ),
    Key(
        "role",
        values.choice("all", "edge", "store"),
        '"all"',
        "What this machine does: all of it, or one half of a pair: the edge, which has the public address, or the "
        "store, which has the people and their mail.",
        '"all"',
    ),
)
