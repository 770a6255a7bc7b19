"""A LogIn made of a dict of passwords."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import (
    DeviceKey,
    LogInRefused,
    PasswordCredentials,
    Principal,
    ProvenCredentials,
    ScramKeys,
)
from tests.kit.scram_client import device_keys


class FakeLogIn:
    """``passwords`` by account address; ``devices`` maps an app password to (account, label).

    ``busy`` True refuses everybody for now; ``asked`` remembers the credentials seen.
    """

    def __init__(self, passwords: Mapping[str, str], devices: Mapping[str, tuple[str, str]] | None = None) -> None:
        self.passwords = dict(passwords)
        self.devices = dict(devices or {})
        self.busy = False
        self.asked: list[PasswordCredentials | ProvenCredentials] = []
        self.scram = False
        self.weak: set[str] = set()
        self.hidden: dict[str, frozenset[str]] = {}

    def still_admits(self, principal: Principal) -> bool:
        account = str(principal.account)
        if account not in self.passwords:
            return False
        if not principal.device:
            return _proof(self.passwords[account]) == principal.proof
        return any(
            owner == account and _proof(password) == principal.proof for password, (owner, _) in self.devices.items()
        )

    def is_weak(self, principal: Principal) -> bool:
        return str(principal.account) in self.weak and not principal.device

    def offers_scram(self, peer: str) -> bool:
        return self.scram

    async def scram_keys(self, username: str) -> ScramKeys:
        salt, found = hashlib.sha256(username.lower().encode()).digest()[:16], []
        for number, (password, (account, _)) in enumerate(self.devices.items()):
            if account == username.lower():
                found.append(DeviceKey(number, *device_keys(password, salt, 4096)))
        return ScramKeys(salt, 4096, tuple(found))

    async def log_in(self, credentials: PasswordCredentials | ProvenCredentials) -> Principal:
        self.asked.append(credentials)
        if self.busy:
            raise LogInRefused("too busy to check passwords, try again", later=True)
        if isinstance(credentials, ProvenCredentials):
            if credentials.device is None:
                raise LogInRefused
            password, (account, label) = list(self.devices.items())[credentials.device]
            return Principal(Address.parse(account), label, proof=_proof(password))
        if credentials.device_only and credentials.password not in self.devices:
            raise LogInRefused("only app passwords just now", later=True)
        name = credentials.username.lower()
        domains = {account.rpartition("@")[2] for account in self.passwords}
        if "@" not in name and len(domains) == 1:
            name = f"{name}@{next(iter(domains))}"
        if name in self.passwords:
            account, label = self.devices.get(credentials.password, ("", ""))
            if account == name:
                return Principal(Address.parse(account), label, proof=_proof(credentials.password))
            if credentials.password and self.passwords[name] == credentials.password:
                hidden = self.hidden.get(name, frozenset())
                return Principal(Address.parse(name), proof=_proof(credentials.password), hidden=hidden)
        raise LogInRefused(token=hashlib.sha256(f"{name}\0{credentials.password}".encode()).digest()[:16])


def _proof(password: str) -> int:
    return int.from_bytes(hashlib.sha256(password.encode()).digest()[:6])
