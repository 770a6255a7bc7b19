"""[limits]: how much, how many, how long."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {"limits": 'Limits; 0 means none. Sizes in octets or as "50MB", times in seconds or as "5m", "2h", "1d".'}

KEYS: tuple[Key, ...] = (
    Key("limits.message_size", values.size, '"50MB"', "The largest message taken, in and out.", '"50MB"'),
    Key(
        "limits.quota",
        values.size,
        "0",
        "How much mail an account may keep, unless its own quota says otherwise.",
        '"5GB"',
    ),
    Key(
        "limits.connections_per_address",
        values.count,
        "50",
        "How many connections one address may hold at a time.",
        "50",
    ),
    Key(
        "limits.outgoing_per_day",
        values.count,
        "0",
        "How many recipients outside an account may write to in a day.",
        "500",
    ),
    Key(
        "limits.new_recipients_per_day",
        values.count,
        "0",
        "How many of these may be addresses the account has never written to: a stolen password writes to strangers.",
        "100",
    ),
    Key("limits.smtp_idle", values.seconds, "300", "Close an SMTP connection that said nothing for so long.", "300"),
    Key(
        "limits.imap_messages",
        values.count,
        "0",
        "How many messages one IMAP command may take (at least 1000); only few mail programs know of such limits.",
        "10000",
    ),
    Key("limits.imap_idle", values.seconds, "1800", "Close an IMAP connection that said nothing for so long.", "1800"),
)
