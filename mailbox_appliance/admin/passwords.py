"""password allow, account link, and what the guessing command line asks of whoever keeps the accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mailbox_appliance.admin.result import Refused, Result, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, moment_words, text_argument
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.events.users import PasswordsGuessed
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.desks.links import Links
from mailbox_appliance.users.strength.audits import KINDS, Audits


class PasswordDesk:
    """password allow; between our programs: password work|tried|found|end."""

    def __init__(self, audits: Audits, journal: Journal) -> None:
        self._audits = audits
        self._journal = journal

    async def allow(self, arguments: Arguments) -> Result:
        """Let a weak password send from everywhere all the same, or no longer."""
        allowed = not arguments.get("no")
        with refusing(UsersError):
            address = await self._audits.allow(text_argument(arguments, "address"), allowed=allowed)
        if allowed:
            words = f"{address} may send from everywhere with the password it has now, even if it is weak"
        else:
            words = f"{address} sends from the networks at home only while its password is weak"
        return Result((words,), data={"account": str(address), "allowed": allowed})

    async def work(self, arguments: Arguments) -> Result:
        """The hashes to guess at; they go to root or the service's own user only, who can read the file anyway."""
        with refusing(UsersError):
            works = await self._audits.to_guess(str(arguments.get("address") or ""))
        rows = [
            {"name": str(one.account), "account": one.number, "version": one.hash_version, "hash": one.hash}
            | {"words": list(one.words), "order": one.order, "tried": one.tried}
            for one in works
        ]
        return Result(data=rows)

    async def tried(self, arguments: Arguments) -> Result:
        """How far guessing has come."""
        await self._audits.has_tried(places_of(arguments["places"]))
        return Result(data={})

    async def found(self, arguments: Arguments) -> Result:
        """A password was guessed; which is not said."""
        kind = str(arguments["kind"])
        new = await self._audits.is_weak(int(arguments["account"]), int(arguments["version"]), kind)
        return Result(data={"new": new, "words": KINDS.get(kind, KINDS["judged"])})

    async def end(self, arguments: Arguments) -> Result:
        """A pass by hand has ended."""
        accounts, guesses, seconds, weak = (int(arguments[n]) for n in ("accounts", "guesses", "seconds", "weak"))
        self._journal.tell(PasswordsGuessed(accounts=accounts, guesses=guesses, seconds=seconds, weak=weak))
        return Result(data={})


class LinkDesk:
    """account link; ``base`` is where the page is, such as "https://mail.example.org", "" when there is none."""

    def __init__(self, links: Links, base: Callable[[], str]) -> None:
        self._links = links
        self._base = base

    async def link(self, arguments: Arguments) -> Result:
        """A link to be handed to that person, and to nobody else."""
        base = self._base()
        if not base:
            raise Refused(
                "no page for it is served: set listen.https, or set a password by `mailappliance account password`"
            )
        with refusing(UsersError):
            made = await self._links.make(text_argument(arguments, "address"))
        url = f"{base}/password/{made.token}"
        lines: tuple[str, ...] = (
            f"whoever opens this link chooses another password for {made.account}, once, until "
            f"{moment_words(made.expires)}:",
            "",
            f"  {url}",
            "",
            "hand it over in person, by telephone or by another messenger; the current password stays good until then",
        )
        if arguments.get("qr"):
            lines = (*lines, "", "or hold the camera of the phone before this:", "", *drawn(url))
        return Result(lines, data={"account": str(made.account), "link": url, "expires": iso_moment(made.expires)})


def drawn(text: str) -> tuple[str, ...]:
    """``text`` as a QR code, two rows of it in a line, for light signs on a dark ground (cameras take both)."""
    import segno

    rows = [list(row) for row in segno.make(text, error="l", micro=False).matrix_iter(border=2)]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    signs = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
    return tuple(
        "".join(signs[int(bool(above)), int(bool(below))] for above, below in zip(*pair, strict=True))
        for pair in zip(rows[::2], rows[1::2], strict=True)
    )


def places_of(said: Any) -> Mapping[tuple[int, int], tuple[str, int]]:
    """[[account, version, order, tried], …]"""
    return {(int(one[0]), int(one[1])): (str(one[2]), int(one[3])) for one in said}


def page_base(config: Config, hosts: Sequence[str] = ()) -> str:
    """Where the pages for people are: "https://mail.example.org"; "" when none are served.

    ``hosts`` are the names of a store's edges, through which its page is reached.
    """
    if config.role == "edge":
        return ""
    if config.role == "store" and hosts:
        return f"https://{hosts[0]}"
    for endpoint in config.listen.https[:1]:
        host = "localhost" if endpoint.is_loopback else config.hostname
        return f"https://{host}" if endpoint.port == 443 else f"https://{host}:{endpoint.port}"
    return ""
