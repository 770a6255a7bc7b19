"""What people have said of a sender, asked while he still listens (fills ports.checks.SenderLists).

At RCPT only the reverse path is known: who has blocked it is spared the content. At the end of the content the lists
are asked about the author, for a message that nobody would take otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Error as SqliteError

from mailbox_appliance.checks.senders import Senders, Standing
from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.ports.users import Directory, Known, LocalMailbox
from mailbox_appliance.ports.workers import Busy

SAID = {Standing.ALLOWED: "a", Standing.BLOCKED: "b", Standing.NONE: ""}


class PeoplesWords:
    """``settings`` gives the checks' settings of now: the owner may have made another rule of "sender blocked"."""

    def __init__(self, senders: Senders, directory: Directory, settings: Callable[[], ChecksSettings]) -> None:
        self._senders = senders
        self._directory = directory
        self._settings = settings

    async def standing(self, recipient: Address, sender: Address) -> str:
        """ "b" when all who read mail to ``recipient`` have blocked him, "a" when one of them takes all of his."""
        settings = self._settings()
        if "sender" in settings.switched_off:
            return ""
        resolution = await self._directory.resolve(recipient)
        if not isinstance(resolution, Known):
            return ""
        said = set()
        for destination in resolution.destinations:
            if not isinstance(destination, LocalMailbox):
                said.add("")
                continue
            try:
                said.add(SAID[await self._senders.judged_by(destination.account, sender)])
            except (OSError, DatabaseTrouble, SqliteError, Busy):
                return ""  # the letter itself is judged with the reason in the journal
        if "a" in said:
            return "a"
        refuses = settings.actions.get("sender blocked", Action.REJECT) is Action.REJECT
        return "b" if said == {"b"} and refuses else ""
