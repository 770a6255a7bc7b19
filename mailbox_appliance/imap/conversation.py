"""One conversation in IMAP: pull a command, look it up in the table, do it, tell what happened meanwhile, answer.

Bytes become commands in ``wire/imap/server``; the table of ``imap/commands`` says what may be said when; ``notify``
keeps what other sessions and programs did until it may be told. An unexpected exception costs one command its answer
(NO) and a line in the journal, never the session, unless half a literal was already said.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from mailbox_appliance.imap.house import Ended
from mailbox_appliance.imap.outlet import ConnectionGone
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Refused, Row, State, refusal
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.wire.imap import responses
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor, NameNotPossible
from mailbox_appliance.wire.imap.parse import UseNotKnown
from mailbox_appliance.wire.imap.search import CHARSETS, UnknownCharset
from mailbox_appliance.wire.imap.server import Command, MessageAhead, Signal, Unreadable

_BYE = b"BYE"
# Commands with message numbers, which UIDONLY turns off (RFC 9586 §3).
NUMBERED = frozenset({"FETCH", "STORE", "SEARCH", "SORT", "THREAD", "COPY", "MOVE", "REPLACE"})


async def converse(session: Session) -> None:
    """Greet and talk until it is over. Never raises."""
    ended = Ended("broken")
    try:
        session.touch()
        session.say(responses.condition(b"OK", "mailappliance ready.", session.capability_code()))
        while True:
            await _turn(session)
    except Ended as reason:
        ended = reason
        if str(reason):
            session.say(responses.condition(_BYE, str(reason)))
    except ConnectionGone:
        ended = session.closing or Ended("closed")
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends this session only
        session.house.journal.broken("imap", error)
        session.say(responses.condition(_BYE, "Something went wrong here."))
    session.leave(ended)


async def _turn(session: Session) -> None:
    """One event."""
    event = session.reader.next()
    if event is None or session.closing is not None:
        if session.closing is None:
            await session.unasked()
        await session.more()
        return
    if isinstance(event, (Command, MessageAhead)):
        session.commands += 1
        await _obey(session, event.tag, event.verb, event)
    elif event is Signal.CONTINUE:
        session.say(responses.CONTINUE)
    elif isinstance(event, Unreadable):
        session.bad(event.tag, event.text, event.code)
        if event.fatal:
            raise Ended("abuse", "That was too much.")
    await session.outlet.room()


async def _obey(session: Session, tag: bytes, verb: str, event: Command | MessageAhead) -> None:
    """Look the command up, do it, answer it."""
    row = session.house.table.get(verb)
    if row is None or session.state not in row.states:
        if isinstance(event, MessageAhead) and not session.reader.refuse():
            raise Ended("abuse", "That was too much.")
        session.bad(tag, "Unknown command." if row is None else _not_now(session, row))
        return
    if verb in NUMBERED and "UIDONLY" in session.enabled:
        if isinstance(event, MessageAhead) and not session.reader.refuse():
            raise Ended("abuse", "That was too much.")
        session.bad(tag, "Message numbers are not used here.", b"UIDREQUIRED")
        return
    session.tag = tag
    word = b"NO"
    after = None
    try:
        if isinstance(event, Command):
            done = await row.do(session, row.parse(Cursor(event.octets, event.at, session.utf8)))
        else:
            done = await row.do(session, event)
        word, text, code, after = b"OK", done.text, done.code, done.after
    except UnknownCharset as error:
        text, code = str(error), b"BADCHARSET (%b)" % b" ".join(CHARSETS)
    except UseNotKnown as error:
        text, code = str(error), b"USEATTR"
    except NameNotPossible as error:
        text, code = f"{str(error)[:1].upper()}{str(error)[1:]}.", b"CANNOT"
    except BadSyntax as error:
        session.bad(tag, f"{error}.", error.code)
        return
    except Refused as refused:
        text, code = str(refused), refused.code
    except StoreError as error:
        refusing = refusal(error)
        text, code = str(refusing), refusing.code
    except Busy:
        text, code = "Too busy, try again later.", b"UNAVAILABLE"
    except (Ended, ConnectionGone):
        raise
    except CancelledError:
        _check_gone(session)
        text, code = "Cancelled.", b""
    except Exception as error:  # noqa: BLE001 - the session lives on
        _check_gone(session)
        session.house.journal.broken("imap", error)
        text, code = "Something went wrong here; it has been written down.", b"SERVERBUG"
    if session.spoilt:
        session.abort()
        raise Ended("broken")
    if session.selected is not None:
        await session.selected.tell(session.outlet, expunges=row.expunges or "UIDONLY" in session.enabled)
    session.say(responses.tagged(tag, word, text, code))
    if after is not None:
        after()


def _check_gone(session: Session) -> None:
    if session.outlet.closed:
        raise ConnectionGone


def _not_now(session: Session, row: Row) -> str:
    if session.state is State.GREETED:
        return "Log in first."
    if session.state is State.AUTHENTICATED and row.states is State.SELECTED:
        return "Select a mailbox first."
    return "Not now."
