"""Mail on its way out again: under our own name (SRS), with a mark against loops and with an ARC seal.

RFC 5321 §3.9.1 leaves the reverse path alone when an alias passes mail on; today SPF would then fail at the next host.
So a stranger's path is rewritten. The null path and paths of ours stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mailbox_appliance.delivery.returnpaths import ReturnPaths, is_proven
from mailbox_appliance.journal.events.delivery import Forwarded
from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address, show_reverse_path
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.checks import ArcSealing
from mailbox_appliance.ports.delivery import Outgoing, Parcel
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.rounds import Rows
from mailbox_appliance.ports.users import Directory

MARK = "X-Loop"
_MARK = re.compile(rb"[^\s<>,;]+")
UNPROVEN = "nothing proves the sender, so bounces go nowhere"


@dataclass(frozen=True, slots=True)
class Forward:
    """What leaves for the addresses behind one alias, and what must be remembered of it."""

    outgoing: Outgoing
    rows: tuple[Rows, ...]
    told: Forwarded


class Forwarding:
    """``sealing`` None: nothing is sealed."""

    def __init__(
        self, paths: ReturnPaths, directory: Directory, journal: Journal, sealing: ArcSealing | None = None
    ) -> None:
        self._paths = paths
        self._directory = directory
        self._journal = journal
        self._sealing = sealing

    async def forward(self, parcel: Parcel, alias: Address, recipients: Sequence[Recipient]) -> Forward:
        """Make ready what ``alias`` passes on. Raises OSError, Busy: nothing is accepted then."""
        ours = self._directory.domains()
        sender, reason = parcel.envelope.reverse_path, ""
        rows: tuple[Rows, ...] = ()
        domain = alias.domain if alias.domain in ours else min(ours, default="")
        if sender is not None and sender.domain and sender.domain not in ours and domain:
            proven = is_proven(parcel)
            sender, rows = await self._paths.rewritten(sender, domain, proven=proven)
            reason = "" if proven else UNPROVEN
        content = parcel.content.with_prefix(mark(alias))
        seal = b""
        if self._sealing is not None and parcel.verdict.fields and domain:
            seal = await self._sealing.seal(content, domain, parcel.verdict)
        envelope = replace(parcel.envelope, reverse_path=sender, recipients=tuple(recipients))
        told = Forwarded(
            trace=parcel.trace,
            account=str(alias),
            recipient=tuple(str(one.forward_path) for one in recipients),
            sender=show_reverse_path(sender),
            sealed=bool(seal),
            reason=reason,
        )
        return Forward(Outgoing(parcel.trace, envelope, content.with_prefix(seal)), rows, told)


def mark(alias: Address) -> bytes:
    """The field by which we know again what an address of ours has passed on."""
    return f"{MARK}: {alias.folded()}\n".encode("utf-8", "replace")


def is_marked(header: bytes, alias: Address) -> bool:
    """Has ``alias`` passed this message on before?"""
    own = str(alias.folded()).encode("utf-8", "replace").lower()
    return any(own in map(bytes.lower, _MARK.findall(value)) for value in header_block.every(header, MARK.lower()))
