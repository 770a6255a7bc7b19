"""THE table of keys: what may stand in the file, how it is read, what it means; a module for each section of the file.

The reader, the sample file and the check of docs/configuration.md are derived from it; a key that is not here is
unknown. ``default`` is TOML text and equals the default in model.py (a test holds the two together).
"""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.config.keys import (
    acme,
    checks,
    devices,
    dns,
    guard,
    limits,
    listen,
    machine,
    networks,
    relay,
    scanners,
    sendmail,
    store,
    tls,
)
from mailbox_appliance.config.keys.key import EXAMPLE_DOMAIN, Key

__all__ = ["BY_PATH", "EXAMPLE_DOMAIN", "KEYS", "NOT_YET", "SECTION_TEXTS", "Key"]

# In the order of the sample file.
_MODULES = (machine, listen, networks, devices, tls, acme, relay, dns, limits, store, sendmail, checks, scanners, guard)

KEYS: tuple[Key, ...] = tuple(key for module in _MODULES for key in module.KEYS)

SECTION_TEXTS: dict[str, str] = {path: text for module in _MODULES for path, text in module.TEXTS.items()}

BY_PATH: dict[str, Key] = {key.path: key for key in KEYS}

# Keys whose part is not built yet: (path, what the value must not be, what to say). A row goes when its part comes.
NOT_YET: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("listen.managesieve", bool, "write managesieve = [] or leave the key out"),
)
