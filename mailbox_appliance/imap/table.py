"""The command table's row, and what a command may answer: the rows themselves stand in ``imap/commands``."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor

if TYPE_CHECKING:
    from mailbox_appliance.imap.session import Session


class State(enum.Flag):
    """States of a session (RFC 3501 §3)."""

    GREETED = enum.auto()
    AUTHENTICATED = enum.auto()
    SELECTED = enum.auto()


ANY = State.GREETED | State.AUTHENTICATED | State.SELECTED
LOGGED_IN = State.AUTHENTICATED | State.SELECTED


@dataclass(frozen=True, slots=True)
class Done:
    """The tagged OK: its words, a response code without brackets, and what is to be done once it is said."""

    text: str
    code: bytes = b""
    after: Callable[[], None] | None = None


class Refused(Exception):
    """The tagged NO: its words, and a response code without brackets (RFC 5530)."""

    def __init__(self, text: str, code: bytes = b"") -> None:
        super().__init__(text)
        self.code = code


Do = Callable[["Session", Any], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class Row:
    """One verb: in which states it may be said, how its arguments are read, what is done.

    ``expunges``: may EXPUNGE be told before its tagged answer? Not for FETCH, STORE and SEARCH with message numbers
    (RFC 3501 §7.4.1).
    """

    verb: str
    states: State
    parse: Callable[[Cursor], Any]
    do: Do
    expunges: bool = True


_CODES = {problem: problem.value.encode("ascii") for problem in Problem} | {Problem.HAS_CHILDREN: b"HASCHILDREN"}


def refusal(error: StoreError, *, target: bool = False) -> Refused:
    """The NO for what the store refuses; ``target``: a missing mailbox is one to be made first (RFC 3501 §7.1)."""
    if target and error.problem is Problem.NO_SUCH_MAILBOX:
        return Refused(str(error), b"TRYCREATE")
    return Refused(str(error), _CODES[error.problem])


__all__ = ["ANY", "LOGGED_IN", "BadSyntax", "Done", "Refused", "Row", "State", "refusal"]
