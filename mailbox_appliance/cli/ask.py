"""Who answers: the command line itself, the running service, or the databases opened here."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from mailbox_appliance.admin.configuring import ConfigDesk
from mailbox_appliance.admin.guessing import GuessingDesk
from mailbox_appliance.admin.importing import ImportDesk
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Verb
from mailbox_appliance.cli.client import Line, NobodyListens
from mailbox_appliance.config.local import load_or_local

_LOCK_PATIENCE = 10.0  # seconds for a service that is starting or stopping


def ask(option: str | None, verb: Verb, arguments: Mapping[str, Any]) -> Result:
    """Have ``verb`` done; ``option`` is what --config said. Raises Refused or ConfigWrong."""
    if verb.here:
        return _here(option, verb, arguments)
    config = load_or_local(option, os.environ, look=False)
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            line = Line(config.state)
        except NobodyListens:
            pass
        else:
            try:
                return line.ask(verb.noun, verb.verb, arguments)
            finally:
                line.close()
        from mailbox_appliance.admin.lock import StateInUse
        from mailbox_appliance.desk import OpenDesk

        try:
            with OpenDesk(config) as desk:
                return desk.run(verb, arguments)
        except StateInUse as error:
            if time.monotonic() > deadline:
                raise Refused(f"the service holds its state but does not answer: {error}") from None
            time.sleep(0.2)


def _here(option: str | None, verb: Verb, arguments: Mapping[str, Any]) -> Result:
    """Run a coroutine that waits for nothing."""
    desk: object = ConfigDesk(option)
    if verb.desk is GuessingDesk:
        from mailbox_appliance.cli.guessing import GuessingTerminal

        desk = GuessingDesk(GuessingTerminal(option))
    if verb.desk is ImportDesk:
        from mailbox_appliance.cli.importing import Terminal

        desk = ImportDesk(Terminal(option))
    coroutine: Any = verb.run(desk, arguments)
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise RuntimeError(f"{verb.name} waits for something")
