"""[devices.NAME]: what sends without a password."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {"devices.*": "A scanner, a NAS: a device that sends by port 25 without a password, to a few recipients"}

KEYS: tuple[Key, ...] = (
    Key(
        "devices.*.address",
        values.several(values.network),
        "",
        "The device's address in your network, or several; whoever has that address is taken for the device.",
        '["192.168.1.20"]',
    ),
    Key(
        "devices.*.recipients",
        values.several(values.address_or_domain),
        "",
        'Whom it may write to: addresses, or whole domains as "@example.org". Everything else is refused to it.',
        '["ann@example.org", "@club.example"]',
    ),
    Key(
        "devices.*.send_as",
        values.mail_address,
        "",
        "The address of ours that its messages come from, whatever it says itself; without this it must say one.",
        '"scanner@example.org"',
    ),
    Key(
        "devices.*.per_day",
        values.count,
        "200",
        "How many recipients it may write to in a day; 0 means as many as it likes.",
        "200",
    ),
)
