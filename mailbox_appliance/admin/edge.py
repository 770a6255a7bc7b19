"""What may be asked of an edge: nobody lives there, so people, their passwords, keys and lists are the store's."""

from __future__ import annotations

from collections.abc import Iterable

from mailbox_appliance.admin.certs import CertDesk
from mailbox_appliance.admin.configuring import ReloadDesk
from mailbox_appliance.admin.firewall import FirewallDesk
from mailbox_appliance.admin.guarding import GuardingDesk
from mailbox_appliance.admin.mailqueue import MailQueueDesk
from mailbox_appliance.admin.pairing import PairDesk
from mailbox_appliance.admin.reputation import ReputationDesk
from mailbox_appliance.admin.routes import RouteDesk
from mailbox_appliance.admin.status import StatusDesk
from mailbox_appliance.admin.tracing import TraceDesk

AT_THE_STORE = "this is the edge, where nobody lives: say it on the store"
_DESKS = (
    CertDesk,
    ReloadDesk,
    FirewallDesk,
    GuardingDesk,
    MailQueueDesk,
    PairDesk,
    ReputationDesk,
    RouteDesk,
    StatusDesk,
    TraceDesk,
)


def edge_desks(desks: Iterable[object]) -> list[object]:
    """Those of ``desks`` that an edge has."""
    return [desk for desk in desks if isinstance(desk, _DESKS)]
