"""[store]: how mail is kept."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {"store": "How mail is kept"}

KEYS: tuple[Key, ...] = (
    Key(
        "store.flush",
        values.choice("fsync", "syncfs"),
        '"fsync"',
        "How messages are made durable: fsync flushes each file, syncfs the whole file system once for all that wait; "
        "faster under load, but it waits for other programs' data too.",
        '"syncfs"',
    ),
    Key(
        "store.word_index",
        values.flag,
        "true",
        "Keep an index of the words in each mailbox, a third of the text's size at most: SEARCH in bodies then answers "
        "at once. Without it every message is read.",
        "false",
    ),
    Key(
        "store.undelete_days",
        values.count,
        "14",
        "For so many days `mailappliance account undelete` brings expunged messages back; 0 removes them at once.",
        "30",
    ),
    Key(
        "store.undelete_size",
        values.size,
        '"1GB"',
        "So much of them is kept for each account, beyond its quota; the oldest go first, also when the disk is full.",
        '"5GB"',
    ),
)
