"""People who have a mailbox: what the verbs of ``account`` do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mailbox_appliance.admin.capabilities import capabilities
from mailbox_appliance.admin.clientsettings import ClientSettings
from mailbox_appliance.admin.result import Refused, Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import (
    address_argument,
    iso_moment,
    moment_words,
    past_argument,
    size_words,
    text_argument,
)
from mailbox_appliance.config import values
from mailbox_appliance.delivery.acceptance import LONGEST_REST, REST
from mailbox_appliance.users.answers import UsersError

if TYPE_CHECKING:
    from mailbox_appliance.admin.undeleting import RestingMail
    from mailbox_appliance.users.desks.accounts import Accounts


def _password(arguments: Arguments) -> str | None:
    """The password that was given; None when a good one shall be made."""
    value = arguments.get("password")
    return value if isinstance(value, str) and value else None


def _quota(text: Any) -> int | None:
    if not text or text == "default":
        return None
    try:
        return values.size(int(text) if str(text).isdigit() else text)
    except values.Wrong as wrong:
        raise Refused(f"--quota: {wrong.what}; {wrong.remedy}") from None


class AccountDesk:
    """account add|list|remove|name|password|quota|capabilities|undelete|purge. ``welcome`` greets a new account."""

    def __init__(
        self,
        accounts: Accounts,
        settings: ClientSettings,
        welcome: Callable[[str], Awaitable[None]] | None = None,
        resting: RestingMail | None = None,
    ) -> None:
        self._resting = resting
        self._accounts = accounts
        self._settings = settings
        self._welcome = welcome

    async def add(self, arguments: Arguments) -> Result:
        """Make an account and tell how mail programs reach it."""
        with refusing(UsersError):
            new = await self._accounts.add(
                text_argument(arguments, "address"),
                _password(arguments),
                _quota(arguments.get("quota")),
                str(arguments.get("name") or ""),
            )
        lines = [f"account {new.account} added"]
        if new.password:
            lines.append(f"its password, shown only now: {new.password}")
        lines += [f"it owns {domain}: mail for postmaster@{domain} goes there" for domain in new.owner_of]
        lines += ["", "settings for mail programs:", *(f"  {line}" for line in self._settings.lines(new.account))]
        if self._welcome is not None:
            await self._welcome(new.account)
        data: dict[str, object] = {"account": new.account, **self._settings.facts(new.account)}
        if new.password:
            data["password"] = new.password
        return Result(tuple(lines), data=data)

    async def list(self, arguments: Arguments) -> Result:
        """Accounts, or with --removed those that can be brought back."""
        removed = bool(arguments.get("removed"))
        domain = str(arguments.get("domain") or "").lower().removeprefix("@")
        found = [
            one
            for one in await self._accounts.listing(removed=removed)
            if not domain or one.account.endswith(f"@{domain}")
        ]
        rows: list[dict[str, Any]] = [
            {
                "account": one.account,
                "name": one.name,
                "quota": one.quota,
                "default_quota": one.default_quota,
                "owner_of": list(one.owner_of),
                "aliases": list(one.aliases),
                "devices": one.devices,
                "password": one.password,
                "added": iso_moment(one.added),
                "removed": iso_moment(one.removed),
                "kept_until": iso_moment(one.forgotten_at),
            }
            for one in found
        ]
        where = f" of {domain}" if domain else ""
        none = f"no removed account{where} can be brought back"
        if not removed:
            none = f"no account{where} yet: mailappliance account add SOMEBODY@{domain or 'example.org'}"
        result = listing(("account", "quota", "owner_of", "aliases", "devices", "added"), rows, none)
        if result.table is None:
            return result
        columns = (
            "account",
            *(("name",) if any(one.name for one in found) else ()),
            "quota",
            "owner_of",
            "aliases",
            "devices",
            "password",
            *(("kept_until",) if removed else ()),
        )
        shown = [
            row
            | {
                "quota": size_words(row["quota"]) if row["quota"] else "none",
                "kept_until": moment_words(one.forgotten_at),
            }
            for row, one in zip(rows, found, strict=True)
        ]
        return Result(table=listing(columns, shown, none).table, data=result.data)

    async def remove(self, arguments: Arguments) -> Result:
        """End an account; it can be brought back for a while."""
        with refusing(UsersError):
            gone = await self._accounts.remove(text_argument(arguments, "address"))
        lines = [
            f"account {gone.account} removed: nobody can log in and its mail is refused",
            f"until {moment_words(gone.forgotten_at)} it comes back, with its mail, by: "
            f"mailappliance account undelete {gone.account}",
        ]
        for domain, owner in gone.new_owners:
            lines.append(f"{domain} is owned by {owner} now" if owner else f"{domain} has no owner now")
        lines += [f"the alias {alias} leads nowhere now" for alias in gone.dead_aliases]
        return Result(tuple(lines), data={"account": gone.account, "kept_until": iso_moment(gone.forgotten_at)})

    async def password(self, arguments: Arguments) -> Result:
        """Set another password."""
        with refusing(UsersError):
            made = await self._accounts.set_password(text_argument(arguments, "address"), _password(arguments))
        lines = ["password changed; the passwords of devices stay as they are"]
        if made:
            lines.append(f"the new password, shown only now: {made}")
        return Result(tuple(lines), data={"password": made} if made else {})

    async def quota(self, arguments: Arguments) -> Result:
        """Change how much an account may keep."""
        address = text_argument(arguments, "address")
        octets = _quota(text_argument(arguments, "size"))
        with refusing(UsersError):
            await self._accounts.set_quota(address, octets)
        words = "the default" if octets is None else size_words(octets) if octets else "no limit"
        return Result((f"quota of {address}: {words}",), data={"quota": octets})

    async def name(self, arguments: Arguments) -> Result:
        """How people call whoever has the account."""
        address = text_argument(arguments, "address")
        with refusing(UsersError):
            name = await self._accounts.set_name(address, str(arguments.get("name") or ""))
        words = f"{address} is called {name} now" if name else f"{address} has no name now"
        return Result((words,), data={"account": address, "name": name})

    async def capabilities(self, arguments: Arguments) -> Result:
        """What IMAP offers the account's mail programs; with an option, hide or show some of it."""
        with refusing(UsersError):
            return await capabilities(self._accounts, arguments)

    async def undo(self, arguments: Arguments) -> Result:
        """How long what it sends rests in its Outbox first."""
        address, seconds = text_argument(arguments, "address"), text_argument(arguments, "seconds")
        if not (seconds.isascii() and seconds.isdigit() and int(seconds) <= LONGEST_REST):
            raise Refused(f"seconds: a whole number from 0 to {LONGEST_REST}")
        with refusing(UsersError):
            await self._accounts.set_setting(address, REST, str(int(seconds)) if int(seconds) else None)
        if int(seconds):
            words = f"what {address} sends rests for {int(seconds)} s, and is taken back by deleting it from Outbox"
        else:
            words = f"what {address} sends leaves at once"
        return Result((words,), data={"seconds": int(seconds)})

    async def undelete(self, arguments: Arguments) -> Result:
        """Bring a removed account back, or what a living one has expunged."""
        address = text_argument(arguments, "address").lower()
        living = address in [one.account for one in await self._accounts.listing()]
        if living:
            return await self._undelete_mail(arguments)
        with refusing(UsersError):
            info = await self._accounts.undelete(text_argument(arguments, "address"))
        return Result(
            (f"account {info.account} is back, with its password and its mail",), data={"account": info.account}
        )

    async def _undelete_mail(self, arguments: Arguments) -> Result:
        resting = _there(self._resting)
        since = past_argument(arguments, "since", resting.now(), 0.0)
        mailbox = str(arguments.get("mailbox") or "")
        work = resting.list if arguments.get("list") else resting.bring_back
        return await work(address_argument(arguments), since, mailbox)

    async def purge(self, arguments: Arguments) -> Result:
        """Delete what an account has expunged for good."""
        resting = _there(self._resting)
        account = address_argument(arguments)
        if str(account).lower() not in [one.account for one in await self._accounts.listing()]:
            raise Refused(f"there is no account {account}")
        return await resting.purge(account, past_argument(arguments, "before", resting.now(), resting.now() + 1))


def _there(resting: RestingMail | None) -> RestingMail:
    if resting is None:
        raise Refused("this needs the running service: start it first")
    return resting
