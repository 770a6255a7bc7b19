"""Dovecot's ``subscriptions``: one mailbox a line in modified UTF-7; version 2 parts the levels by TAB."""

from __future__ import annotations

import os

from mailbox_appliance.mail.mailbox import SEPARATOR
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.store.dotlock import dotlock
from mailbox_appliance.store.durable import read_file, replace_file
from mailbox_appliance.store.paths import checked_name
from mailbox_appliance.wire.imap import utf7

NAME = "subscriptions"
MOST_OCTETS = 4 * 1024 * 1024
MOST_NAMES = 10_000
_HEAD = b"V\t2\n\n"
# Dovecot's str_tabescape: what cannot stand in a line.
_ESCAPES = {b"0": b"\x00", b"1": b"\x01", b"t": b"\t", b"r": b"\r", b"n": b"\n"}


def _unescape(octets: bytes) -> bytes:
    head, *rest = octets.split(b"\x01")
    return head + b"".join(_ESCAPES.get(piece[:1], piece[:1]) + piece[1:] for piece in rest)


def parse(octets: bytes) -> list[str]:
    """Names in order, without doubles; lines that name no mailbox are passed over."""
    names: dict[str, None] = {}
    lines = octets.split(b"\n")
    second = lines[0] == b"V\t2"
    if second:
        lines = lines[1:]
    for line in lines[: MOST_NAMES + 2]:
        levels = [_unescape(level) for level in line.split(b"\t")] if second else [line.rstrip(b"\r")]
        try:
            name = checked_name(SEPARATOR.join([utf7.decode(level) for level in levels]))
        except (utf7.BadName, StoreError):
            continue
        names[name] = None
    return list(names)


def write(names: list[str]) -> bytes:
    """The file in version 2."""
    return _HEAD + b"".join([b"\t".join(utf7.encode(level) for level in n.split(SEPARATOR)) + b"\n" for n in names])


def read(root: str) -> list[str]:
    """What the account is subscribed to."""
    return parse(read_file(os.path.join(root, NAME), MOST_OCTETS) or b"")


def change(root: str, add: list[str], remove: list[str]) -> None:
    """Subscribe and unsubscribe, under Dovecot's lock. For worker threads."""
    path = os.path.join(root, NAME)
    with dotlock(path):
        before = read(root)
        names = [name for name in before if name not in remove]
        names += [name for name in dict.fromkeys(add) if name not in names and len(names) < MOST_NAMES]
        if names != before or not os.path.exists(path):
            replace_file(path, write(names))
