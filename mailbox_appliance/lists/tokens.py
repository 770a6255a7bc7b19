"""Words that only this machine can make: who may leave by a link, whose bounce it is, which wish is confirmed.

Each is a keyed hash over what it stands for, so nothing is kept; a confirmation is good for a week. They travel in
local parts of addresses, where case means nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.lists import MailingList, Member

Keys = Callable[[], Awaitable[tuple[bytes, ...]]]
DAYS = 7  # a confirmation is good for
_DAY = 86_400
_SHAPE = re.compile(r"([0-9a-z]{1,14})-([a-z2-7]{16})")


def _proof(key: bytes, *words: str) -> str:
    text = "\0".join(words).lower().encode("utf-8", "surrogatepass")
    return base64.b32encode(hmac.new(key, text, hashlib.sha256).digest())[:16].decode("ascii").lower()


class Tokens:
    """``keys``: the first makes them, all are recognized."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def _make(self, name: str, *words: str) -> str:
        return f"{name}-{_proof((await self._keys())[0], *words, name)}"

    async def _fits(self, token: str, words: Callable[[str], tuple[str, ...]]) -> str:
        """The name before the proof, '' when the proof is none."""
        found = _SHAPE.fullmatch(token.lower())
        if found is None:
            return ""
        name, given = found[1], found[2]
        fits = [hmac.compare_digest(_proof(key, *words(name), name), given) for key in await self._keys()]
        return name if any(fits) else ""

    async def for_member(self, purpose: str, one: MailingList, member: Member) -> str:
        """``purpose``: "bounce" or "leave". Good for as long as the membership lasts."""
        return await self._make(str(member.number), purpose, str(one.address), str(member.address))

    async def member_of(self, purpose: str, one: MailingList, token: str) -> Member | None:
        """Whose it is."""
        number = token.partition("-")[0]
        member = next((each for each in one.members if str(each.number) == number), None)
        if member is None:
            return None
        words = (purpose, str(one.address), str(member.address))
        return member if await self._fits(token, lambda name: words) else None

    async def for_wish(self, purpose: str, one: MailingList, address: Address) -> str:
        """``purpose``: "join" or "leave", which somebody at ``address`` must confirm."""
        day = int(self._clock.seconds() // _DAY)
        return await self._make(f"{purpose[0]}{day}", purpose, str(one.address), str(address))

    async def wish_of(self, one: MailingList, token: str, addresses: list[Address]) -> tuple[str, Address] | None:
        """What is wished, by whom out of ``addresses``; None when it is none of theirs, or too old."""
        name = token.lower().partition("-")[0]
        purpose = {"j": "join", "l": "leave"}.get(name[:1], "")
        if not purpose or not name[1:].isascii() or not name[1:].isdigit():
            return None
        age = int(self._clock.seconds() // _DAY) - int(name[1:])
        if not 0 <= age <= DAYS:
            return None
        for address in addresses:
            words = (purpose, str(one.address), str(address))
            if await self._fits(token, lambda name, words=words: words):  # type: ignore[misc]
                return purpose, address
        return None

    async def for_held(self, one: MailingList, name: str) -> str:
        """A moderator's word on the held post ``name``."""
        return await self._make(name, "held", str(one.address))

    async def held_of(self, one: MailingList, token: str) -> str:
        """Which held post it is about, '' when it is about none."""
        return await self._fits(token, lambda name: ("held", str(one.address)))
