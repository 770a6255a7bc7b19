"""What sharing tells: who may use whose mailbox."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsChanged(Event):
    """Somebody's rights on a mailbox were changed; empty rights mean that he has none any more."""

    name: ClassVar[str] = "shares.rights"
    account: str
    mailbox: str
    identifier: str
    rights: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyFolderMade(Event):
    """A folder that belongs to nobody was made, for all to whom rights on it are given."""

    name: ClassVar[str] = "shares.folder"
    mailbox: str
