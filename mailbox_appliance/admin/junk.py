"""What is junk: ``spam train`` teaches the filter from files, ``spam why`` explains a verdict."""

from __future__ import annotations

import base64
import binascii
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import address_argument
from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.mail.authfields import seen_words
from mailbox_appliance.mail.mbox import messages_of
from mailbox_appliance.ports.junk import JunkFilter
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.ports.workers import Busy


class TrainDesk:
    """Lessons from files. ``breathe`` is awaited between two of them."""

    def __init__(
        self, junk: JunkFilter, directory: Directory, hostname: Callable[[], str], breathe: Callable[[], Any]
    ) -> None:
        self._filter = junk
        self._directory = directory
        self._hostname = hostname
        self._breathe = breathe

    async def train(self, arguments: Arguments) -> Result:
        """Learn each message of each file."""
        account = address_argument(arguments).folded()
        if account not in await self._directory.accounts():
            raise Refused(f"there is no account {account}")
        junk, ham = bool(arguments.get("junk")), bool(arguments.get("ham"))
        if junk is ham:
            raise Refused("say what the files are: --junk or --ham, one of the two")
        learnt = 0
        for name, octets in files_of(arguments.get("files")):
            messages = messages_of(octets)
            if not messages:
                raise Refused(f"{name} holds no message; {learnt} were learnt before it")
            for message in messages:
                try:
                    await self._filter.learn(account, message, junk, seen_words(message, self._hostname()))
                except (OSError, DatabaseTrouble, sqlite3.Error, Busy) as error:
                    raise Refused(f"{name} could not be learnt: {error}; {learnt} were learnt before it") from error
                learnt += 1
                await self._breathe()
        words = "junk" if junk else "wanted mail"
        data = {"account": str(account), "learnt": learnt, "junk": junk}
        return Result((f"learnt {learnt} message(s) as {words} for {account}",), data=data)


def files_of(given: object) -> Sequence[tuple[str, bytes]]:
    """What the command line has read: name and octets. Raises Refused."""
    found = []
    for one in given if isinstance(given, list) else ():
        if not isinstance(one, Mapping):
            raise Refused("the files did not come over whole")
        try:
            found.append((str(one["name"]), base64.b64decode(one["octets"], validate=True)))
        except (KeyError, TypeError, binascii.Error):
            raise Refused("the files did not come over whole") from None
    if not found:
        raise Refused("no file was given")
    return found
