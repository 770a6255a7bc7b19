"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208, RFC 2087): one root for all mailboxes of an account.

Without a limit there is no root to tell of: clients then show no gauge.
"""

from __future__ import annotations

from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row
from mailbox_appliance.mail.mailbox import SEPARATOR, Quota
from mailbox_appliance.ports.sharing import SHARED, is_elsewhere
from mailbox_appliance.wire.imap import commands, parse, responses
from mailbox_appliance.wire.imap.strings import string

ROOT = b"Mail"
_UNIT = 1024


def _root_of(mailbox: str) -> bytes:
    """The root a mailbox counts to: of somebody else's it is his level of the name, "Other Users.ann"."""
    if not is_elsewhere(mailbox):
        return ROOT
    if mailbox.startswith(SHARED + SEPARATOR):
        return SHARED.encode("ascii")
    return SEPARATOR.join(mailbox.split(SEPARATOR)[:2]).encode("utf-8")


def _line(quota: Quota, root: bytes = ROOT) -> bytes:
    used = (quota.used + _UNIT - 1) // _UNIT
    return responses.untagged(b"QUOTA %b (STORAGE %d %d)" % (_quoted(root), used, quota.limit // _UNIT))


def _quoted(root: bytes) -> bytes:
    return b'"%b"' % root if root.isascii() else string(root)


async def get_quota_root(session: Session, command: commands.OnMailbox) -> Done:
    """The root of a mailbox, and how full it is."""
    quota = await session.store.quota(command.mailbox)
    name = session.name(command.mailbox)
    root = _root_of(command.mailbox)
    if not quota.limit:
        session.say(responses.untagged(b"QUOTAROOT %b" % name))
        return Done("There is no limit.")
    session.say(responses.untagged(b"QUOTAROOT %b %b" % (name, _quoted(root))))
    session.say(_line(quota, root))
    return Done("Done.")


async def get_quota(session: Session, command: commands.GetQuota) -> Done:
    """How full a root is."""
    name = "" if command.root == ROOT else await _of_others(session, command.root)
    quota = await session.store.quota(name)
    if not quota.limit:
        raise _no_such_root()
    session.say(_line(quota, command.root))
    return Done("Done.")


async def _of_others(session: Session, root: bytes) -> str:
    """A mailbox that counts to the root, among those the client can see. Raises Refused."""
    for info in await session.store.mailboxes():
        if info.exists and info.selectable and is_elsewhere(info.name) and _root_of(info.name) == root:
            return info.name
    raise _no_such_root()


def _no_such_root() -> Refused:
    return Refused("There is no such quota root.", b"NONEXISTENT")


async def set_quota(session: Session, command: commands.SetQuota) -> Done:
    """Only the owner of the server sets limits, and not here."""
    raise Refused("Limits are set by the owner of this server.", b"NOPERM")


ROWS = (
    Row("GETQUOTAROOT", LOGGED_IN, parse.on_mailbox, get_quota_root),
    Row("GETQUOTA", LOGGED_IN, parse.get_quota, get_quota),
    Row("SETQUOTA", LOGGED_IN, parse.set_quota, set_quota),
)
