"""What a look at a mailbox's directories has found, on its way from the worker threads to the open mailbox."""

from __future__ import annotations

from dataclasses import field
from typing import NamedTuple

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.store import uidlist as uidlists
from mailbox_appliance.store.first import Crowd
from mailbox_appliance.store.index import MailboxRow
from mailbox_appliance.store.uidlist import UidList


class MailboxGone(Exception):
    """The folder is not there any more."""


class Newcomer(NamedTuple):
    """A file without a row. What is not known yet is found by ``admit``; ``flags`` are keywords no letter can say.

    ``size`` with CRLF line ends; ``date`` and ``saved`` in epoch seconds, ``zone`` in minutes east of UTC.
    """

    fresh: bool
    file: str
    flags: int = 0
    date: int | None = None
    zone: int = 0
    saved: int | None = None
    size: int | None = None
    counted: bool = False  # one of ours: the account's use grows by it


@dataclass(slots=True)
class Changes:
    """What a look has found; ``changed`` and ``gone`` are in the index already, ``newcomers`` wait for ``admit``,
    ``crowd`` for ``store.first``."""

    row: MailboxRow
    newcomers: list[Newcomer] = field(default_factory=list)
    crowd: Crowd | None = None  # newcomers, too, where they are very many and the first
    changed: list[tuple[int, int]] = field(default_factory=list)  # uid, flags
    gone: list[int] = field(default_factory=list)
    modseq: int = 0
    reset: bool = False  # UIDVALIDITY or the meaning of keywords has changed: nothing told before holds
    restored: bool = False  # keyword files that were lost
    again: bool = False  # somebody is at work in there: look again soon
    doubt: int = 0  # what remains of it once the newcomers are admitted
    listed: tuple[uidlists.Signature, UidList] | None = None


def next_modseq(row: MailboxRow, now: float) -> int:
    """Higher than all before; bound to the clock, so that an index older than its clients never repeats one.

    A million steps a second are more than there can be changes: none that was told is ahead of the clock.
    """
    return max(row.highest_modseq + 1, int(now * (1 << 20)))
