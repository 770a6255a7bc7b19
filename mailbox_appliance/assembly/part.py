"""What the service does with every joined part beside the ten that carry the mail: start, stop, look after it daily.

A part overrides what it needs; assembly.joints puts it into ``Stations.parts``, and the service needs no new line.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailbox_appliance.admin.status import Check
from mailbox_appliance.config.model import Config
from mailbox_appliance.mail.address import Address


class Part:
    """One joined part. The name stands in the journal when it breaks."""

    name = "part"

    async def prepare(self) -> None:
        """What must be known before the queue sends anything; parts are asked in their order.

        Raises as ``start`` does.
        """

    async def start(self) -> None:
        """Open what lies behind it, before a port admits anybody; parts start in their order.

        Raises OSError, sqlite3.Error, DatabaseTrouble: the service then says why and does not start.
        """

    async def stop(self) -> None:
        """Let go, in the reverse order; no session is open any more and the databases of the users still are."""

    async def each_day(self) -> None:
        """Once a day while the service runs, first a day after its start."""

    def take_over(self, config: Config) -> None:
        """``reload``: new settings; what is open goes on with those it began with."""

    def forget(self, account: Address) -> None:
        """The account has gone for good: let go of what is its own."""

    def desks(self) -> Sequence[object]:
        """Whoever answers its verbs (admin.verbs) while the service runs.

        Asked once, when the first question comes: what only desks need is imported here.
        """
        return ()

    def checks(self) -> Sequence[Check]:
        """Its lines of ``status``."""
        return ()
