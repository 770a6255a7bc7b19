"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK (RFC 3501 §6.3.1-2, §6.4.1-2; RFC 3691; RFC 7162 for CONDSTORE, QRESYNC)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from mailbox_appliance.imap.notify import Notices
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Row, State
from mailbox_appliance.mail.mailbox import SEEN, system_octets
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.wire.imap import commands, parse, responses, sets
from mailbox_appliance.wire.imap.grammar import BadSyntax

MOST_PAIRS = 1000  # of the client's numbers and UIDs that are compared (RFC 7162 §3.2.5.2)
_UNSEEN = bytes(0 if octet & SEEN else 1 for octet in range(256))


def first_unseen(flags: array[int], count: int) -> int:
    """The number of the first message without \\Seen, 0 if there is none: C loops over the low octets of the flags."""
    return system_octets(flags[:count]).translate(_UNSEEN).find(1) + 1


async def select(session: Session, command: commands.Select) -> Done:
    """Open a mailbox and say how it stands."""
    if command.resync is not None and "QRESYNC" not in session.enabled:
        raise BadSyntax("QRESYNC is to be enabled first")
    if session.deselect() and not session.enabled.isdisjoint(("QRESYNC", "IMAP4REV2")):
        session.say(responses.condition(b"OK", "The former mailbox is closed.", b"CLOSED"))
    if command.condstore:
        session.enable("CONDSTORE")
    box = Notices(session.wake)
    box.modes(session.enabled)
    mailbox = await session.store.open(command.mailbox, box, read_only=command.read_only)
    box.begin(mailbox, read_only=command.read_only)
    session.selected = box
    session.state = State.SELECTED
    tracker = box.tracker
    session.say(box.flags_lines())
    session.say(box.count_lines())
    rev2 = "IMAP4REV2" in session.enabled
    unseen = 0 if rev2 or box.uid_only else first_unseen(mailbox.flags, tracker.count)
    if unseen:
        session.say(responses.condition(b"OK", "First unseen.", b"UNSEEN %d" % unseen))
    session.say(responses.condition(b"OK", "UIDs valid.", b"UIDVALIDITY %d" % mailbox.uidvalidity))
    session.say(responses.condition(b"OK", "Predicted next UID.", b"UIDNEXT %d" % mailbox.uidnext))
    session.say(responses.condition(b"OK", "Highest.", b"HIGHESTMODSEQ %d" % mailbox.highest_modseq))
    session.say(responses.condition(b"OK", "Its id.", b"MAILBOXID (%b)" % mailbox.mailbox_id.encode("ascii")))
    if rev2:  # RFC 9051 §6.3.2: the name as the server spells it
        session.say(responses.list_line(b"LIST", (), session.name(mailbox.name)))
    if command.resync is not None and command.resync.uidvalidity == mailbox.uidvalidity:
        await _resync(session, box, command.resync)
    # RFC 4314 §5.2: \Seen of one's own does not make a mailbox writable.
    rights = mailbox.rights
    fixed = mailbox.read_only and not rights.isdisjoint("swte")
    read_only = command.read_only or fixed or rights.isdisjoint("iewt")
    return Done("Mailbox open.", b"READ-ONLY" if read_only else b"READ-WRITE")


async def _resync(session: Session, box: Notices, resync: commands.QuickResync) -> None:
    """Tell what changed since the client was last here (RFC 7162 §3.2.5)."""
    tracker, mailbox = box.tracker, box.mailbox
    known_uids = resync.known_uids.ranges if resync.known_uids is not None else None
    await vanished_earlier(session, box, resync.modseq, known_uids, _surely_known(box, resync))
    changed = [tracker.uids[place] for place in box.changed_since(resync.modseq, 0, tracker.count)]
    if known_uids is not None:
        known = sets.select_uids(_bounded(known_uids, mailbox.uidnext), changed, len(changed))
        changed = list(sets.pick(known, changed))
    for start in range(0, len(changed), 500):
        session.say(box.flag_lines(changed[start : start + 500]))
        await session.room()


def _surely_known(box: Notices, resync: commands.QuickResync) -> int:
    """Up to this UID nothing vanished that the client does not know of: its pairs of numbers and UIDs still hold."""
    if resync.known_pairs is None:
        return 0
    uids, count = box.tracker.uids, box.tracker.count
    known = 0
    pairs = zip(*[_each(some.ranges) for some in resync.known_pairs], strict=False)
    for _, (number, uid) in zip(range(MOST_PAIRS), pairs, strict=False):
        if number > count or uids[number - 1] != uid:
            break
        known = uid
    return known


def _each(ranges: tuple[tuple[int | None, int | None], ...]) -> Iterator[int]:
    for first, last in ranges:
        if first is not None and last is not None:
            yield from range(first, last + 1)


async def vanished_earlier(
    session: Session,
    box: Notices,
    modseq: int,
    among: tuple[tuple[int | None, int | None], ...] | None,
    surely_known: int = 0,
) -> None:
    """VANISHED (EARLIER) for what was expunged after ``modseq``, of the UIDs ``among`` if given (RFC 7162 §3.2.10).

    When that is too long ago to know, every UID above ``surely_known`` that is not there is told: more than asked,
    never less.
    """
    mailbox, tracker = box.mailbox, box.tracker
    gone: list[int] | None = None
    known = await mailbox.vanished_since(modseq)
    if known is not None:
        gone = sorted(known)
        if among is not None:
            gone = list(sets.pick(sets.select_uids(_bounded(among, mailbox.uidnext), gone, len(gone)), gone))
        there = [uid for uid in gone if tracker.place(uid) >= 0]
        if there:  # not told yet as expunged: that comes without (EARLIER)
            gone = [uid for uid in gone if uid not in set(there)]
        text = sets.say_set(gone)
    else:
        bounds = _bounded(among or ((1, None),), mailbox.uidnext)
        bounds = tuple((max(low, surely_known + 1), high) for low, high in bounds if high > surely_known)
        text = _holes(tracker.uids[: tracker.count], bounds)
    if text:
        session.say(b"* VANISHED (EARLIER) %b\r\n" % text)


def _bounded(ranges: tuple[tuple[int | None, int | None], ...], uidnext: int) -> tuple[tuple[int, int], ...]:
    """The ranges the right way round, without what lies beyond UIDNEXT; "*" is the highest UID there has been."""
    top = uidnext - 1
    bounded = []
    for first, last in ranges:
        low, high = sorted((top if first is None else first, top if last is None else last))
        if low <= top:
            bounded.append((low, min(high, top)))
    return tuple(bounded)


def _holes(uids: array[int], ranges: tuple[tuple[int, int], ...]) -> bytes:
    """The UIDs within ``ranges`` that are not among ``uids``, as a set."""
    pieces = []
    for low, high in sorted(ranges):
        chosen = sets.select_uids(((low, high),), uids, len(uids))
        start = low
        for uid in sets.pick(chosen, uids) if chosen else ():
            if uid > start:
                pieces.append(f"{start}:{uid - 1}" if uid - 1 > start else str(start))
            start = uid + 1
        if start <= high:
            pieces.append(f"{start}:{high}" if high > start else str(start))
    return ",".join(pieces).encode("ascii")


async def close(session: Session, command: commands.Plain) -> Done:
    """Expunge without telling, and leave (RFC 3501 §6.4.2)."""
    box = session.box
    if not box.read_only and "e" in box.mailbox.rights:
        try:
            await box.mailbox.expunge()
        except StoreError as error:
            if error.problem is not Problem.NOT_ALLOWED:
                raise
            # A folder such as Addresses keeps what is in it, and CLOSE has no NO: the mailbox is left all the same.
    code = b""
    if "QRESYNC" in session.enabled:
        code = b"HIGHESTMODSEQ %d" % box.mailbox.highest_modseq
    session.deselect()
    return Done("Closed.", code)


async def unselect(session: Session, command: commands.Plain) -> Done:
    """Leave."""
    session.deselect()
    return Done("Left.")


async def check(session: Session, command: commands.Plain) -> Done:
    """Look for changes by other programs."""
    await session.box.mailbox.refresh()
    return Done("Done.")


ROWS = (
    Row("SELECT", LOGGED_IN, parse.select, select),
    Row("EXAMINE", LOGGED_IN, parse.examine, select),
    Row("CLOSE", State.SELECTED, parse.plain, close),
    Row("UNSELECT", State.SELECTED, parse.plain, unselect),
    Row("CHECK", State.SELECTED, parse.plain, check),
)
