"""Local mode: what runs when no config is found. Loopback only, unprivileged ports, and nothing ever leaves."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mailbox_appliance.config.model import Config, Endpoint, Limits, Listen, Relay, tcp
from mailbox_appliance.config.read import find, load

DOMAIN = "local.test"
ACCOUNT = "you@local.test"
STATE = "local-state"
_LOOPBACK = "127.0.0.1"


def _on(port: int) -> tuple[Endpoint, ...]:
    return (tcp(port, _LOOPBACK),)


def local_config(folder: str | None = None) -> Config:
    """Local mode's Config; its state is ``local-state`` below ``folder`` (default: the current one)."""
    return Config(
        hostname="mail.local.test",
        state=os.path.join(os.path.abspath(folder or os.getcwd()), STATE),
        listen=Listen(
            smtp=_on(2525),
            submission=_on(2587),
            submissions=_on(2465),
            imap=_on(2143),
            imaps=_on(2993),
            http=_on(2080),
        ),
        relay=Relay(direct=False),
        limits=Limits(),
        local=True,
    )


def load_or_local(option: str | None, environment: Mapping[str, str], *, look: bool = True) -> Config:
    """The Config to run with: the file that was found, or local mode. Raises ConfigWrong."""
    found = find(option, environment)
    return local_config() if found is None else load(found.path, look=look)
