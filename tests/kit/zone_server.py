"""A tiny name server on loopback for live tests: ``python -m tests.kit.zone_server --port 5353 ZONEFILE``.

UDP and TCP from one zone file (tests/kit/zones.py says how it is written); the file is read again when it changes.
Prints ``ready PORT`` when both sockets are bound; ``--port 0`` takes any free port.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
from twisted.internet import protocol

from tests.kit.zones import Zone


class ZoneFile:
    """A zone that follows its file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] = (0, 0)
        self._zone = Zone("")

    def respond(self, wire: bytes, most: int | None) -> bytes | None:
        found = os.stat(self._path)
        if (found.st_mtime_ns, found.st_size) != self._stamp:
            self._stamp = (found.st_mtime_ns, found.st_size)
            self._zone = Zone(self._path.read_text("utf-8"))
        return respond(self._zone, wire, most)


def respond(zone: Zone, wire: bytes, most: int | None) -> bytes | None:
    """The answer to one packet; ``most`` octets for UDP, beyond which it is truncated; None for silence."""
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return None
    response = zone.answer(query)
    if response is None:
        return None
    size = 65535 if most is None else max(512, min(query.payload or 512, most))
    try:
        return response.to_wire(max_size=size)
    except dns.exception.TooBig:
        cut = dns.message.make_response(query, recursion_available=True)
        cut.flags |= dns.flags.TC
        return cut.to_wire()


class Datagrams(protocol.DatagramProtocol):
    def __init__(self, zone: Any, most: int = 1232) -> None:
        self._zone = zone
        self._most = most

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        answer = self._zone.respond(datagram, self._most)
        if answer is not None:
            assert self.transport is not None
            self.transport.write(answer, addr)


class Streams(protocol.Protocol):
    def __init__(self, zone: Any) -> None:
        self._zone = zone
        self._buffer = b""

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2 and len(self._buffer) >= 2 + (size := int.from_bytes(self._buffer[:2], "big")):
            wire, self._buffer = self._buffer[2 : 2 + size], self._buffer[2 + size :]
            answer = self._zone.respond(wire, None)
            if answer is not None:
                assert self.transport is not None
                self.transport.write(len(answer).to_bytes(2, "big") + answer)


def serve(reactor: Any, zone: Any, port: int = 0, interface: str = "127.0.0.1") -> tuple[int, list[Any]]:
    """Bind UDP and TCP on one port; returns it and the two listening ports (``stopListening`` ends them)."""
    factory = protocol.Factory.forProtocol(lambda: Streams(zone))
    for _ in range(20):
        datagrams = reactor.listenUDP(port, Datagrams(zone), interface=interface)
        number = datagrams.getHost().port
        try:
            return number, [datagrams, reactor.listenTCP(number, factory, interface=interface)]
        except OSError:
            datagrams.stopListening()
            if port:
                raise
    raise OSError("no port is free for UDP and TCP alike")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5353)
    parser.add_argument("--interface", default="127.0.0.1")
    parser.add_argument("zonefile", type=Path)
    arguments = parser.parse_args()
    from twisted.internet import reactor

    number, _ = serve(reactor, ZoneFile(arguments.zonefile), arguments.port, arguments.interface)
    print(f"ready {number}")
    sys.stdout.flush()
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
