"""The first letter of a new account, joined to the way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailbox_appliance.admin.clientsettings import ClientSettings
from mailbox_appliance.admin.welcome import Welcomes
from mailbox_appliance.config.model import Config

if TYPE_CHECKING:
    from mailbox_appliance.stations import Stations


def make_welcomes(built: Stations, config: Config, clock: Any) -> Welcomes:
    """Whoever greets new accounts with a first letter."""
    settings = ClientSettings(config)
    return Welcomes(built.acceptance, built.users.accounts, settings, config.hostname, clock, built.journal)
