"""Who may use whose mailbox: share list|grant|revoke|create|remove, for the owner who does not speak IMAP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailbox_appliance.admin.result import Refused, Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import text_argument
from mailbox_appliance.mail import rights as words
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR
from mailbox_appliance.ports.sharing import FAMILY, OTHERS, SHARED, Change
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.shares.names import Where

if TYPE_CHECKING:
    from mailbox_appliance.shares.station import Shares

_COLUMNS = ("owner", "mailbox", "who", "rights", "means")


class ShareDesk:
    """Mailboxes of accounts, and the folders of nobody ("shared")."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares

    async def list(self, arguments: Arguments) -> Result:
        """Every mailbox that somebody else may use."""
        wanted = arguments.get("owner")
        owner = await self._owner(str(wanted)) if wanted else None
        with refusing(StoreError):
            await self._shares.catalogue.look()
        rows = []
        for where, _ in sorted(self._shares.catalogue.all(), key=lambda pair: (str(pair[0].owner), pair[0].mailbox)):
            if owner is not None and where.owner != owner:
                continue
            for who, rights in self._shares.listed(where):
                if who != str(where.owner):
                    said = "shared" if where.owner == FAMILY else str(where.owner)
                    row = {"owner": said, "mailbox": where.mailbox, "who": who, "rights": rights}
                    rows.append(row | {"means": _meaning(rights, negative=who.startswith("-"))})
        return listing(_COLUMNS, rows, "nobody shares anything: mailappliance share grant OWNER MAILBOX WHO read")

    async def grant(self, arguments: Arguments) -> Result:
        """Give rights: these take the place of those before."""
        where = await self._where(arguments)
        who, text = text_argument(arguments, "who"), str(arguments.get("rights") or "read")
        try:
            rights = words.read_rights(words.WORDS.get(text.lower(), text))
        except words.NoSuchRight as error:
            known = ", ".join(words.WORDS)
            raise Refused(f"{error}: rights are {known}, or letters out of {words.LETTERS} (RFC 4314)") from None
        now = await self._change(where, who, rights)
        name, below = _shown(where), _below(where)
        return Result(
            (
                f"{who} may now use {name}: {_meaning(words.spelled(now))}",
                f"mail programs show it below {below}",
            ),
            data={"owner": str(where.owner), "mailbox": where.mailbox, "who": who, "rights": words.spelled(now)},
        )

    async def revoke(self, arguments: Arguments) -> Result:
        """Take them away."""
        where = await self._where(arguments)
        who = text_argument(arguments, "who")
        await self._shares.catalogue.look()
        before = dict(self._shares.listed(where))
        await self._change(where, who, words.NONE)
        if dict(self._shares.listed(where)) == before:
            raise Refused(
                f"{who} has no rights of his own on {_shown(where)}: `mailappliance share list` shows who has"
            )
        return Result((f"{who} has no rights of his own on {_shown(where)} any more",), data={"who": who})

    async def create(self, arguments: Arguments) -> Result:
        """Make a folder that belongs to nobody."""
        name = self._name(arguments)
        with refusing(StoreError):
            if name in await self._shares.names():
                raise Refused(f"there is a folder {name} already")
            await self._shares.make(name, {})
        hint = f"next: mailappliance share grant shared {name} anyone read"
        return Result((f"{name} is there, and nobody can see it yet", hint), data={"mailbox": name})

    async def remove(self, arguments: Arguments) -> Result:
        """Remove such a folder with its messages."""
        name = self._name(arguments)
        try:
            await self._shares.remove(name)
        except StoreError as error:
            raise Refused(f"{name}: {error}") from None
        return Result((f"{name} is gone, with its messages",), data={"mailbox": name})

    def _name(self, arguments: Arguments) -> str:
        text = text_argument(arguments, "mailbox")
        return text if text.startswith(SHARED + SEPARATOR) else f"{SHARED}{SEPARATOR}{text}"

    async def _owner(self, text: str) -> Address:
        if text.lower() == "shared":
            return FAMILY
        try:
            owner = Address.parse(text).folded()
        except AddressError as error:
            raise Refused(f'{error}; folders of nobody are those of "shared"') from None
        if not await self._shares.is_account(owner):
            raise Refused(f"there is no account {owner}: `mailappliance account list` shows all")
        return owner

    async def _where(self, arguments: Arguments) -> Where:
        owner, name = await self._owner(text_argument(arguments, "owner")), text_argument(arguments, "mailbox")
        if owner == FAMILY and not name.startswith(SHARED + SEPARATOR):
            name = f"{SHARED}{SEPARATOR}{name}"
        return Where(owner, INBOX if name.upper() == INBOX else name)

    async def _change(self, where: Where, who: str, rights: frozenset[str]) -> frozenset[str]:
        try:
            return await self._shares.change_at(where, who, rights, Change.REPLACE, by="")
        except StoreError as error:
            raise Refused(f"{_shown(where)}, {who}: {error}") from None


def _shown(where: Where) -> str:
    return where.mailbox if where.owner == FAMILY else f"{where.mailbox} of {where.owner}"


def _below(where: Where) -> str:
    return f'"{SHARED}"' if where.owner == FAMILY else f'"{OTHERS}"'


def _meaning(rights: str, *, negative: bool = False) -> str:
    """The rights in a word or two."""
    if negative:
        return "never these"
    for word, letters in reversed(words.WORDS.items()):
        if set(letters) == set(rights):
            return word
    return "some" if rights else "none"
