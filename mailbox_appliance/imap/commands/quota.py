"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208, RFC 2087): one root for all mailboxes of an account.

Without a limit there is no root to tell of: clients then show no gauge.
"""

from __future__ import annotations

from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row
from mailbox_appliance.mail.mailbox import Quota
from mailbox_appliance.wire.imap import commands, parse, responses

ROOT = b"Mail"
_UNIT = 1024


def _line(quota: Quota) -> bytes:
    used = (quota.used + _UNIT - 1) // _UNIT
    return responses.untagged(b'QUOTA "%b" (STORAGE %d %d)' % (ROOT, used, quota.limit // _UNIT))


async def get_quota_root(session: Session, command: commands.OnMailbox) -> Done:
    """The root of a mailbox, and how full it is."""
    quota = await session.store.quota()
    name = session.name(command.mailbox)
    if not quota.limit:
        session.say(responses.untagged(b"QUOTAROOT %b" % name))
        return Done("There is no limit.")
    session.say(responses.untagged(b'QUOTAROOT %b "%b"' % (name, ROOT)))
    session.say(_line(quota))
    return Done("Done.")


async def get_quota(session: Session, command: commands.GetQuota) -> Done:
    """How full a root is."""
    quota = await session.store.quota()
    if command.root != ROOT or not quota.limit:
        raise Refused("There is no such quota root.", b"NONEXISTENT")
    session.say(_line(quota))
    return Done("Done.")


async def set_quota(session: Session, command: commands.SetQuota) -> Done:
    """Only the owner of the server sets limits, and not here."""
    raise Refused("Limits are set by the owner of this server.", b"NOPERM")


ROWS = (
    Row("GETQUOTAROOT", LOGGED_IN, parse.on_mailbox, get_quota_root),
    Row("GETQUOTA", LOGGED_IN, parse.get_quota, get_quota),
    Row("SETQUOTA", LOGGED_IN, parse.set_quota, set_quota),
)
