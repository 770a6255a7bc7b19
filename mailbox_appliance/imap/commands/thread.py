"""THREAD and UID THREAD (RFC 5256 §3): search, compare, answer; the last few answers are kept while nothing changes."""

from __future__ import annotations

import hashlib
from array import array

from mailbox_appliance.imap import ration
from mailbox_appliance.imap.commands.search import find, numbers_of, resolved
from mailbox_appliance.imap.kept import LARGEST_ANSWER, MOST_ANSWERS
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.sortkeys import kept_of, threadables
from mailbox_appliance.imap.table import Done, Row, State
from mailbox_appliance.wire.imap import commands
from mailbox_appliance.wire.imap.search import threading
from mailbox_appliance.wire.imap.threads import ordered_subject, references

_SAID_AT_ONCE = 65_536


async def thread(session: Session, command: commands.Thread) -> Done:
    """Say who answered whom."""
    key, _ = ration.narrowed(session, resolved(session, command.key), whole=True)
    found = await find(session, key)
    numbers = found if command.uids else await numbers_of(session, found)
    asked = array("I", found).tobytes() + (b"" if command.uids else array("I", numbers).tobytes())
    kept_under = (command.algorithm, command.uids, hashlib.blake2b(asked, digest_size=16).digest())
    answers = kept_of(session).threads
    answer = answers.get(kept_under)
    if answer is None:
        messages = await threadables(session, found, numbers)
        steps = references(messages) if command.algorithm == "REFERENCES" else ordered_subject(messages)
        while answer is None:
            try:
                next(steps)
            except StopIteration as end:
                answer = bytes(end.value)
            else:
                await session.room()
        while len(answers) >= MOST_ANSWERS:
            del answers[next(iter(answers))]
        if len(answer) <= LARGEST_ANSWER:
            answers[kept_under] = answer
    session.say(b"* THREAD " if answer else b"* THREAD")
    for start in range(0, len(answer), _SAID_AT_ONCE):
        session.say(answer[start : start + _SAID_AT_ONCE])
        await session.room()
    session.say(b"\r\n")
    return Done("Threaded.")


ROWS = (
    Row("THREAD", State.SELECTED, threading(uids=False), thread, expunges=False),
    Row("UID THREAD", State.SELECTED, threading(uids=True), thread),
)
