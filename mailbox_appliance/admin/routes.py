"""The way out, tried on the spot: relay test ADDRESS."""

from __future__ import annotations

from mailbox_appliance.admin.result import Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import address_argument
from mailbox_appliance.ports.relay import Relay


class RouteDesk:
    """``relay`` None: local mode, where nothing leaves."""

    def __init__(self, relay: Relay | None) -> None:
        self._relay = relay

    async def test(self, arguments: Arguments) -> Result:
        """Walk the route to an address without sending mail; exit code 1 when a step fails."""
        address = address_argument(arguments)
        if self._relay is None:
            words = "local mode: nothing leaves this machine; mail to outside is kept in the sender's folder Captured"
            return Result((words,), data={"good": True, "steps": []})
        lines, steps, good = [], [], True
        async for step in self._relay.explain(address):
            lines.append(f"{'ok  ' if step.good else 'FAIL'} {step.what}")
            if not step.good:
                good = False
                lines += [f"     {line}" for line in step.remedy.splitlines()]
            steps.append({"what": step.what, "good": step.good, "remedy": step.remedy})
        lines.append(f"mail to {address} can leave" if good else f"mail to {address} cannot leave now: see FAIL above")
        return Result(tuple(lines), data={"good": good, "steps": steps}, code=0 if good else 1)
