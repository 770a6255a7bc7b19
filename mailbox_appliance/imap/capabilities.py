"""What we can, and when we say so: before TLS, before log-in, and after (RFC 3501 §6.1.1, §7.2.1).

A row is a name and the moments at which it is told. The list goes into the greeting, into CAPABILITY, and into the
tagged OK of LOGIN and AUTHENTICATE, which spares clients a round trip.
"""

from __future__ import annotations

import enum

from mailbox_appliance.imap.settings import ImapSettings


class Moment(enum.Flag):
    """Stages of a connection."""

    CLEAR = enum.auto()
    SECURE = enum.auto()
    LOGGED_IN = enum.auto()


_CLEAR = Moment.CLEAR
_BEFORE = Moment.CLEAR | Moment.SECURE
_AFTER = Moment.LOGGED_IN
_ALWAYS = _BEFORE | _AFTER

ROWS: tuple[tuple[str, Moment], ...] = (
    ("IMAP4rev1", _ALWAYS),
    ("IMAP4rev2", _ALWAYS),  # RFC 9051
    ("SASL-IR", _ALWAYS),  # RFC 4959
    ("LITERAL+", _ALWAYS),  # RFC 7888
    ("ID", _ALWAYS),  # RFC 2971
    ("ENABLE", _ALWAYS),  # RFC 5161
    ("IDLE", _ALWAYS),  # RFC 2177
    ("STARTTLS", _CLEAR),
    ("LOGINDISABLED", _CLEAR),
    ("AUTH=PLAIN", Moment.SECURE),
    ("AUTH=LOGIN", Moment.SECURE),
    ("AUTH=SCRAM-SHA-256", Moment.SECURE),  # RFC 7677
    ("AUTH=SCRAM-SHA-256-PLUS", Moment.SECURE),
    ("NAMESPACE", _AFTER),  # RFC 2342
    ("CHILDREN", _AFTER),  # RFC 3348
    ("UIDPLUS", _AFTER),  # RFC 4315
    ("UNSELECT", _AFTER),  # RFC 3691
    ("MOVE", _AFTER),  # RFC 6851
    ("MULTIAPPEND", _AFTER),  # RFC 3502
    ("CATENATE", _AFTER),  # RFC 4469
    ("BINARY", _AFTER),  # RFC 3516
    ("REPLACE", _AFTER),  # RFC 8508
    ("APPENDLIMIT", _AFTER),  # RFC 7889
    ("MESSAGELIMIT", _AFTER),  # RFC 9738
    ("SPECIAL-USE", _AFTER),  # RFC 6154
    ("CREATE-SPECIAL-USE", _AFTER),
    ("LIST-EXTENDED", _AFTER),  # RFC 5258
    ("LIST-STATUS", _AFTER),  # RFC 5819
    ("STATUS=SIZE", _AFTER),  # RFC 8438
    ("ESEARCH", _AFTER),  # RFC 4731
    ("SEARCHRES", _AFTER),  # RFC 5182
    ("WITHIN", _AFTER),  # RFC 5032
    ("SEARCH=FUZZY", _AFTER),  # RFC 6203
    ("SORT", _AFTER),  # RFC 5256
    ("SORT=DISPLAY", _AFTER),  # RFC 5957
    ("ESORT", _AFTER),  # RFC 5267
    ("CONTEXT=SEARCH", _AFTER),
    ("CONTEXT=SORT", _AFTER),
    ("PARTIAL", _AFTER),  # RFC 9394
    ("THREAD=REFERENCES", _AFTER),
    ("THREAD=ORDEREDSUBJECT", _AFTER),
    ("CONDSTORE", _AFTER),  # RFC 7162
    ("QRESYNC", _AFTER),
    ("UTF8=ACCEPT", _AFTER),  # RFC 9755
    ("COMPRESS=DEFLATE", _AFTER),  # RFC 4978
    ("OBJECTID", _AFTER),  # RFC 8474
    ("NOTIFY", _AFTER),  # RFC 5465
    ("UIDONLY", _AFTER),  # RFC 9586
    ("INPROGRESS", _AFTER),  # RFC 9585
    ("UNAUTHENTICATE", _AFTER),  # RFC 8437
    ("ACL", _AFTER),  # RFC 4314
    ("RIGHTS=kxte", _AFTER),
    ("LIST-MYRIGHTS", _AFTER),  # RFC 8440
    ("METADATA", _AFTER),  # RFC 5464
    ("LIST-METADATA", _AFTER),  # RFC 9590
    ("SAVEDATE", _AFTER),  # RFC 8514
    ("PREVIEW", _AFTER),  # RFC 8970
    ("QUOTA", _AFTER),  # RFC 9208 (and 2087)
    ("QUOTA=RES-STORAGE", _AFTER),
)

NAMES = tuple(name for name, _ in ROWS)


def offered(moment: Moment, settings: ImapSettings, hidden: frozenset[str] = frozenset()) -> list[str]:
    """The names to tell at ``moment``, without what is ``hidden`` from this account or client."""
    names = []
    for name, moments in ROWS:
        if moment not in moments or name in hidden or name in settings.hidden:
            continue
        if name == "APPENDLIMIT" and settings.message_size:
            name = f"APPENDLIMIT={settings.message_size}"
        if name == "MESSAGELIMIT":
            if not settings.messages_per_command:
                continue
            name = f"MESSAGELIMIT={settings.messages_per_command}"
        names.append(name)
    return names
