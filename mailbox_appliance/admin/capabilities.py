"""account capabilities: what IMAP offers the mail programs of one account (RFC 3501 §6.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailbox_appliance.admin.result import Refused, Result, listing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import text_argument

if TYPE_CHECKING:
    from mailbox_appliance.users.desks.accounts import Accounts

SETTING = "imap_hidden"  # of the account: names with spaces between


async def capabilities(accounts: Accounts, arguments: Arguments) -> Result:
    """Show them, after hiding and showing what was asked. Raises Refused, UsersError."""
    from mailbox_appliance.imap.capabilities import NAMES, ROWS, Moment

    address = text_argument(arguments, "address").strip().lower()
    info = next((one for one in await accounts.listing() if one.account == address), None)
    if info is None:
        raise Refused(f"there is no account {address}: `mailappliance account list` shows the accounts")
    told = [name for name, moments in ROWS if Moment.LOGGED_IN in moments]
    before = set(info.settings.get(SETTING, "").split())
    hidden = before | set(_names(arguments.get("hide"), told))
    if str(arguments.get("show") or "").lower() == "all":
        hidden = set()
    hidden -= set(_names(arguments.get("show"), NAMES))
    if hidden != before:
        await accounts.set_setting(address, SETTING, " ".join(name for name in NAMES if name in hidden) or None)
    rows = [{"capability": name, "hidden": name in hidden} for name in told]
    result = listing(("capability", "hidden"), rows, "")
    shown = [row | {"hidden": "hidden" if row["hidden"] else ""} for row in rows]
    return Result(table=listing(("capability", "hidden"), shown, "").table, data=result.data)


def _names(said: object, known: list[str] | tuple[str, ...]) -> list[str]:
    """The capabilities that were named, as we spell them. Raises Refused."""
    spelled = {name.upper(): name for name in known}
    names = []
    for word in str(said or "").replace(",", " ").split():
        if word.upper() == "ALL":
            continue
        if word.upper() not in spelled:
            raise Refused(
                f"{word} is nothing that is offered after log-in: "
                "`mailappliance account capabilities ADDRESS` lists what is"
            )
        names.append(spelled[word.upper()])
    return names
