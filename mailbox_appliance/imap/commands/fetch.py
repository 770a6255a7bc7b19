"""FETCH and UID FETCH (RFC 3501 §6.4.5; RFC 7162 CHANGEDSINCE and VANISHED; RFC 2180 §4.1 for what is gone).

Three ways, chosen by what is asked: flags and UIDs come out of the mailbox's arrays, prerendered columns in batches of
rows, sections of bodies out of the files. All of them say their responses in slices and wait while the client does not
read. The view does not change meanwhile: expunges are told after the last response, or later.
"""

from __future__ import annotations

from mailbox_appliance.imap import ration
from mailbox_appliance.imap.commands.chosen import chosen_places
from mailbox_appliance.imap.commands.fetch_bodies import say_bodies
from mailbox_appliance.imap.commands.fetch_plan import Plan, make_plan
from mailbox_appliance.imap.commands.fetch_rows import say_arrays, say_rows
from mailbox_appliance.imap.commands.select import vanished_earlier
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Done, Row, State
from mailbox_appliance.mail.mailbox import SEEN
from mailbox_appliance.ports.store import FlagAction
from mailbox_appliance.wire.imap import commands, sets
from mailbox_appliance.wire.imap.commands import Attribute, Item
from mailbox_appliance.wire.imap.fetch import fetching
from mailbox_appliance.wire.imap.grammar import BadSyntax
from mailbox_appliance.wire.imap.sets import Selection

# Messages whose bodies are said between two looks at rows and flags; and when only the files are asked.
BODIES = 64
BODIES_ALONE = 4096


async def fetch(session: Session, command: commands.Fetch) -> Done:
    """Say what was asked of each message."""
    box = session.box
    if command.vanished and "QRESYNC" not in session.enabled:
        raise BadSyntax("QRESYNC is to be enabled first")
    selection = chosen_places(session, command.messages)
    if command.partial is not None:
        selection = sets.sliced(selection, *sets.window(command.partial, sets.size_of(selection)))
        ration.check(session, sets.size_of(selection))
    attributes = command.attributes
    if box.uid_only and command.uid_implied:
        attributes = tuple([attribute for attribute in attributes if attribute is not Item.UID])
    if command.changed_since is not None:
        if Item.MODSEQ not in attributes:
            attributes = (*attributes, Item.MODSEQ)
        if command.vanished:
            ranges = sets.as_ranges(session.saved) if command.messages.saved else command.messages.ranges
            await vanished_earlier(session, box, command.changed_since, ranges)
        selection = await _changed(session, selection, command.changed_since)
    if Item.MODSEQ in attributes:
        session.enable("CONDSTORE")
    selection, lowest = ration.newest_places(session, selection)
    if lowest:  # RFC 9738 §3.1: from the highest UID down
        said = 0
        for place in reversed(tuple(sets.places(selection))):
            said += await say_selection(session, attributes, [(place, place + 1)])
    else:
        said = await say_selection(session, attributes, selection)
    if said < sets.size_of(selection) and not command.messages.uids:
        # RFC 2180 §4.1.3 with RFC 5530: the rest is told, and NO would make clients give up on it.
        return ration.told(session, Done("Some of the messages are gone.", b"EXPUNGEISSUED"), lowest)
    return ration.told(session, Done("Fetched."), lowest)


async def say_selection(session: Session, attributes: tuple[Attribute, ...], selection: Selection) -> int:
    """Say the responses for these places; how many there were."""
    plan = make_plan(attributes, uid_only=session.box.uid_only)
    mailbox = session.box.mailbox
    if plan.date and selection:
        await mailbox.written(session.box.tracker.uids[selection[0][0]])
    if plan.size and not mailbox.is_measured:
        await mailbox.measure(sets.pick(selection, session.box.tracker.uids))
    if plan.sections:
        return await _bodies(session, plan, selection)
    if plan.columns:
        return await say_rows(session, plan, selection)
    return await say_arrays(session, plan, selection)


async def _changed(session: Session, selection: Selection, since: int) -> Selection:
    """The places whose modification sequence is above ``since``."""
    box = session.box
    chosen: Selection = []
    for low, high in selection:
        for start in range(low, high, 5000):
            stop = min(start + 5000, high)
            chosen += [(place, place + 1) for place in box.changed_since(since, start, stop)]
            await session.room()
    return sets.merged(chosen)


async def _bodies(session: Session, plan: Plan, selection: Selection) -> int:
    """Sections, a few dozen messages at a time; what is not peeked at becomes \\Seen before it is said."""
    box = session.box
    said = 0
    marks = plan.marks_seen and not box.read_only and "s" in box.mailbox.rights
    step = BODIES if marks or plan.columns else BODIES_ALONE
    wanted = sets.pick(selection, box.tracker.uids)
    for start in range(0, len(wanted), step):
        uids = wanted[start : start + step]
        seen: frozenset[int] = frozenset()
        if marks:
            unseen = [uid for uid in uids if (flags := box.flags_of(uid)) is not None and not flags & SEEN]
            if unseen:
                done = await box.mailbox.mark(unseen, FlagAction.ADD, ("\\Seen",), None, box)
                seen = frozenset(done.changed)
        said += await say_bodies(session, plan, uids, seen)
    return said


ROWS = (
    Row("FETCH", State.SELECTED, fetching(uids=False), fetch, expunges=False),
    Row("UID FETCH", State.SELECTED, fetching(uids=True), fetch),
)
