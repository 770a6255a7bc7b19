"""Files that may be lost: at the start a damaged one is put aside and begun anew, and the journal says what is gone."""

from __future__ import annotations

import sqlite3

from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.journal.events.journal import FileLost
from mailbox_appliance.ports.journal import Journal


async def begin_anew_if_damaged(database: Database, journal: Journal, lost: str) -> None:
    """``lost`` says to the owner what was in it. Raises DatabaseTrouble (a newer version wrote it), OSError."""
    try:
        await database.run(_check)
    except (DatabaseTrouble, sqlite3.DatabaseError) as error:
        cause = error.__cause__ if isinstance(error, DatabaseTrouble) else error
        if type(cause) is not sqlite3.DatabaseError:  # its kinds are other troubles: a full disk, a lock
            if isinstance(error, DatabaseTrouble) and error.of_file:
                raise
            return  # its users meet it again and say so
        aside = await database.on_disk(database.put_aside)
        journal.tell(FileLost(path=database.path, lost=lost, kept_as=aside, reason=str(cause)))


def _check(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(str(found).replace("\n", " "))
