"""Listening sockets: opened while we may still be root, silent until everything behind them stands.

A port that listens but is not read keeps its first visitors in the kernel's queue, so a start or restart refuses
nobody. IPv6 sockets are IPv6 only: Twisted's ``tcp6:N`` would be dual-stack, and a following ``tcp:N`` would fail.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import stat
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.interfaces import IProtocolFactory
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOProtocol

BACKLOG = 511


USUAL_LIMIT = 8192  # descriptors; process.raise_descriptor_limit asks for as many
FILES = 128  # descriptors kept for databases, mailboxes, spool files, name look-ups and listening ports


class PortTaken(Exception):
    """The port could not be opened; str() tells the owner why and what to do."""


class ListeningReactor(Protocol):
    """What is asked of the reactor."""

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """IReactorSocket."""


class Opened:
    """One open port; ``key`` is the config key it comes from, ``text`` the endpoint as the owner wrote it."""

    def __init__(self, key: str, text: str, port: Any, number: int) -> None:
        self.key = key
        self.text = text
        self.number = number  # the port it really has; 0 for a Unix socket
        self._port = port

    def admit(self) -> None:
        """From now on connections are taken."""
        self._port.startReading()

    def close(self) -> Any:
        """Take no more connections; a Deferred or None."""
        return self._port.stopListening()


def open_port(
    reactor: ListeningReactor,
    key: str,
    text: str,
    kind: str,
    number: int,
    interface: str,
    path: str,
    mode: int,
    factory: Any,
) -> Opened:
    """Open an endpoint: ``kind`` "tcp", "tcp6" or "unix". Raises PortTaken. It admits nobody before ``admit``.

    ``mode`` is the Unix socket's: whoever may write to it may connect.
    """
    family = {"tcp": socket.AF_INET, "tcp6": socket.AF_INET6, "unix": socket.AF_UNIX}[kind]
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise PortTaken(f"listen.{key} = {text}: this machine has no such sockets ({error.strerror})") from error
    with contextlib.closing(sock):
        try:
            if kind == "unix":
                _clear_leftover(key, text, path)
                sock.bind(path)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if kind == "tcp6":
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                host = "127.0.0.1" if kind == "tcp" and interface == "localhost" else interface
                info = socket.getaddrinfo(host or None, number, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
                sock.bind(info[0][4])
            sock.listen(BACKLOG)
        except OSError as error:
            raise PortTaken(f"listen.{key} = {text}: {_remedy(error, key, number)}") from error
        sock.setblocking(False)
        bound = 0 if kind == "unix" else sock.getsockname()[1]
        port = reactor.adoptStreamPort(sock.fileno(), family, IProtocolFactory(factory))
        if kind == "unix":
            os.chmod(path, mode)  # adoption opens it to everybody
    port.stopReading()
    return Opened(key, text, port, bound)


def most_connections(usual: int) -> int:
    """How many connections each of SMTP and IMAP may hold, so that files can be opened whatever strangers do.

    ``usual``, or half of what the process's limit of descriptors leaves beside the files; never less than 20.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = USUAL_LIMIT if hard == resource.RLIM_INFINITY else min(hard, USUAL_LIMIT)
    return min(usual, max((limit - FILES) // 2, 20))


def _clear_leftover(key: str, text: str, path: str) -> None:
    """Take away the socket of a process that died; never a file, never a socket that somebody answers."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise PortTaken(f"listen.{key} = {text}: {path} is a file and no socket. Remove it, or name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as visitor:
        visitor.settimeout(1)
        try:
            visitor.connect(path)
        except OSError:
            os.unlink(path)
            return
    raise PortTaken(f"listen.{key} = {text}: another program listens there. Stop it, or name another path")


def _remedy(error: OSError, key: str, number: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {number} is in use. See who has it with `ss -ltnp 'sport = :{number}'` and stop it, "
            f"or choose another port for listen.{key}"
        )
    if error.errno == errno.EACCES:
        return (
            f"port {number} needs root or CAP_NET_BIND_SERVICE to bind. Start with the systemd unit from etc/, or as "
            "root with `twistd --uid USER --gid GROUP`"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address. Correct interface= or leave it out for all addresses"
    return f"{error.strerror or error}"


def say(transport: Any, octets: bytes) -> None:
    """Write at once when nothing waits to be written before: one system call instead of three and a reactor turn.

    ``transport.write`` asks the poller to tell when the socket takes octets, sends, and takes the wish back; nearly
    always it takes them right away. Whatever is not sent here, and every transport but a TCP connection, goes the
    usual way. Under TLS see ``hasten``.
    """
    if getattr(transport, "TLS", True):
        transport.write(octets)
    else:
        _send(transport, transport.write, octets)


def hasten(transport: Any) -> None:
    """Call after ``startTLS`` where writes are large or single: each is encrypted and sent at once, as by ``say``.

    Twisted gathers small writes for a turn of the reactor, and then asks the poller.
    """
    tls = getattr(transport, "protocol", None)
    if isinstance(tls, BufferingTLSTransport) and hasattr(transport, "_tempDataBuffer"):
        tls.write = partial(TLSMemoryBIOProtocol.write, tls)  # type: ignore[method-assign]
        below: Any = tls.transport
        below.write = partial(_send, transport, below.write)


def acknowledge(transport: Any) -> None:
    """Acknowledge at once what has come (TCP_QUICKACK, where there is such a thing).

    A peer that gathers small writes (RFC 896) holds the end of its command back until the octets before it are
    acknowledged, and the kernel, which hopes for an answer to go with it, takes 40 ms for that.
    """
    own = getattr(transport, "socket", None)
    if own is not None and hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _send(transport: Any, later: Callable[[bytes], object], octets: bytes) -> None:
    if (
        not getattr(transport, "connected", False)
        or transport.disconnecting
        or transport._writeDisconnected
        or transport.dataBuffer
        or transport._tempDataBuffer
    ):
        later(octets)
        return
    try:
        sent = transport.socket.send(octets)
    except OSError:  # full, or broken: the usual way finds out which
        sent = 0
    if sent < len(octets):
        later(octets[sent:])
