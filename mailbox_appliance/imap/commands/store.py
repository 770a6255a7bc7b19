"""STORE and UID STORE (RFC 3501 §6.4.6; RFC 7162 §3.1.3 UNCHANGEDSINCE)."""

from __future__ import annotations

from mailbox_appliance.imap import ration
from mailbox_appliance.imap.commands.chosen import chosen_uids
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Done, Refused, Row, State
from mailbox_appliance.mail.mailbox import SYSTEM_FLAGS
from mailbox_appliance.wire.imap import commands, parse, sets
from mailbox_appliance.wire.imap.grammar import BadSyntax

_SYSTEM = {name.upper(): name for _, name in SYSTEM_FLAGS}


def checked_flags(flags: tuple[str, ...]) -> frozenset[str]:
    """System flags in their own spelling, keywords as written; \\Recent is passed over, being nobody's to set.

    Raises BadSyntax for a system flag that does not exist.
    """
    checked = set()
    for flag in flags:
        if not flag.startswith("\\"):
            checked.add(flag)
        elif flag.upper() in _SYSTEM:
            checked.add(_SYSTEM[flag.upper()])
        elif flag.upper() != "\\RECENT":
            raise BadSyntax("unknown system flag")
    return frozenset(checked)


async def store(session: Session, command: commands.Store) -> Done:
    """Change flags; what changed is told unless .SILENT was said."""
    box = session.box
    uids = chosen_uids(session, command.messages)
    flags = checked_flags(command.flags)
    if box.read_only:
        raise Refused("This mailbox is open for reading only.", b"CANNOT")
    if command.unchanged_since is not None:
        session.enable("CONDSTORE")
    uids, lowest = ration.newest(session, uids)
    missing = box.tracker.owes_expunges and any(box.tracker.is_gone(uid) for uid in uids)
    conflicting: tuple[int, ...] = ()
    if uids:
        done = await box.mailbox.mark(uids, command.action, flags, command.unchanged_since, box)
        conflicting = done.conflicting
        box.tell_keywords(session.outlet)
        refused = set(conflicting)
        # With CONDSTORE the new modification sequences are told even when .SILENT (RFC 7162 §3.1.3).
        tell = done.changed if command.silent else [uid for uid in uids if uid not in refused] if refused else uids
        if lowest:
            tell = tell[::-1]
        if box.tell_modseq or not command.silent:
            for start in range(0, len(tell), 500):
                session.say(box.flag_lines(tell[start : start + 500], silent=command.silent))
                await session.room()
    if conflicting:
        if command.messages.uids:
            modified = sets.say_set(sorted(conflicting))
        else:
            modified = sets.say_set(sorted(box.tracker.place(uid) + 1 for uid in conflicting))
        return ration.told(session, Done("Some were changed by others.", b"MODIFIED %b" % modified), lowest)
    if missing and not command.messages.uids and not command.silent:
        gone = Done("Some of the messages are gone.", b"EXPUNGEISSUED")  # RFC 2180 §4.2.1
        return ration.told(session, gone, lowest)
    return ration.told(session, Done("Done."), lowest)


ROWS = (
    Row("STORE", State.SELECTED, parse.storing(uids=False), store, expunges=False),
    Row("UID STORE", State.SELECTED, parse.storing(uids=True), store),
)
