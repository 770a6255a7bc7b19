"""An ACME authority (pebble) and its name server, for which every name leads to one address."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

from mailbox_appliance.acme.selfmade import SelfMade
from tests.live.appliance import environment, free_ports, missing, wait_until


def absent() -> str:
    """The reason to skip a test that needs it; '' when its programs are installed."""
    return missing("pebble", "pebble-challtestsrv")


class Authority:
    """Listens at ``address`` and looks for tokens at ``http``; run commands() yourself, or use it as a context manager.

    Names below ``blocked`` are refused.
    """

    def __init__(
        self, folder: Path, http: int, *, address: str = "127.0.0.1", blocked: str = "blocked.example"
    ) -> None:
        made = SelfMade(str(folder / "authority-tls"))
        made.pair((address, "localhost"), time.time())
        self.anchor = made.ca_file
        self.environment = {"PEBBLE_VA_NOSLEEP": "1"}
        self._address = address
        self._port, self._management, self._names, self._names_management, tls = free_ports(5)
        self.directory = f"https://{address}:{self._port}/dir"
        self.names = f"{address}:{self._names}"
        self._config = folder / "pebble.json"
        shown = {
            "listenAddress": f"{address}:{self._port}",
            "managementListenAddress": f"{address}:{self._management}",
            "certificate": os.path.join(made.folder, "certificate.pem"),
            "privateKey": os.path.join(made.folder, "certificate.key"),
            "httpPort": http,
            "tlsPort": tls,
            "domainBlocklist": [blocked],
        }
        self._config.write_text(json.dumps({"pebble": shown}))
        self._running: list[subprocess.Popen[bytes]] = []

    def commands(self) -> tuple[list[str], ...]:
        """The name server, and the authority."""
        off = [word for kind in ("http01", "https01", "tlsalpn01") for word in (f"-{kind}", "")]
        server = ["pebble-challtestsrv", "-defaultIPv4", self._address, "-defaultIPv6", "", "-dns01", self.names, *off]
        return (
            [*server, "-management", f"{self._address}:{self._names_management}"],
            ["pebble", "-config", str(self._config), "-dnsserver", self.names, "-strict"],
        )

    def __enter__(self) -> Authority:
        for words in self.commands():
            self._running.append(
                subprocess.Popen(
                    words,
                    env={**environment(), **self.environment},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        for port in (self._port, self._names_management):
            wait_until(lambda port=port: self._listens(port), what=f"the authority's port {port}")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    def _listens(self, port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self._address, port)) == 0
