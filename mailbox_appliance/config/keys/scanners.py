"""[scanners.NAME]: programs outside that are asked, too."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key

TEXTS = {"scanners.*": "A program outside that is asked about strangers' mail, too: spamd, rspamd or a milter"}

KEYS: tuple[Key, ...] = (
    Key(
        "scanners.*.kind",
        values.choice("spamd", "rspamd", "milter"),
        "",
        "Which language it speaks: SpamAssassin's spamd, rspamd (its HTTP worker), or any milter.",
        '"rspamd"',
    ),
    Key(
        "scanners.*.endpoint",
        values.host_and_port_or_path,
        "",
        "Where it listens: host:port, or the path of a Unix socket.",
        '"127.0.0.1:11333"',
    ),
    Key(
        "scanners.*.when_down",
        values.choice("accept", "defer"),
        '"accept"',
        "What becomes of mail while it does not answer: accept judges without it, defer puts mail off until it does.",
        '"defer"',
    ),
    Key(
        "scanners.*.weight",
        values.figure,
        "5.0",
        "How many points its own threshold is worth (at 5 the message goes to Junk); twice the threshold is worth "
        "twice as much, and no more.",
        "3.5",
    ),
    Key(
        "scanners.*.timeout",
        values.positive_seconds,
        "10.0",
        "How long it may take for one message.",
        '"30s"',
    ),
)
