"""Mail of local programs: the drop folder as a part of the service."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from typing import Any

from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.settings import smtp_settings
from mailbox_appliance.config.model import Config
from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.smtp.dropbox import DropBox
from mailbox_appliance.smtp.dropfolder import FOR_EVERYBODY, FOR_OURSELVES
from mailbox_appliance.smtp.localmail import DropSettings, LocalMail
from mailbox_appliance.smtp.parts import Parts
from mailbox_appliance.workers import ThreadedWorkers


class DropPart(Part):
    """Off in local mode, where nothing is for real."""

    name = "dropbox"

    def __init__(
        self, config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal, parts: Parts, notices: Notices
    ) -> None:
        self._mail = LocalMail(drop_settings(config), parts.directory, parts.signing, is_user)
        self._box = DropBox(
            reactor, workers, journal, self._mail, parts.acceptance, parts.budget, user_name, notices.send
        )

    async def start(self) -> None:
        """Look into the folder from now on."""
        await self._box.start()

    async def stop(self) -> None:
        """No more looks."""
        await self._box.stop()

    def take_over(self, config: Config) -> None:
        """Another folder takes a restart; who is trusted does not."""
        new = drop_settings(config)
        self._mail.settings = replace(self._mail.settings, trusted=new.trusted, limits=new.limits)


def drop_settings(config: Config) -> DropSettings:
    """[sendmail], and what holds for every message."""
    smtp = smtp_settings(config)
    folder = config.sendmail.drop or os.path.join(config.state, "drop")
    # Below the state folder nobody else reaches it anyway.
    mode = FOR_EVERYBODY if config.sendmail.drop else FOR_OURSELVES
    return DropSettings(folder, smtp.spool, config.hostname, smtp.limits, mode, frozenset(config.sendmail.trusted))


def user_name(uid: int) -> str:
    """The login name, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def is_user(name: str) -> bool:
    """Does somebody of this machine bear the name?"""
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):
        return False
    return True
