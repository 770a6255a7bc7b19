"""Names: what relay, checks and desks ask of the resolver. Filled by ``dns/`` (dnspython packets over Twisted)."""

from __future__ import annotations

import enum
from collections.abc import Awaitable
from typing import Protocol

from mailbox_appliance.mail.values import dataclass


class Status(enum.Enum):
    """How a look-up ended; TEMPERROR is a value of its own and never means "no"."""

    OK = "ok"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    TEMPERROR = "temperror"


@dataclass(frozen=True, slots=True)
class Answer:
    """``records`` in their natural form by type.

    A, AAAA: address text. MX: (preference, host). TXT: bytes, strings of one record joined. PTR, CNAME: host. Others:
    dnspython's presentation text. Host names are lower case without the final dot; null MX is (0, "").
    ``authentic``: the AD bit of a resolver we trust. ``ttl`` in seconds.
    """

    status: Status
    records: tuple[object, ...] = ()
    ttl: int = 0
    authentic: bool = False
    reason: str = ""


class Resolver(Protocol):
    """Never blocks; caches by TTL; bounded."""

    def glance(self, name: str, rdtype: str) -> Answer | None:
        """What is remembered of ``name`` (lower case, no final dot), with the TTL it came with; None: look it up.

        As long as an answer is good it is one and the same object.
        """

    def look_up(self, name: str, rdtype: str) -> Awaitable[Answer]:
        """Ask for ``rdtype`` ("A", "MX", "TXT" …) of ``name`` (A-labels). Never raises for what the net does."""
