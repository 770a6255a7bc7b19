"""What people have said of a sender, asked while he still listens (fills ports.checks.SenderLists).

At RCPT only the reverse path is known: who has blocked it is spared the content. At the end of the content the lists
are asked about the author, for a message that nobody would take otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Error as SqliteError

from mailbox_appliance.checks.senders import Senders
from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.ports.users import Directory, Known, LocalMailbox
from mailbox_appliance.ports.workers import Busy


class PeoplesWords:
    """``settings`` gives the current settings of the checks: the owner may have another rule for "sender blocked"."""

    def __init__(self, senders: Senders, directory: Directory, settings: Callable[[], ChecksSettings]) -> None:
        self._senders = senders
        self._directory = directory
        self._settings = settings

    async def standing(self, recipient: Address, sender: Address) -> Standing:
        """ports.checks.SenderLists; people elsewhere have said nothing."""
        settings = self._settings()
        if "sender" in settings.switched_off:
            return Standing.NONE
        resolution = await self._directory.resolve(recipient)
        if not isinstance(resolution, Known):
            return Standing.NONE
        said = set()
        for destination in resolution.destinations:
            if not isinstance(destination, LocalMailbox):
                said.add(Standing.NONE)
                continue
            try:
                said.add(await self._senders.judged_by(destination.account, sender))
            except (OSError, DatabaseTrouble, SqliteError, Busy):
                return Standing.NONE  # the message itself is judged later, and the journal then tells the reason
        if Standing.ALLOWED in said:
            return Standing.ALLOWED
        refuses = settings.actions.get("sender blocked", Action.REJECT) is Action.REJECT
        return Standing.BLOCKED if said == {Standing.BLOCKED} and refuses else Standing.NONE
