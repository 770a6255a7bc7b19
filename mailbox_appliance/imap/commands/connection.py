"""CAPABILITY, NOOP, LOGOUT (RFC 3501 §6.1), ID (RFC 2971), ENABLE (RFC 5161), NAMESPACE (RFC 2342)."""

from __future__ import annotations

import re

from mailbox_appliance.imap.session import Ended, Session
from mailbox_appliance.imap.table import ANY, LOGGED_IN, Done, Refused, Row
from mailbox_appliance.journal.events.imap import ImapClientNamed
from mailbox_appliance.ports.sharing import OTHERS, SHARED
from mailbox_appliance.wire.imap import commands, parse, responses

# What ENABLE knows; QRESYNC means CONDSTORE too (RFC 7162 §3.2.3), IMAP4rev2 speaks for itself (RFC 9051 §6.3.1).
ENABLED = {
    "CONDSTORE": ("CONDSTORE",),
    "QRESYNC": ("CONDSTORE", "QRESYNC"),
    "UTF8=ACCEPT": ("UTF8=ACCEPT",),
    "IMAP4REV2": ("IMAP4REV2",),
    "UIDONLY": ("UIDONLY",),
}
_SPELLED = {"IMAP4REV2": "IMAP4rev2"}
_UNSAFE = re.compile(r"[^\x20-\x7e]")


async def capability(session: Session, command: commands.Plain) -> Done:
    """Say what we can."""
    session.say(responses.untagged(session.capability_code()))
    return Done("Done.")


async def noop(session: Session, command: commands.Plain) -> Done:
    """Look for changes; they are told with the answer."""
    if session.selected is not None:
        await session.box.mailbox.refresh()
    return Done("Done.")


async def logout(session: Session, command: commands.Plain) -> Done:
    """Say goodbye."""

    def leave() -> None:
        raise Ended("logout")

    session.deselect()
    session.say(responses.condition(b"BYE", "Goodbye."))
    return Done("Done.", after=leave)


async def identify(session: Session, command: commands.Identify) -> Done:
    """Exchange names; some clients need some capabilities hidden."""
    fields = dict(command.fields)
    name = _UNSAFE.sub("?", fields.get("name") or "")[:100]
    if name:
        version = _UNSAFE.sub("?", fields.get("version") or "")[:50]
        session.client_is(name, version)
        session.house.journal.tell(
            ImapClientNamed(
                peer=str(session.peer),
                account=str(session.account or ""),
                client=name,
                version=version,
            )
        )
    session.say(b'* ID ("name" "mailappliance")\r\n')
    return Done("Done.")


async def enable(session: Session, command: commands.Enable) -> Done:
    """Turn on what we know of the names; others are passed over."""
    news = []
    hidden = {name.upper() for name in session.hidden | session.house.settings.hidden}
    for name in command.names:
        for each in ENABLED.get(name, ()) if name not in hidden else ():
            if each not in session.enabled and each not in news:
                news.append(each)
    session.say(responses.untagged(" ".join(["ENABLED", *[_SPELLED.get(n, n) for n in news]]).encode("ascii")))
    session.enable(*news)
    return Done("Done.")


async def namespace(session: Session, command: commands.Plain) -> Done:
    """One's own mailboxes, those of others, those of nobody; levels are separated by a dot."""
    if session.house.sharing is None:
        session.say(b'* NAMESPACE (("" ".")) NIL NIL\r\n')
    else:
        others, shared = OTHERS.encode("ascii"), SHARED.encode("ascii")
        session.say(b'* NAMESPACE (("" ".")) (("%b." ".")) (("%b." "."))\r\n' % (others, shared))
    return Done("Done.")


async def compress(session: Session, command: commands.OnMechanism) -> Done:
    """COMPRESS DEFLATE (RFC 4978): from the octet behind our OK on, both ways."""
    if command.name != "DEFLATE":
        raise Refused("Only DEFLATE is known here.", b"CANNOT")
    if session.compressed:
        raise Refused("The connection is compressed already.", b"COMPRESSIONACTIVE")
    return Done("DEFLATE from here on.", after=session.compress)


ROWS = (
    Row("COMPRESS", LOGGED_IN, parse.mechanism, compress),
    Row("CAPABILITY", ANY, parse.plain, capability),
    Row("NOOP", ANY, parse.plain, noop),
    Row("LOGOUT", ANY, parse.plain, logout),
    Row("ID", ANY, parse.identify, identify),
    Row("ENABLE", LOGGED_IN, parse.enable, enable),
    Row("NAMESPACE", LOGGED_IN, parse.plain, namespace),
)
