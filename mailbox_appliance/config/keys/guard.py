"""[guard]: who is shut out, and weak passwords."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {"guard": "Who knocks too often is shut out for a while"}

KEYS: tuple[Key, ...] = (
    Key(
        "guard.exempt",
        values.several(values.network),
        "[]",
        "Networks that are never shut out, however often a password from there was wrong.",
        '["192.168.1.0/24"]',
    ),
    Key(
        "guard.password_audit",
        values.seconds,
        '"10m"',
        "For so long the hashes of main passwords are guessed at each night, at the lowest priority, to find weak ones "
        "before others do; 0 switches it off.",
        '"1h"',
    ),
)
