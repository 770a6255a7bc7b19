"""What relay's tests share: a relay in a network of memory, with fake names, a clock and a remembering journal."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.mtasts import Fetch
from mailbox_appliance.relay.settings import RelaySettings
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal
from tests.kit.net import Net
from tests.kit.smtp_host import SmtpHost
from tests.kit.workers import InlineWorkers

T = TypeVar("T")

ZONE = """
b.example.       MX 10 mx1.b.example.
b.example.       MX 20 mx2.b.example.
mx1.b.example.   A  192.0.2.1
mx2.b.example.   A  192.0.2.2
c.example.       A  192.0.2.3
smart.example.   A  192.0.2.9
null.example.    MX 0 .
;! servfail broken.example.
"""
BODY = b"hello\n.dot\nend\n"
HEADER = b"From: ann@a.example\nSubject: test\n\n"
WIRE = (HEADER + BODY).replace(b"\n", b"\r\n")


class Scene:
    """``settings`` are those of RelaySettings; direct delivery unless a smarthost is given."""

    def __init__(
        self,
        zone: str = ZONE,
        *,
        memory: RelayMemory | None = None,
        fetch: Fetch | None = None,
        more: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.net = Net()
        self.dns = FakeDns(zone)
        self.journal = RememberedJournal()
        self.workers = InlineWorkers()
        self.memory = memory
        if "smarthost" not in settings:
            settings.setdefault("direct", True)
        self.settings = RelaySettings("us.example", **settings)
        self.relay = MailRelay(
            self.clock,  # type: ignore[arg-type]
            self.workers,
            self.dns,
            self.journal,
            self.settings,
            rng=random.Random(1),
            memory=memory,
            fetch=fetch,
            **{"ipv6": lambda: "", **(more or {})},
            endpoint=self.net.endpoint,
        )

    def host(self, address: str, port: int = 25, **how: Any) -> SmtpHost:
        host = SmtpHost(**how)
        self.net.listen(address, port, host)
        return host

    def start(
        self, *recipients: str, content: Content | None = None, tries: int = 0, **envelope: Any
    ) -> Deferred[tuple[Outcome, ...]]:
        paths = tuple(Recipient(Address.parse(text)) for text in recipients or ("bob@b.example",))
        content = content or Content(HEADER, BODY, (HEADER + BODY).count(b"\n"))
        whole = Envelope(Address("ann", "a.example"), paths)
        destination = self.relay.destination(None, paths[0].forward_path)
        shipment = Shipment("trace1", dataclasses.replace(whole, **envelope), content, destination, tries)
        going = self.relay.carry(shipment)
        self.net.pump()
        return going

    def carry(self, *recipients: str, **more: Any) -> tuple[Outcome, ...]:
        return self.result(self.start(*recipients, **more))

    def result(self, going: Deferred[T]) -> T:
        found: list[T] = []
        failed: list[Any] = []
        going.addCallbacks(found.append, failed.append)
        for failure in failed:
            failure.raiseException()
        if not found:
            raise AssertionError("no result yet")
        return found[0]

    def steps(self, address: str) -> list[tuple[bool, str, str]]:
        found: list[tuple[bool, str, str]] = []

        async def walk(steps: AsyncIterator[Any]) -> None:
            async for step in steps:
                found.append((step.good, step.what, step.remedy))

        going = Deferred.fromCoroutine(walk(self.relay.explain(Address.parse(address))))
        self.net.pump()
        self.result(going)
        return found
