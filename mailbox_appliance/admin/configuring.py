"""The owner's file: config check|sample, done by the command line itself; reload, done by the service."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.config.local import local_config
from mailbox_appliance.config.read import DEFAULT_PATH, ConfigWrong, find, load
from mailbox_appliance.config.sample import sample


class ConfigDesk:
    """``option`` is what --config said."""

    def __init__(self, option: str | None = None) -> None:
        self._option = option

    async def check(self, arguments: Arguments) -> Result:
        """Every complaint about the file; exit code 1 when there is one."""
        found = find(self._option, os.environ)
        if found is None:
            config = local_config()
            words = f"no config found (none at {DEFAULT_PATH}): local mode, with its state in {config.state}"
            return Result((words,), data={"path": None, "complaints": []})
        try:
            load(found.path)
        except ConfigWrong as wrong:
            lines = [f"{found.path} (by {found.because}):", *(f"  {complaint}" for complaint in wrong.complaints)]
            data = [{"key": one.key, "what": one.what, "remedy": one.remedy} for one in wrong.complaints]
            return Result(tuple(lines), data={"path": found.path, "complaints": data}, code=1)
        return Result((f"{found.path} (by {found.because}) is right",), data={"path": found.path, "complaints": []})

    async def sample(self, arguments: Arguments) -> Result:
        """A commented file to begin with."""
        text = sample()
        return Result(tuple(text.removesuffix("\n").split("\n")), data=text)


class ReloadDesk:
    """``reload`` reads the file anew and takes over what can change; returns what it did. Raises ConfigWrong."""

    def __init__(self, reload: Callable[[], Awaitable[tuple[str, ...]]]) -> None:
        self._reload = reload

    async def reload(self, arguments: Arguments) -> Result:
        """Read the file anew; a wrong one changes nothing."""
        try:
            lines = await self._reload()
        except ConfigWrong as wrong:
            raise Refused(f"nothing was changed:\n{wrong}") from None
        return Result(tuple(lines) or ("read again; nothing had changed",))
