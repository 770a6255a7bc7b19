"""Commit rounds without waiting: files are written, linked and synced at once, in the caller's thread."""

from __future__ import annotations

import errno
import os

from twisted.internet.defer import Deferred, execute

from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.ports.rounds import Commit, DiskTrouble


class InlineRounds:
    """Fits ports.rounds.Rounds. ``trouble`` set to a DiskTrouble makes every commit fail; ``committed`` counts."""

    def __init__(self) -> None:
        self.trouble: DiskTrouble | None = None
        self.committed = 0

    def commit(self, job: Commit) -> Deferred[None]:
        return execute(self._commit, job)

    def _commit(self, job: Commit) -> None:
        if self.trouble is not None:
            raise self.trouble
        made: list[str] = []
        try:
            for write in job.writes:
                with open(write.first, "xb") as file:
                    made.append(write.first)
                    file.write(octets_of(write.content))
                    file.flush()
                    os.fsync(file.fileno())
                if write.moment is not None:
                    os.utime(write.first, (write.moment, write.moment))
                for link in write.links:
                    os.link(write.first, link)
                    made.append(link)
        except OSError as error:
            for path in made:
                os.unlink(path)
            raise DiskTrouble(str(error), full=error.errno == errno.ENOSPC) from error
        for write in job.writes:
            if not write.keep_first:
                os.unlink(write.first)
        for rows in job.rows:
            rows.database.run_now(rows.work)
        self.committed += 1


def octets_of(content: Content) -> bytes:
    """Header and body as they stand on disk."""
    if isinstance(content.body, SpooledBody):
        with open(content.body.path, "rb") as spool:
            spool.seek(content.body.offset)
            return content.header + spool.read(content.body.length)
    return content.header + content.body
