"""Small letters and advertisements of our own making, for tests of the filter."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace

from twisted.internet import task

from mailbox_appliance.junk.filter import StatisticalFilter
from mailbox_appliance.junk.settings import JunkSettings
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.message import Content
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

ANN = Address("ann", "example.org")
BOB = Address("bob", "example.org")


def letter(subject: str, body: str, sender: str = "Eve Example <eve@example.net>", fields: str = "") -> bytes:
    """A plain message."""
    return (
        f"From: {sender}\nTo: Ann <ann@example.org>\nSubject: {subject}\n"
        f"Date: Mon, 02 Mar 2020 10:00:00 +0100\nMessage-ID: <a1.b2@mail.example.net>\n{fields}\n{body}\n"
    ).encode()


def advertisement(number: int = 0) -> bytes:
    """Something nobody asked for; ``number`` varies it."""
    things = ("watches", "pills", "diplomas", "mortgages", "toners")
    return letter(
        f"Cheap {things[number % 5]} for YOU!!! {number}",
        f"Dear friend, order {things[number % 5]} now and save money! Click here: "
        f"http://shop{number % 7}.example.biz/buy?id={number}\nLimited time offer, no obligation, {number} sold.",
        f"Best Deals <deals{number}@shop{number % 7}.example.biz>",
    )


def note(number: int = 0) -> bytes:
    """Something Ann wants to read; ``number`` varies it."""
    things = ("lunch", "the choir", "homework", "the garden", "grandma's birthday")
    return letter(
        f"Re: {things[number % 5]}",
        f"Hi Ann,\n\nabout {things[number % 5]}: I think we should meet on the {number % 28}th, if that's fine with you.\n"
        f"> you wrote: shall we talk about it?\nYes, thanks!\n\nCheers, Eve ({number})",
        fields=f"In-Reply-To: <{number}@mail.example.org>\n",
    )


def content_of(octets: bytes) -> Content:
    """The same as delivery holds it."""
    end = header_end(octets)
    return Content(octets[:end], octets[end:], octets.count(b"\n"))


class Place:
    """A filter in a folder of its own."""

    def __init__(self, folder: str | None = None, **settings: object) -> None:
        self.folder = folder or tempfile.mkdtemp()
        self.clock = task.Clock()
        self.clock.advance(1_700_000_000)
        self.journal = RememberedJournal()
        self.workers = InlineWorkers()
        given = JunkSettings(mail=os.path.join(self.folder, "mail"), family=os.path.join(self.folder, "junk"))
        self.settings = replace(given, **settings)  # type: ignore[arg-type]
        self.filter = StatisticalFilter(self.settings, self.workers, self.journal, self.clock)

    def file(self, account: Address = ANN) -> str:
        return os.path.join(self.settings.mail, account.domain, account.local, "junk.db")
