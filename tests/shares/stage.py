"""People who share mailboxes, in memory: the real station and the real IMAP sessions over the fake store."""

from __future__ import annotations

from twisted.internet.defer import succeed

from mailbox_appliance.database import Database
from mailbox_appliance.imap.listener import ImapHouse
from mailbox_appliance.imap.settings import ImapSettings
from mailbox_appliance.mail.address import Address
from mailbox_appliance.shares.seen import MIGRATIONS, SeenMarks
from mailbox_appliance.shares.station import Shares
from tests.imap.stage import MESSAGES, NOW, ImapStage, World
from tests.kit.fake_login import FakeLogIn
from tests.kit.fake_papers import FakePapers
from tests.kit.fake_store import FakeMailbox

ANN = Address.parse("ann@example.org")
BEN = Address.parse("ben@example.org")
EVE = Address.parse("eve@example.org")
ZOE = Address.parse("zoe@club.example")
PEOPLE = (ANN, BEN, EVE, ZOE)


class Family(World):
    """One server with four accounts. ``take(ANN).ask(…)`` is a session of Ann's that stays open."""

    def __init__(self, limit: int = 0) -> None:
        super().__init__(limit=limit)
        self.users = FakeLogIn({str(person): "secret" for person in PEOPLE})
        self.papers = FakePapers(self.stores)
        self.marks = SeenMarks(Database(":memory:", MIGRATIONS, self.workers))
        self.start()

    def start(self) -> None:
        """A new process over the same store and marks."""
        self.shares = Shares(
            self.stores,
            self.papers,
            self.marks,
            lambda: succeed(PEOPLE),
            self.clock,
            self.workers,
            self.journal,
            "",
        )
        self.house = ImapHouse(
            settings=ImapSettings(),
            stores=self.shares,
            users=self.users,
            guard=self.guard,
            certificates=self.certificates,
            clock=self.clock,
            workers=self.workers,
            journal=self.journal,
            sharing=self.shares,
        )
        self._talks: dict[Address, ImapStage] = {}

    def log_in(self, who: Address, mailbox: str = "") -> ImapStage:
        """A new session."""
        stage = FamilyStage(self)
        said = stage.ask(f"x0 LOGIN {who} secret")
        assert b"x0 OK" in said, said
        if mailbox:
            said = stage.ask(f'x1 SELECT "{mailbox}"')
            assert b"x1 OK" in said, said
        return stage

    def take(self, who: Address) -> ImapStage:
        """The session of ``who`` that is open already, or a new one."""
        if who not in self._talks:
            self._talks[who] = self.log_in(who)
        return self._talks[who]

    def asks(self, who: Address, line: str) -> str:
        """What is answered to it."""
        return self.take(who).ask(f"t {line}").decode("utf-8")

    def does(self, who: Address, line: str) -> str:
        """The same; it must be granted."""
        said = self.asks(who, line)
        assert "t OK" in said, (line, said)
        return said

    def box_of(self, who: Address, name: str = "INBOX") -> FakeMailbox:
        """An open mailbox of the store."""
        return self.stores.get(who).box(name)

    def share(self, name: str, rights: str, who: Address | str = BEN, owner: Address = ANN) -> None:
        """Make the mailbox if need be, and give rights."""
        if name not in self.stores.get(owner).boxes:
            self.does(owner, f'CREATE "{name}"')
        self.does(owner, f'SETACL "{name}" {who} {rights or chr(34) * 2}')

    def deliver(self, who: Address, name: str, *kinds: str) -> None:
        """Mail comes in."""
        for kind in kinds:
            self.box_of(who, name).deliver(MESSAGES[kind], (), date=NOW)
        self.clock.advance(0)


class FamilyStage(ImapStage):
    """A connection of a dialogue: "@ login" is Ben's, "@ ann LINE" is said by Ann."""

    world: Family

    def direct(self, word: str, rest: str) -> None:
        match word:
            case "login":
                said = self.ask("x0 LOGIN ben@example.org secret")
                assert b"x0 OK" in said, said
            case "ann" | "eve":
                self.world.does(ANN if word == "ann" else EVE, rest)
            case _:
                super().direct(word, rest)
