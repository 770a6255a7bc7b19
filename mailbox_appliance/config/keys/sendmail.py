"""[sendmail]: mail of programs on this machine."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {"sendmail": "Mail of programs on this machine (cron, backups, web forms)"}

KEYS: tuple[Key, ...] = (
    Key(
        "sendmail.drop",
        values.path,
        "",
        "Where `mailappliance sendmail` leaves messages (default: drop below the state folder, which only root and the "
        "service's user reach; a folder outside lets every user of the machine send).",
        '"/var/spool/mailappliance"',
    ),
    Key(
        "sendmail.trusted",
        values.several(values.text),
        "[]",
        "Users of this machine who may write as anybody of ours and without a daily limit, besides root.",
        '["www-data"]',
    ),
)
