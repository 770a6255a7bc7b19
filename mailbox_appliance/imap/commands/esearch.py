"""The ESEARCH response, for SEARCH and SORT alike (RFC 4731, RFC 5267, RFC 9394 PARTIAL, RFC 5182 SAVE, RFC 6203)."""

from __future__ import annotations

from collections.abc import Sequence

from mailbox_appliance.imap.session import Session
from mailbox_appliance.wire.imap import commands, sets
from mailbox_appliance.wire.imap.strings import string


def head(tag: bytes, *, uids: bool) -> bytes:
    """How an ESEARCH begins."""
    return b"* ESEARCH (TAG %b)%b" % (string(tag), b" UID" if uids else b"")


def say_esearch(session: Session, command: commands.Search, numbers: Sequence[int], found: Sequence[int]) -> None:
    """``numbers`` and ``found`` run in step, in the order of the answer: what is told, and the UIDs.

    With SAVE, MIN, MAX and PARTIAL alone save only what they tell (RFC 5182 §2.4, RFC 9394 §3.2).
    """
    give = command.give or frozenset()
    items = []
    told: Sequence[int] = found
    partial = command.partial and sets.window(command.partial, len(numbers))
    if numbers:
        if "MIN" in give:
            items.append(b"MIN %d" % numbers[0])
        if "MAX" in give:
            items.append(b"MAX %d" % numbers[-1])
        if "ALL" in give:
            items.append(b"ALL %b" % sets.say_set(numbers))
        if not give & {"ALL", "COUNT"} and (give & {"MIN", "MAX"} or partial):
            ends = {found[0]} if "MIN" in give else set()
            ends |= {found[-1]} if "MAX" in give else set()
            ends.update(found[slice(*partial)] if partial else ())
            told = sorted(ends)
    if "COUNT" in give:
        items.append(b"COUNT %d" % len(numbers))
    if command.partial and partial:
        items.append(b"PARTIAL (%d:%d %b)" % (*command.partial, sets.say_set(numbers[slice(*partial)]) or b"NIL"))
    if "RELEVANCY" in give and numbers:  # a match is a match: there is no more or less
        items.append(b"RELEVANCY (%b)" % b" ".join([b"100"] * len(numbers)))
    if command.modseq and found:
        items.append(b"MODSEQ %d" % highest_of(session, told))
    if "SAVE" in give:
        session.saved = sorted(told)
        if give == {"SAVE"}:
            return  # nothing was asked to be told
    session.say(head(session.tag, uids=command.uids) + b"".join([b" " + item for item in items]) + b"\r\n")


def highest_of(session: Session, found: Sequence[int]) -> int:
    """The highest modification sequence among these messages."""
    if not found:
        return 0
    wanted = set(found)
    mailbox = session.box.mailbox
    pairs = zip(mailbox.uids, mailbox.modseqs, strict=False)
    return max((modseq for uid, modseq in pairs if uid in wanted), default=0)
