"""A junk filter that remembers whole messages and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.junk import Judgement, Token

_GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


class FakeJunkFilter:
    """Fits ports.junk.JunkFilter; ``taught`` is what was learnt, ``seen`` what judge was told of other checks."""

    def __init__(self) -> None:
        self.taught: dict[tuple[Address, bytes], bool] = {}
        self.seen: list[tuple[str, ...]] = []
        self.alive = True

    async def judge(
        self, account: Address | None, content: Content, seen: Iterable[str] = (), *, explain: bool = False
    ) -> Judgement:
        self.seen.append(tuple(seen))
        octets = content.header + (content.body if isinstance(content.body, bytes) else b"")
        lessons = [junk for (owner, known), junk in self.taught.items() if known == octets and owner == account]
        count = sum(owner == account for owner, _ in self.taught)
        if _GTUBE in octets or lessons == [True]:
            return Judgement(1.0, 9.0, (Token("known junk", 9.0),), count)
        return Judgement(0.0, -9.0, (Token("unknown", -9.0),), count)

    async def learn(self, account: Address, octets: bytes, junk: bool, seen: Iterable[str] = ()) -> None:
        self.taught[account, octets.replace(b"\r\n", b"\n")] = junk

    async def forget(self, account: Address, octets: bytes) -> bool:
        return self.taught.pop((account, octets.replace(b"\r\n", b"\n")), None) is not None

    async def forget_contrary(self, account: Address, octets: bytes, junk: bool) -> bool:
        known = self.taught.get((account, octets.replace(b"\r\n", b"\n")))
        return known is not None and known != junk and await self.forget(account, octets)

    async def balance(self, account: Address) -> tuple[int, int]:
        lessons = [junk for (owner, _), junk in self.taught.items() if owner == account]
        return lessons.count(True), lessons.count(False)

    async def self_test(self) -> bool:
        return self.alive
