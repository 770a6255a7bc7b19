"""The station put together: one database, one directory, one portal, and the desks that edit."""

from __future__ import annotations

import glob
import os
import sqlite3

from mailbox_appliance.database import Database, DatabaseTrouble, trouble_of
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.users.desks.accounts import Accounts
from mailbox_appliance.users.desks.aliases import Aliases
from mailbox_appliance.users.desks.apppasswords import AppPasswords
from mailbox_appliance.users.desks.domains import Domains
from mailbox_appliance.users.desks.links import Links
from mailbox_appliance.users.desks.lists import Lists
from mailbox_appliance.users.desks.throwaways import Throwaways
from mailbox_appliance.users.desks.vacations import Vacations
from mailbox_appliance.users.directory import SnapshotDirectory, UsersSettings
from mailbox_appliance.users.password import Passwords
from mailbox_appliance.users.portal import PortalLogIn
from mailbox_appliance.users.schema import MIGRATIONS
from mailbox_appliance.users.strength.audits import Audits
from mailbox_appliance.users.strength.spawned import Judge
from mailbox_appliance.users.strength.watch import LogInWatch
from mailbox_appliance.users.uses import LastUses


@dataclass(frozen=True, slots=True)
class Users:
    """Everything ``users/`` offers. ``directory`` and ``log_in`` fill the ports, the rest is for the desks."""

    directory: SnapshotDirectory
    log_in: PortalLogIn
    domains: Domains
    accounts: Accounts
    aliases: Aliases
    app_passwords: AppPasswords
    vacations: Vacations
    uses: LastUses
    database: Database
    throwaways: Throwaways
    lists: Lists
    audits: Audits
    links: Links

    @classmethod
    def at(
        cls,
        path: str,
        workers: Workers,
        clock: Clock,
        journal: FullJournal,
        settings: UsersSettings | None = None,
        judge: Judge | None = None,
    ) -> Users:
        """Put it together; ``path`` is STATE/users.db. Nothing is opened before :meth:`start`.

        ``judge`` None: of a password that is set only the shape is looked at.
        """
        settings = settings or UsersSettings()
        database = Database(path, MIGRATIONS, workers, synchronous="FULL")
        directory = SnapshotDirectory(database, settings, clock.seconds)
        passwords = Passwords(workers, settings.hashing)
        uses = LastUses(database, clock, journal, settings.write_uses_every)
        audits = Audits(directory, clock, journal)
        if judge is None:
            log_in = PortalLogIn(directory, passwords, clock, journal, uses)
        else:
            passed = LogInWatch(directory, audits, judge, journal).passed
            log_in = PortalLogIn(directory, passwords, clock, journal, uses, passed)
        accounts = Accounts(directory, passwords, clock, journal, judge)
        return cls(
            directory,
            log_in,
            Domains(directory, clock, journal),
            accounts,
            Aliases(directory, journal),
            AppPasswords(directory, workers, clock, journal, uses),
            Vacations(directory, journal),
            uses,
            database,
            Throwaways(directory, clock, journal),
            Lists(directory, clock, journal),
            audits,
            Links(directory, accounts, clock, journal),
        )

    async def start(self) -> None:
        """Open the file and read it. Raises DatabaseTrouble."""
        await self.database.on_disk(lambda: _refuse_to_forget(self.database.path))
        try:
            await self.directory.start()
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                raise
            raise trouble_of(self.database.path, sqlite3.DatabaseError("malformed text")) from error
        except sqlite3.DatabaseError as error:
            raise trouble_of(self.database.path, error) from error

    async def stop(self) -> None:
        """Write what is still in memory and close the file."""
        await self.uses.write()
        await self.throwaways.write()
        self.database.close()


def _refuse_to_forget(path: str) -> None:
    """Without its file nobody is known, and every letter would be refused for good: rather nobody is answered."""
    if path == ":memory:" or os.path.exists(path):
        return
    mail = os.path.join(os.path.dirname(path), "mail")
    known = [one for one in glob.glob(os.path.join(glob.escape(mail), "*", "*", "Maildir")) if "/_shared/" not in one]
    if known:
        raise DatabaseTrouble(
            f"{path} is gone, but the mail of {len(known)} account(s) lies in {mail}: put a copy of the file back; "
            f"to begin without these people make an empty one (touch {path})",
            of_file=True,
        )
