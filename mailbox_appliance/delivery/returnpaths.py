"""Return paths of forwarded mail: made when mail leaves under our own name, recognized when a bounce comes back.

SRS (mailauth/srs.py) with the keys of this machine. A path of ours is never rewritten. One that would become longer
than an address may be (RFC 5321 §4.5.3.1.1) gets a short name that STATE/delivery.db remembers. Only a sender whom SPF
or DMARC had proven ever sees a bounce again: anybody else's address may be forged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from mailbox_appliance.delivery.memory import DeliveryMemory
from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mailauth.srs import NotProvenError, Srs, SrsError
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.rounds import Rows
from mailbox_appliance.ports.users import BackTo, Directory, Known, NotOurs, Resolution, Unknown

Keys = Callable[[], Awaitable[tuple[bytes, ...]]]
DAYS = 21  # bounces that come later are refused
_LONG = "long.invalid"  # RFC 6761 §6.4: nobody's domain, so nobody's sender


class ReturnPaths:
    """``keys``: the first makes paths, all are recognized."""

    def __init__(self, keys: Keys, memory: DeliveryMemory, clock: Clock) -> None:
        self._keys = keys
        self._memory = memory
        self._clock = clock

    async def rewritten(self, sender: Address, domain: str, *, proven: bool) -> tuple[Address, tuple[Rows, ...]]:
        """The path under which we forward for ``domain``, and what must be remembered for it. Raises OSError, Busy."""
        srs = Srs(domain, await self._keys(), DAYS)
        now = self._clock.seconds()
        try:
            return srs.rewrite(sender, now, proven=proven), ()
        except SrsError:
            name, rows = self._memory.keep_path(f"{sender.local}@{sender.domain}", now, now + DAYS * 86_400.0)
            return srs.rewrite(Address(name, _LONG), now, proven=proven), (rows,)

    async def restored(self, address: Address) -> Address:
        """Whom a bounce to ``address`` is meant for. Raises SrsError; OSError, Busy, sqlite3.Error."""
        now = self._clock.seconds()
        sender = Srs(address.domain, await self._keys(), DAYS).restore(address, now)
        if sender.domain != _LONG:
            return sender
        path = await self._memory.path_of(sender.local.lower(), now)
        if not path:
            raise SrsError(f"{address} has expired")
        local, _, domain = path.rpartition("@")
        return Address.of(local, domain)


class AddressBook:
    """ports.users.Directory with our return paths in front of the people."""

    def __init__(self, people: Directory, paths: ReturnPaths) -> None:
        self._people = people
        self._paths = paths

    async def resolve(self, address: Address) -> Resolution:
        """A path of ours leads back to the sender; nobody else can have an address that looks like one."""
        if address.local[:3].lower() != "srs" or not _looks_rewritten(address):
            return await self._people.resolve(address)
        if address.domain not in self._people.domains():
            return NotOurs()
        try:
            return Known((BackTo(await self._paths.restored(address)),), "return path")
        except NotProvenError:
            return Unknown("Nothing had proven the sender, so nothing is returned")
        except SrsError as error:
            expired = "expired" in str(error)
            return Unknown("This return path has expired" if expired else "This return path was not made here")
        except AddressError:
            return Unknown("This return path leads nowhere")

    def domains(self) -> frozenset[str]:
        """ports.users.Directory."""
        return self._people.domains()

    def owns(self, account: Address, address: Address) -> Awaitable[bool]:
        """ports.users.Directory."""
        return self._people.owns(account, address)

    def accounts(self) -> Awaitable[tuple[Address, ...]]:
        """ports.users.Directory."""
        return self._people.accounts()

    def quota(self, account: Address) -> Awaitable[int]:
        """ports.users.Directory."""
        return self._people.quota(account)

    def owner(self, domain: str) -> Awaitable[Address | None]:
        """ports.users.Directory."""
        return self._people.owner(domain)

    def display_names(self) -> Awaitable[Mapping[Address, str]]:
        """The people's."""
        return self._people.display_names()

    def settings(self, account: Address) -> Awaitable[Mapping[str, str]]:
        """ports.users.Directory."""
        return self._people.settings(account)


def _looks_rewritten(address: Address) -> bool:
    return address.local[:4].lower() in ("srs0", "srs1") and address.local[4:5] in ("=", "+", "-")


def is_proven(parcel: Parcel) -> bool:
    """Did SPF pass for the reverse path, or DMARC for its domain? Without checks nobody from outside is proven."""
    sender = parcel.envelope.reverse_path
    if sender is None:
        return False
    if parcel.origin in (Origin.AUTHENTICATED, Origin.PAIRED):
        return True
    if parcel.origin is Origin.LOCAL:
        return False  # what is delivered again has lost its evidence
    found = {f"{one.check} {one.result}" for one in parcel.verdict.evidence}
    if "spf pass" in found and "spf everybody" not in found:
        return True
    if "dmarc pass" not in found:
        return False
    authors = header_block.from_addresses(parcel.content.header)
    return [(one.domain or b"").decode("ascii", "replace").lower() for one in authors] == [sender.domain]
