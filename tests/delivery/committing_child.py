"""A process that commits messages as fast as it can and says which ones are durable, until it is killed.

python -m tests.delivery.committing_child ROOT GENERATION FLUSH
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.rounds import Commit, Write
from mailbox_appliance.queue.spool import QueueSpool, SpoolSettings
from mailbox_appliance.rounds.rounds import CommitRounds, RoundSettings
from mailbox_appliance.workers import ThreadedWorkers
from tests.kit.journal import RememberedJournal

COMMITTERS = 10


def body_of(name: str) -> bytes:
    """What the message ``name`` holds; a few are large enough to travel alone."""
    line = hashlib.sha256(name.encode()).hexdigest().encode() + b"\n"
    return line * (20_000 if name.endswith("7") else 100)


async def run(root: Path, generation: str, flush: str) -> None:
    workers = ThreadedWorkers(reactor)
    rounds = CommitRounds(workers, RoundSettings(flush=flush))
    spool = QueueSpool(SpoolSettings(str(root / "queue")), workers, rounds, reactor, RememberedJournal())
    await spool.open()
    numbers = iter(range(1 << 30))

    async def committer() -> None:
        for number in numbers:
            name = f"{generation}-{number}"
            body = body_of(name)
            content = Content(b"H: " + name.encode() + b"\n\n", body, body.count(b"\n") + 2)
            envelope = Envelope(None, (Recipient(Address("x", "far.example")),))
            entry = spool.prepare(name, Origin.LOCAL, "", envelope, content)
            write = Write(content, str(root / "tmp" / name), (str(root / "new" / name),))
            await rounds.commit(Commit((write, *entry.writes), entry.rows))
            os.write(1, f"{name}\n".encode())

    await gatherResults([ensureDeferred(committer()) for _ in range(COMMITTERS)])


def main() -> None:
    root, generation, flush = sys.argv[1:]

    def begin() -> None:
        ensureDeferred(run(Path(root), generation, flush)).addErrback(lambda failure: failure.printTraceback())

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    main()
