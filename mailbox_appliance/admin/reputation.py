"""What senders have been sending lately, as the checks remember it: spam reputation."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from mailbox_appliance.admin.result import Refused, Result, listing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_day
from mailbox_appliance.checks.domains import registered
from mailbox_appliance.checks.reputation import Entry, Reputation, evidence_of, key_of
from mailbox_appliance.mail.address import Address, AddressError

MOST_SHOWN = 100
_COLUMNS = ("sender", "good", "bad", "points", "last")
_DAY = 86_400.0


class ReputationDesk:
    """Reads only: a name is made by mail, and by what people move into and out of Junk."""

    def __init__(self, reputation: Reputation) -> None:
        self._reputation = reputation

    async def reputation(self, arguments: Arguments) -> Result:
        """One sender, or those with the most points of either kind."""
        text = str(arguments.get("sender") or "").strip()
        if text:
            key = _key(text)
            found = await self._reputation.entry(key)
            rows = [_row(found)] if found is not None else []
            nothing = f"nothing is known of {key} yet; `mailappliance spam why ID` tells of one message"
        else:
            rows = [_row(one) for one in await self._reputation.foremost(MOST_SHOWN)]
            nothing = "nothing is known of anybody yet"
        return listing(_COLUMNS, rows, nothing)


def _key(text: str) -> str:
    """As the checks remember him. Raises Refused."""
    try:
        return key_of(None, ip_address(text.strip("[]")))
    except ValueError:
        pass
    try:
        local, _, domain = text.rpartition("@")
        author = Address.of(local or "x", domain)
    except AddressError as error:
        raise Refused(f"{error}: write a domain, a mail address or an IP address") from None
    return key_of(author, None) if local else registered(author.domain)


def _row(one: Entry) -> dict[str, Any]:
    weight = sum(piece.weight for piece in evidence_of(one.key, one.standing))
    return {
        "sender": one.key,
        "good": round(one.standing.good, 2),
        "bad": round(one.standing.bad, 2),
        "points": weight,
        "last": iso_day(one.day * _DAY),
    }
