"""A post office with a mailing list on the real user database: people at example.org, others at far.example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mailbox_appliance.lists.memory import ListMemory
from mailbox_appliance.lists.station import ListStation
from mailbox_appliance.lists.tokens import Tokens
from mailbox_appliance.lists.work import ListParts
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Evidence, Verdict
from mailbox_appliance.ports.lists import MailingList
from mailbox_appliance.ports.relay import Shipment
from tests.kit.fake_relay import FakeRelay
from tests.kit.post_office import HOST, PostOffice, now
from tests.users.household import Household

PROVEN = Verdict(
    evidence=(Evidence("spf", "pass"), Evidence("dmarc", "pass")),
    fields=b"Authentication-Results: mail.example.org; dmarc=pass\n",
)
UNPROVEN = Verdict(evidence=(Evidence("spf", "none"), Evidence("dmarc", "stranger")))
LIST = "family@example.org"


def letter(author: str, subject: str = "Dinner", body: str = "Come?\n", more: str = "", name: str = "") -> Content:
    """A post; its Message-ID is made of author and subject."""
    mark = re.sub(r"\W", ".", f"{author}.{subject}")
    header = (
        f"{more}From: {f'{name} <{author}>' if name else author}\nTo: {LIST}\nSubject: {subject}\n"
        f"Message-ID: <{mark}@x>\n\n"
    ).encode("utf-8", "surrogateescape")
    octets = body.encode()
    return Content(header, octets, header.count(b"\n") + octets.count(b"\n"))


class Folders:
    """Archives in the owner's account."""

    async def folder(self, one: MailingList) -> tuple[Address, str] | None:
        assert one.owner is not None
        return one.owner, f"Lists.{one.address.local}"


class Strict:
    """AuthorPolicies of some domains."""

    def __init__(self, *domains: str) -> None:
        self.domains = domains

    async def is_strict(self, domain: str) -> bool:
        return domain in self.domains


class Club:
    """``members`` are subscribed by the owner, ann@example.org."""

    def __init__(self, root: str, members: tuple[str, ...] = (), **more: Any) -> None:
        self.house = Household()
        self.house.fill(["example.org"], ["ann@example.org", "bob@example.org", "cleo@example.org"])
        self.lists = self.house.users.lists
        now(self.lists.add(LIST, "Our family", "ann@example.org"))
        if members:
            now(self.lists.subscribe(LIST, members))
        self.relay = FakeRelay()
        self.office = PostOffice(root, relay=self.relay, clock=self.house.clock, start=False)
        self.office.close()
        self.memory = ListMemory(str(Path(root) / "lists"), self.house.inline, self.house.clock)
        now(self.memory.open())
        directory = self.house.users.directory
        self.tokens = Tokens(self._keys, self.house.clock)
        parts = ListParts(
            self.lists, self.memory, self.tokens, self.house.clock, HOST, directory.domains, archives=Folders(), **more
        )
        self.station = ListStation(parts)
        self.office = PostOffice(
            root, relay=self.relay, clock=self.house.clock, mailings=self.station, directory=directory
        )

    async def _keys(self) -> tuple[bytes, ...]:
        return (b"l" * 32,)

    def close(self) -> None:
        self.office.close()
        self.memory.database.close()

    @property
    def list(self) -> MailingList:
        return self.lists.of(LIST)

    def members(self) -> list[str]:
        return sorted(str(one.address) for one in self.list.members)

    def write(
        self,
        sender: str | None,
        content: Content | None = None,
        to: str = LIST,
        verdict: Verdict = PROVEN,
        origin: Origin | None = None,
    ) -> int:
        """The reply's code. Our own people write with a log-in, others from outside."""
        if origin is None:
            origin = Origin.AUTHENTICATED if sender and sender.endswith("@example.org") else Origin.WAN
        content = content if content is not None else letter(sender or "mailer-daemon@far.example")
        found = verdict if origin is Origin.WAN else Verdict()
        return self.office.codes([to], sender=sender, origin=origin, verdict=found, content=content)[0]

    def sent(self, to: str) -> list[Shipment]:
        """What went to an address outside."""
        return [
            one
            for one in self.relay.shipments
            if to in [str(recipient.forward_path) for recipient in one.envelope.recipients]
        ]

    def text(self, to: str, number: int = -1) -> str:
        """The header and body of what was sent there."""
        shipment = self.sent(to)[number]
        place = next(at for at, one in enumerate(self.relay.shipments) if one is shipment)
        return (shipment.content.header + self.relay.bodies[place]).decode("utf-8", "replace")

    def inbox(self, account: str, mailbox: str = "INBOX") -> list[bytes]:
        return self.office.depot.files(account, mailbox)


def reply_to(text: str) -> str:
    """Where a reply to that message goes."""
    found = re.search(r"(?m)^Reply-To: .*?<?([^<>\s]+@[^<>\s]+)>?$", text)
    assert found is not None, text
    return found[1]
