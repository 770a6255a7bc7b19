"""ARC seals on what we pass on (fills ports/checks.ArcSealing): RFC 8617 §5.1, with the domain's RSA key.

What is sealed is what the checks have found: without their Authentication-Results there is nothing to say, and an
older chain that nobody has judged is not continued.
"""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import Deferred

from mailbox_appliance.checks.bodies import digests
from mailbox_appliance.checks.signing import DkimKeys
from mailbox_appliance.journal.events.checks import NotSigned
from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Verdict
from mailbox_appliance.mailauth.arc import read_chain
from mailbox_appliance.mailauth.canonical import RELAXED, BodyDigest, HeaderBlock
from mailbox_appliance.mailauth.sign import SigningKey, seal_fields
from mailbox_appliance.mailauth.signature import RSA
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.workers import Busy, Workers


class Sealer:
    """Fills ports/checks.ArcSealing."""

    def __init__(self, keys: DkimKeys, workers: Workers, clock: Clock, journal: FullJournal) -> None:
        self._keys = keys
        self._workers = workers
        self._clock = clock
        self._journal = journal

    def seal(self, content: Content, domain: str, verdict: Verdict) -> Awaitable[bytes]:
        """ports/checks.ArcSealing."""
        return Deferred.fromCoroutine(self._sealed(content, domain, verdict))

    async def _sealed(self, content: Content, domain: str, verdict: Verdict) -> bytes:
        results = (header_block.first(verdict.fields + b"\n", "authentication-results") or b"").decode(
            "ascii", "replace"
        )
        if not results:
            return b""
        try:
            keys = [key for key in await self._keys.signing(domain) if key.algorithm == RSA]
            block = HeaderBlock(content.header)
            if not keys or block.cut:
                return b""
            body = (await digests(content, {RELAXED}, self._workers, self._clock))[RELAXED]
            found = next((one.result for one in verdict.evidence if one.check == "arc"), "none")
            return await self._workers.run("disk", _seal, block, body, found, keys[0], results, self._clock.seconds())
        except (Busy, OSError, ValueError) as error:
            self._journal.tell(NotSigned(domain=domain, reason=f"no ARC seal: {type(error).__name__}: {error}"[:250]))
        except Exception as error:  # noqa: BLE001 - mail leaves unsealed rather than not at all
            self._journal.broken("checks.sealing", error)
        return b""


def _seal(block: HeaderBlock, body: BodyDigest, found: str, key: SigningKey, results: str, now: float) -> bytes:
    chain = read_chain(block, now)
    there = bool(chain.sets or chain.broken)
    if there != (found != "none") or found == "temperror":
        return b""  # nobody has judged the chain, so nobody can say what it was worth
    return seal_fields(block, body, chain, found, key, results=results, now=now)
