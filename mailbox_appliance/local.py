"""Local mode's person: made at the first start, told to the tester at every start.

His mailbox begins empty, without the welcome that other accounts find: what it would say is printed at each start, and
whoever tries a mail program or a script here counts the messages that he has sent himself.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

from mailbox_appliance.config.local import ACCOUNT, DOMAIN
from mailbox_appliance.config.model import Config
from mailbox_appliance.mail.address import Address
from mailbox_appliance.users.station import Users

_PASSWORD_FILE = "local-password"


async def make_person(users: Users, state: str) -> str:
    """The domain and the account, unless they are there; returns the password that works now."""
    path = os.path.join(state, _PASSWORD_FILE)
    account = Address.parse(ACCOUNT)
    if DOMAIN not in users.directory.domains():
        await users.domains.add(DOMAIN)
    there = account in await users.directory.accounts()
    password = _read(path) if there else ""
    if not password:
        password = secrets.token_urlsafe(12)
        _write(path, password)
        if there:
            await users.accounts.set_password(ACCOUNT, password)
        else:
            await users.accounts.add(ACCOUNT, password, None)
    return password


def facts(config: Config, password: str, ca_file: str, ports: dict[str, int]) -> Iterator[str]:
    """What a tester needs to know, one ``key: value`` a line."""
    yield f"account: {ACCOUNT}"
    yield f"password: {password}"
    yield f"ca: {ca_file}"
    for name, port in ports.items():
        yield f"{name}: {config.listen.endpoints()[name][0].interface}:{port}"


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
