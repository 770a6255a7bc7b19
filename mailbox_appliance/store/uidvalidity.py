"""``dovecot-uidvalidity``: the last UIDVALIDITY given in this account, so that a new mailbox never gets an old one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets

from mailbox_appliance.store.durable import read_file, replace_file

NAME = "dovecot-uidvalidity"
_HEX = re.compile(r"[0-9a-f]{8}")


def last_given(root: str) -> int:
    """Out of the file and of Dovecot's ``dovecot-uidvalidity.XXXXXXXX`` beside it; 0 when neither is there."""
    octets = read_file(os.path.join(root, NAME), 16) or b""
    text = octets.decode("ascii", "replace").strip()
    best = int(text, 16) if _HEX.fullmatch(text) else 0
    for name in os.listdir(root):
        head, _, tail = name.rpartition(".")
        if head == NAME and _HEX.fullmatch(tail):
            best = max(best, int(tail, 16))
    return best


def give(root: str, now: float) -> int:
    """A UIDVALIDITY higher than every one given here before (RFC 3501 §2.3.1.1)."""
    last = last_given(root)
    value = max(int(now), last + 1) & 0xFFFFFFFF
    _record(root, last, value)
    return value


def spent(root: str, value: int) -> None:
    """A mailbox with this UIDVALIDITY is going away: it is never given again."""
    last = last_given(root)
    if value > last:
        _record(root, last, value)


def _record(root: str, last: int, value: int) -> None:
    path = os.path.join(root, NAME)
    replace_file(path, b"%08x" % value)
    if last:
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}.{last:08x}", f"{path}.{value:08x}")


def new_guid() -> str:
    """A mailbox id of 32 hexadecimal digits (RFC 8474), kept in the head of dovecot-uidlist."""
    return secrets.token_hex(16)
