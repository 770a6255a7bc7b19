"""Passwords looked after: guessed at each night, letters about weak ones, their line of ``status``, their desk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailbox_appliance.admin.passwords import page_base
from mailbox_appliance.admin.status import Check, weak_passwords
from mailbox_appliance.assembly.own_password import OwnPasswords
from mailbox_appliance.assembly.pages import WebPages
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.people import tell_whom_it_concerns
from mailbox_appliance.config.model import Config
from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.journal.events.users import PasswordsGuessed
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.guard import Guard
from mailbox_appliance.users.station import Users
from mailbox_appliance.users.strength.audits import KINDS, ToGuess
from mailbox_appliance.users.strength.spawned import Children

HOUR = 3  # of the night, by the machine's own time
SAVE_EVERY = 60  # progress lines, one a second
GRACE = 120.0  # seconds after which a child that does not end is killed


class PasswordsPart(Part):
    """``children`` judge as well; they end with this part."""

    name = "passwords"

    def __init__(
        self,
        config: Config,
        reactor: Any,
        journal: Journal,
        users: Users,
        children: Children,
        notices: Notices,
        guard: Guard,
        pages: WebPages,
    ) -> None:
        self._pages = pages
        self._config = config
        self._reactor = reactor
        self._journal = journal
        self._users = users
        self._children = children
        self._tell = tell_whom_it_concerns(notices, users)
        self._timer: Any = None
        self._night: Deferred[None] | None = None
        users.audits.on_weak = self._write_letter
        if config.role != "edge":
            own = OwnPasswords(lambda: self._config, reactor, users, guard, children, self._tell, journal)
            pages.serve_passwords(own)

    async def start(self) -> None:
        self._wait_for_night()

    async def stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._children.stop()
        if self._night is not None:
            await self._night

    def take_over(self, config: Config) -> None:
        self._config = config

    def desks(self) -> Sequence[object]:
        from mailbox_appliance.admin.passwords import LinkDesk, PasswordDesk

        return (PasswordDesk(self._users.audits, self._journal), LinkDesk(self._users.links, self._base))

    def _base(self) -> str:
        return page_base(self._config, self._pages.mail_hosts())

    def checks(self) -> Sequence[Check]:
        return () if self._config.role == "edge" else (weak_passwords(self._users.audits.weak),)

    # ------------------------------------------------------------ by night

    def _wait_for_night(self) -> None:
        self._timer = self._reactor.callLater(until_hour(self._reactor.seconds(), HOUR), self._begin)

    def _begin(self) -> None:
        self._wait_for_night()
        if (self._night is None or self._night.called) and self._config.guard.password_audit:
            self._night = Deferred.fromCoroutine(self._guarded())

    async def _guarded(self) -> None:
        try:
            await self.guess(self._config.guard.password_audit)
        except Exception as error:  # noqa: BLE001 - the next night tries again
            self._journal.broken(self.name, error)

    async def guess(self, seconds: float) -> None:
        """One pass over all hashes, from where the last one stopped. Raises NotJudged, UsersError."""
        works = await self._users.audits.to_guess()
        if not works:
            return
        night = _Night(self, works)
        question = {
            "do": "guess",
            "seconds": seconds,
            "works": [
                {"account": one.number, "hash": one.hash, "words": one.words, "order": one.order, "tried": one.tried}
                for one in works
            ],
        }
        await self._children.ask(question, night.hear, seconds + GRACE)
        await night.end()

    # ------------------------------------------------------------ letters

    def _write_letter(self, account: Address, kind: str) -> None:
        Deferred.fromCoroutine(self._letter(account, kind))

    async def _letter(self, account: Address, kind: str) -> None:
        try:
            text = words_about(account, kind, self._base())
            await self._tell(account, f"The password of {account} is weak", text)
        except Exception as error:  # noqa: BLE001 - the journal has said it
            self._journal.broken(self.name, error)


class _Night:
    """One pass: what was found is written at once, how far it came each minute."""

    def __init__(self, part: PasswordsPart, works: Sequence[ToGuess]) -> None:
        self._audits = part._users.audits
        self._journal = part._journal
        self._versions = {one.number: one.hash_version for one in works}
        self._tried: dict[str, list[Any]] = {}
        self._guesses = 0
        self._heard = 0
        self._writing: list[Deferred[Any]] = []
        self._weak = 0

    def hear(self, said: dict[str, Any]) -> None:
        """A line of the child."""
        if said["say"] == "found":
            number = int(said["account"])
            self._weak += 1
            self._write(self._audits.is_weak(number, self._versions[number], str(said["how"])))
        elif "tried" in said:
            self._tried, self._guesses = said["tried"], int(said["guesses"])
            self._heard += 1
            if self._heard % SAVE_EVERY == 0:
                self._write(self._save())

    def _write(self, work: Any) -> None:
        writing: Deferred[Any] = Deferred.fromCoroutine(work)
        writing.addErrback(self._broken)
        self._writing = [one for one in self._writing if not one.called] + [writing]

    def _broken(self, failure: Failure) -> None:
        self._journal.broken("passwords", failure.value or RuntimeError("no reason given"))

    async def _save(self) -> None:
        await self._audits.has_tried(
            {
                (int(number), self._versions[int(number)]): (str(order), int(tried))
                for number, (order, tried) in self._tried.items()
            }
        )

    async def end(self) -> None:
        """Write the rest and tell."""
        for writing in self._writing:
            await writing
        await self._save()
        self._journal.tell(
            PasswordsGuessed(accounts=len(self._versions), guesses=self._guesses, seconds=self._heard, weak=self._weak)
        )


def until_hour(now: float, hour: int) -> float:
    """Seconds until it is that hour again by the machine's own time; at least a minute."""
    here = time.localtime(now)
    passed = (here.tm_hour - hour) * 3600 + here.tm_min * 60 + here.tm_sec
    return max(-passed % 86_400, 60.0)


def words_about(account: Address, kind: str, base: str) -> str:
    """What the account and its owner read. There is no link in it: whoever has guessed the password reads it, too."""
    page = (
        f"From a network at home everybody changes his own at {base}/password; from elsewhere the owner makes a link "
        f"for it, by `mailappliance account link {account}`.\n\n"
    )
    return (
        f"The main password of {account} is {KINDS.get(kind, KINDS['judged'])}. Spammers try such passwords first, and "
        "one that is guessed lets them send in your name.\n\n"
        "Reading mail goes on as before. Sending by this password works from the networks at home only, until it is "
        "changed; devices with an app password of their own send as before.\n\n"
        "Choose four or five words that have nothing to do with one another, or a password that was made. "
        f"{page if base else ''}Whoever has the command line sets it by\n\n"
        f"    mailappliance account password {account}\n\n"
        "The owner can also let this password send all the same:\n\n"
        f"    mailappliance password allow {account}\n"
    )
