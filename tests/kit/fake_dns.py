"""A resolver fed from zone text (see tests/kit/zones.py): fits ports.dns.Resolver, answers at once."""

from __future__ import annotations

import dns.message
from twisted.internet.defer import Deferred, succeed

from mailbox_appliance.dns import packets
from mailbox_appliance.dns.resolver import local_answer
from mailbox_appliance.ports.dns import Answer, Status
from tests.kit.zones import Zone


class FakeDns:
    """``questions`` lists what was asked, as (name, type). Names marked silent never answer; servfail is TEMPERROR.

    ``remembers``: what was asked once is remembered for good, as a warm cache would.
    """

    def __init__(self, zone: str = "", *, remembers: bool = False) -> None:
        self.zone = Zone(zone)
        self.questions: list[tuple[str, str]] = []
        self.remembered: dict[tuple[str, str], Answer] | None = {} if remembers else None

    def glance(self, name: str, rdtype: str) -> Answer | None:
        return self.remembered.get((name, rdtype)) if self.remembered is not None else None

    def look_up(self, name: str, rdtype: str) -> Deferred[Answer]:
        name = name.lower().removesuffix(".")
        self.questions.append((name, rdtype))
        found = self._found(name, rdtype)
        if self.remembered is not None and found.called:
            self.remembered[name, rdtype] = found.result  # type: ignore[assignment]
        return found

    def _found(self, name: str, rdtype: str) -> Deferred[Answer]:
        known = local_answer(name, rdtype)
        if known is not None:
            return succeed(known)
        for _ in range(packets.MOST_ALIASES):
            try:
                question = packets.make_question(name, rdtype)
            except packets.NoQuestion as error:
                return succeed(Answer(Status.NXDOMAIN, reason=str(error)))
            response = self.zone.answer(dns.message.from_wire(question.wire))
            if response is None:
                return Deferred()
            found = packets.understand(question, response, trusted=True)
            if isinstance(found, packets.Alias):
                name = found.name
                continue
            if isinstance(found, packets.ServerTrouble):
                return succeed(Answer(Status.TEMPERROR, reason=found.reason))
            return succeed(found)
        return succeed(Answer(Status.TEMPERROR, reason="too many aliases (CNAME) behind one another"))
