"""What an author's domain publishes (fills ports/lists.AuthorPolicies): may a list go on writing in his name?"""

from __future__ import annotations

from mailbox_appliance.checks.lookups import Inquiry
from mailbox_appliance.mailauth import dmarc
from mailbox_appliance.mailauth.lookups import Answers, settle
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.dns import Resolver
from mailbox_appliance.ports.journal import HasFailed

SECONDS = 10.0


class PublishedPolicies:
    """Asked for each post; the resolver remembers answers for as long as they are good."""

    def __init__(self, resolver: Resolver, clock: Clock, journal: HasFailed) -> None:
        self._resolver = resolver
        self._clock = clock
        self._journal = journal

    async def is_strict(self, domain: str) -> bool:
        """A policy that cannot be asked for counts as strict: a rewritten From harms nobody."""
        inquiry = Inquiry(self._resolver, self._clock, SECONDS)
        try:
            found = await settle(
                lambda answers: dmarc.evaluate(domain, "", (), answers), Answers(inquiry.known), inquiry.ask
            )
        except Exception as error:  # noqa: BLE001 - a list must not stand still for one author's records
            self._journal.broken("checks.policies", error)
            return True
        return found.result == "temperror" or found.policy in ("quarantine", "reject")
