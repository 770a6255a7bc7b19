"""The ports of the service: bound before root is given up, read by nobody until everything behind them stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from mailbox_appliance.admin.parts import Door
from mailbox_appliance.config.model import Config, Endpoint
from mailbox_appliance.imap.listener import ImapFactory
from mailbox_appliance.sockets import Opened, PortTaken, open_port

if TYPE_CHECKING:
    from mailbox_appliance.stations import Stations


class Doors:
    """``known`` is what ``status`` shows of them."""

    def __init__(self, config: Config, reactor: Any, stations: Stations) -> None:
        self._config = config
        self._reactor = reactor
        self._stations = stations
        self.ports: list[Opened] = []
        self.known: list[Door] = []

    def open(self) -> None:
        """Bind them all. Raises PortTaken."""
        for protocol, endpoints in self._config.listen.endpoints().items():
            for endpoint in endpoints:
                self._open_one(protocol, endpoint)
                self.known.append(Door(protocol, endpoint.text, ""))

    def _open_one(self, protocol: str, endpoint: Endpoint) -> None:
        try:
            opened = open_port(
                self._reactor,
                protocol,
                endpoint.text,
                endpoint.kind,
                endpoint.port,
                endpoint.interface,
                endpoint.path,
                endpoint.mode,
                self._factory(protocol),
            )
        except PortTaken:
            if endpoint.kind == "tcp6" and f"listen.{protocol}" not in self._config.stated:
                return  # a machine without IPv6; nobody asked for it by name
            raise
        self.ports.append(opened)

    def _factory(self, protocol: str) -> Any:
        built = self._stations
        if built.edge is not None and (spliced := built.edge.factory(protocol)) is not None:
            return spliced
        if protocol in ("smtp", "submission", "submissions", "lmtp"):
            return built.smtp.factory(protocol)
        if protocol in ("imap", "imaps"):
            return ImapFactory(built.imap, protocol)
        if protocol in ("http", "https"):
            return built.pages.http() if protocol == "http" else built.pages.https()
        raise PortTaken(f"listen.{protocol} is not in this version: write {protocol} = [] or leave it out")

    def admit(self) -> None:
        """From now on visitors come in."""
        for port in self.ports:
            port.admit()

    async def close(self) -> None:
        """Nobody new; who is in stays."""
        for port in self.ports:
            closed = port.close()
            if isinstance(closed, Deferred):
                await closed
