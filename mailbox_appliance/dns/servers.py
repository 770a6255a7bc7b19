"""Which name servers are asked: read from the configuration or from resolv.conf, and how each has fared."""

from __future__ import annotations

import ipaddress
import os

from mailbox_appliance.mail.values import dataclass

MOST_SERVERS = 8


class ServerError(ValueError):
    """The text names no name server; ``str()`` says what is expected."""


@dataclass(frozen=True, slots=True)
class Server:
    """The address of one name server."""

    address: str
    port: int = 53

    @property
    def is_loopback(self) -> bool:
        """On this machine: only such a server's AD bit is believed (RFC 6840 §5.8)."""
        return ipaddress.ip_address(self.address).is_loopback

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server's health for ``status``. ``good`` is None before the first question; ``since`` is epoch seconds."""

    server: str
    good: bool | None
    since: float = 0.0
    reason: str = ""


def read_server(text: str) -> Server:
    """Read "127.0.0.1", "127.0.0.1:5353", "::1" or "[::1]:5353". Raises ServerError."""
    host, port = text.strip(), "53"
    if host.startswith("["):
        host, found, rest = host[1:].partition("]")
        if not found or (rest and not rest.startswith(":")):
            raise ServerError(f"{text!r} is no name server: write it as [::1]:53")
        port = rest[1:] or "53"
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    try:
        address = str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        raise ServerError(f"{text!r} is no name server: write an IP address, such as 127.0.0.1:53") from None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ServerError(f"{text!r} is no name server: {port!r} is no port")
    return Server(address, int(port))


def read_resolv_conf(text: str) -> tuple[Server, ...]:
    """The ``nameserver`` lines of a resolv.conf(5); none means this machine, as the manual says."""
    servers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                servers.append(read_server(f"[{words[1]}]" if ":" in words[1] else words[1]))
            except ServerError:
                continue
    return tuple(servers[:MOST_SERVERS]) or (Server("127.0.0.1"),)


class ResolvConf:
    """The servers of a resolv.conf, read again when the file has changed (looked at every ``pause`` seconds)."""

    def __init__(self, path: str, pause: float = 30.0) -> None:
        self._path = path
        self._pause = pause
        self._looked = float("-inf")
        self._stamp: tuple[int, int] | None = None
        self._servers: tuple[Server, ...] = (Server("127.0.0.1"),)

    def servers(self, now: float) -> tuple[Server, ...]:
        """The servers as of now. Reads a file of a few lines, at most every ``pause`` seconds."""
        if now - self._looked < self._pause:
            return self._servers
        self._looked = now
        try:
            found = os.stat(self._path)
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                with open(self._path, encoding="utf-8", errors="replace") as file:
                    self._servers = read_resolv_conf(file.read(65536))
                self._stamp = stamp
        except OSError:
            self._stamp, self._servers = None, (Server("127.0.0.1"),)
        return self._servers
