"""password suggest: what the command line's own process does about passwords."""

from __future__ import annotations

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments

MOST_SUGGESTED = 50


class GuessingDesk:
    """password suggest"""

    async def suggest(self, arguments: Arguments) -> Result:
        """Passphrases made by chance; nobody keeps them."""
        from mailbox_appliance.users.strength.judge import passphrases

        text = str(arguments.get("count") or "5")
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_SUGGESTED):
            raise Refused(f"count: a number from 1 to {MOST_SUGGESTED}")
        made = passphrases(int(text))
        return Result(tuple(made), data=made)
