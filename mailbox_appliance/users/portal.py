"""The one cred portal: SMTP, IMAP and every desk log in here.

A user name is an account's whole address, in any case of letters, or its local part when there is one domain only;
aliases are no user names. What looks like an app password is checked as one, by its prefix and a SHA-256; everything
else is checked with argon2id, once, whether or not the name exists. Main passwords that look like app passwords are
refused when they are set, so the two never meet. SCRAM knows app passwords only: its proof has been checked before
(``wire/scram``), and comes here as the number of the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials, IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from zope.interface import Interface, implementer

from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.ports.users import (
    LogInRefused,
    PasswordCredentials,
    Principal,
    ProvenCredentials,
    ScramKeys,
)
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.users import apppassword
from mailbox_appliance.users.directory import SnapshotDirectory, shielded
from mailbox_appliance.users.password import PASSWORD_OCTETS, Passwords, RecentSuccesses, Shared, prepare
from mailbox_appliance.users.proofs import Doubtful, keys_for
from mailbox_appliance.users.records import AccountRecord, AppPasswordRecord
from mailbox_appliance.users.snapshot import Snapshot, lookup_key

USERNAME_OCTETS = 1024
Passed = Callable[[AccountRecord, str], None]


class IPrincipal(Interface):
    """The avatar that the portal gives: a ports.users.Principal."""


class Uses(Protocol):
    """Who is told that a device's password was used."""

    def used(self, app_password: int, peer: str, service: str) -> None:
        """Now."""


@implementer(IUsernamePassword)
class ServicePassword(UsernamePassword):
    """Name and password with the service that asks and its peer, for "last used"."""

    def __init__(self, username: bytes, password: bytes, service: str = "", peer: str = "") -> None:
        super().__init__(username, password)
        self.service = service
        self.peer = peer


class IProven(ICredentials):
    """Credentials that were proven already: a ports.users.ProvenCredentials in ``proven``."""


@implementer(IProven)
class Proven:
    """What SCRAM ends with, as the portal takes it."""

    def __init__(self, proven: ProvenCredentials) -> None:
        self.proven = proven


def named(snapshot: Snapshot, username: str) -> Address | None:
    """The address that ``username`` means, whether or not anybody has it."""
    name = username.strip()
    try:
        if "@" in name:
            return lookup_key(Address.parse(name))
        if len(snapshot.domains) == 1:
            return lookup_key(Address.of(name, next(iter(snapshot.domains))))
    except AddressError:
        pass
    return None


def account_of(snapshot: Snapshot, username: str) -> AccountRecord | None:
    """The living account that ``username`` names."""
    address = named(snapshot, username)
    return None if address is None else snapshot.accounts.get(address)


@implementer(ICredentialsChecker)
class PasswordChecker:
    """Turns a name and a password into an avatar id: an account's number, and the app password's after a "/"."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(
        self,
        directory: SnapshotDirectory,
        passwords: Passwords,
        clock: Clock,
        journal: HasFailed,
        uses: Uses,
        passed: Passed,
    ) -> None:
        self._passed = passed
        self._directory = directory
        self._passwords = passwords
        self._journal = journal
        self._uses = uses
        self._recent = RecentSuccesses(clock.seconds, seconds=directory.settings_now.remember_success)
        self._checks = Shared()

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        return Deferred.fromCoroutine(self._avatar_id(credentials))

    def token(self, username: str, password: str) -> bytes:
        """What LogInRefused carries: the same for the same name and password, meaningless elsewhere."""
        return self._recent.token(f"refused {username.strip().lower()}", password)

    async def _avatar_id(self, credentials: Any) -> bytes | tuple[()]:
        username = credentials.username.decode("utf-8", "surrogateescape")
        password = credentials.password.decode("utf-8", "surrogateescape")
        account = account_of(self._directory.snapshot, username)
        text = apppassword.canonical(password)
        if text is not None:
            device = self._device(account, text)
            if account is None or device is None:
                raise UnauthorizedLogin
            self._uses.used(device.number, getattr(credentials, "peer", ""), getattr(credentials, "service", ""))
            return b"%d/%d" % (account.number, device.number)
        if not await self._main_password_fits(account, username, password):
            raise UnauthorizedLogin
        assert account is not None
        return b"%d" % account.number

    def _device(self, account: AccountRecord | None, text: str) -> AppPasswordRecord | None:
        device = self._directory.snapshot.app_passwords.get(apppassword.prefix(text))
        # Compared even when the row is missing or somebody else's: refusals differ in nothing.
        fits = apppassword.fits(device.digest if device is not None else bytes(32), text)
        return device if fits and device is not None and account and device.account == account.number else None

    async def _main_password_fits(self, account: AccountRecord | None, username: str, password: str) -> bool:
        who = f"{account.number} {account.hash_version}" if account else f"nobody {username.lower()}"
        token = self._recent.token(who, password)
        if self._recent.knows(token):
            return account is not None
        hash = account.hash if account else None

        def compute() -> Deferred[bool]:
            return Deferred.fromCoroutine(self._passwords.fits(hash, password))

        if not await self._checks.ask(token, compute) or account is None:
            return False
        now = self._directory.snapshot.accounts.get(account.address)
        if now is None or (now.number, now.hash_version) != (account.number, account.hash_version):
            return False  # removed or changed while we were computing
        self._recent.remember(token)
        self._passed(account, password)
        if self._passwords.outdated(account.hash):
            shielded(self._renew(account, password))
        return True

    async def _renew(self, account: AccountRecord, password: str) -> None:
        """Hash again with today's parameters; a failure only means that the next log-in tries again."""
        try:
            fresh = await self._passwords.hash(password)
            await self._directory.edit(
                lambda snapshot: (
                    lambda connection: connection.execute(
                        "UPDATE accounts SET hash = ? WHERE id = ? AND hash = ?", (fresh, account.number, account.hash)
                    )
                )
            )
        except Busy:
            return
        except Exception as error:  # noqa: BLE001 - nobody waits for this
            self._journal.broken("users", error)


@implementer(ICredentialsChecker)
class ProofChecker:
    """Turns a proof of SCRAM into an avatar id, if account and device are still what they were."""

    credentialInterfaces = (IProven,)

    def __init__(self, directory: SnapshotDirectory, uses: Uses) -> None:
        self._directory = directory
        self._uses = uses

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        proven: ProvenCredentials = credentials.proven
        snapshot = self._directory.snapshot
        account = account_of(snapshot, proven.username)
        for one in snapshot.app_passwords.values():
            if account is not None and one.account == account.number and one.proof == proven.device:
                self._uses.used(one.number, proven.peer, proven.service)
                return succeed(b"%d/%d" % (account.number, one.number))
        return fail(UnauthorizedLogin())


@implementer(IRealm)
class Household:
    """The realm: an avatar id becomes the Principal as the directory has it now."""

    def __init__(self, directory: SnapshotDirectory) -> None:
        self._directory = directory

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> tuple[Any, Principal, Any]:
        if IPrincipal not in interfaces:
            raise NotImplementedError("the avatars here are IPrincipal")
        number, _, device = avatarId.partition(b"/")
        snapshot = self._directory.snapshot
        account = snapshot.by_number.get(int(number))
        if account is None or account.removed is not None:
            raise UnauthorizedLogin
        label, proof = "", account.hash_version
        if device:
            found = next((one for one in snapshot.app_passwords.values() if one.number == int(device)), None)
            if found is None:
                raise UnauthorizedLogin
            label, proof = found.label, found.proof
        default = self._directory.settings_now.default_quota
        principal = Principal(
            account.address,
            label,
            may_send=account.settings.get("may_send", "yes") != "no",
            quota=default if account.quota is None else account.quota,
            proof=proof,
            hidden=frozenset(account.settings.get("imap_hidden", "").split()),
        )
        return IPrincipal, principal, lambda: None


class PortalLogIn:
    """Fits ports.users.LogIn over the portal; ``portal`` itself is for twisted.web and its like."""

    def __init__(
        self,
        directory: SnapshotDirectory,
        passwords: Passwords,
        clock: Clock,
        journal: HasFailed,
        uses: Uses,
        passed: Passed = lambda account, password: None,
    ) -> None:
        """``passed`` hears of a main password that was right, when it was computed; it must return at once."""
        self._journal = journal
        self._directory = directory
        self._checker = PasswordChecker(directory, passwords, clock, journal, uses, passed)
        self._doubtful = Doubtful(clock.seconds)
        self.portal = Portal(Household(directory), [self._checker, ProofChecker(directory, uses)])

    def still_admits(self, principal: Principal) -> bool:
        """ports.users.LogIn."""
        snapshot = self._directory.snapshot
        account = snapshot.accounts.get(principal.account)
        if account is None:
            return False
        if not principal.device:
            return account.hash_version == principal.proof
        return any(
            one.account == account.number and one.proof == principal.proof for one in snapshot.app_passwords.values()
        )

    def is_weak(self, principal: Principal) -> bool:
        """ports.users.LogIn."""
        snapshot = self._directory.snapshot
        account = snapshot.accounts.get(principal.account)
        if account is None or principal.device:
            return False
        audit = snapshot.audit(account)
        return bool(audit.weak) and not audit.allowed

    def offers_scram(self, peer: str) -> bool:
        """Only where there is an app password at all, and not to an address from which it failed within a day.

        A mail program that knows SCRAM takes nothing else, even with the main password, which can only fail: so it
        is offered the other mechanisms the next time.
        """
        return bool(self._directory.snapshot.app_passwords) and not self._doubtful.knows(peer)

    async def scram_keys(self, username: str) -> ScramKeys:
        """As ports.users.LogIn."""
        snapshot = self._directory.snapshot
        return keys_for(snapshot, named(snapshot, username), username)

    async def log_in(self, credentials: PasswordCredentials | ProvenCredentials) -> Principal:
        """Raises LogInRefused; what goes wrong inside is journaled and refused with ``later``."""
        token = b""
        said: Proven | ServicePassword
        if isinstance(credentials, ProvenCredentials):
            said = Proven(credentials)
        else:
            username, password = credentials.username, credentials.password
            if len(prepare(username)) > USERNAME_OCTETS or len(prepare(password)) > PASSWORD_OCTETS or "\0" in password:
                raise LogInRefused
            if credentials.device_only and apppassword.canonical(password) is None:
                raise LogInRefused("too many strangers guess just now: only app passwords are taken", later=True)
            token = self._checker.token(username, password)
            # A lone surrogate becomes octets that are no UTF-8: a wrong password, not an error.
            said = ServicePassword(
                username.encode("utf-8", "surrogatepass"),
                password.encode("utf-8", "surrogatepass"),
                credentials.service,
                credentials.peer,
            )
        try:
            found = await self.portal.login(said, None, IPrincipal)
        except UnauthorizedLogin:
            if isinstance(credentials, ProvenCredentials):
                self._doubtful.add(credentials.peer)
            raise LogInRefused(token=token) from None
        except Busy:
            raise LogInRefused("too many log-ins at once, try again in a moment", later=True) from None
        except CancelledError:
            raise  # the connection is gone
        except Exception as error:  # noqa: BLE001 - an error of ours must not look like a wrong password
            self._journal.broken("users", error)
            raise LogInRefused("log-in is not possible just now, try again later", later=True) from None
        return cast(Principal, found[1])
