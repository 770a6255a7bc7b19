"""The pairing dialogue on a link connection, both sides (the language: wire/pairing).

The edge keeps one code at a time: good for a quarter of an hour, for one pairing, and for a few wrong tries.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable

from twisted.internet.defer import Deferred

from mailbox_appliance.link.connection import LinkConnection
from mailbox_appliance.link.tls import peer_certificate
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.wire.link import Lines, LinkWrong
from mailbox_appliance.wire.pairing import (
    NONCE_OCTETS,
    SECRET_OCTETS,
    Claim,
    PairingWrong,
    is_proven,
    proof,
    read_claim,
)

CODE_SECONDS = 900.0
MOST_TRIES = 5
DIALOGUE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Met:
    """The other side after a good dialogue."""

    name: str
    certificate: bytes


class OpenCode:
    """The code of the hour, at the edge."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secret = b""
        self._until = 0.0
        self._tries = 0

    def make(self, secret: bytes = b"") -> bytes:
        """A new secret; one made before is void."""
        self._secret = secret or os.urandom(SECRET_OCTETS)
        self._until = self._clock.seconds() + CODE_SECONDS
        self._tries = 0
        return self._secret

    def void(self) -> None:
        """It has been used."""
        self._secret = b""

    def meet(self, line: bytes, edge: bytes, store: bytes, name: str) -> tuple[Met, bytes]:
        """Judge a store's claim: who it is, and what to answer. Raises PairingWrong, also when there is no code."""
        if not self._secret or self._clock.seconds() > self._until:
            self._secret = b""
            raise PairingWrong("there is no pairing code, or it is older than a quarter of an hour")
        claim = read_claim(line, "pair 1")
        if not is_proven(claim, self._secret, "store", claim.nonce, edge, store):
            self._tries += 1
            if self._tries >= MOST_TRIES:
                self._secret = b""
                raise PairingWrong(f"the code was wrong {MOST_TRIES} times and is void now")
            raise PairingWrong("the code is wrong")
        nonce = os.urandom(NONCE_OCTETS)
        answer = Claim(
            "paired", nonce, proof(self._secret, "edge", claim.nonce + nonce, edge, store, name), name
        ).line()
        return Met(claim.name, store), answer


def host_pairing(
    connection: LinkConnection,
    clock: Clock,
    code: OpenCode,
    own: bytes,
    name: str,
    keep: Callable[[Met], Deferred[None]],
    refused: Callable[[str], None],
) -> None:
    """The edge's side. ``keep`` makes the pairing durable, before the store is told that it is one."""
    lines = Lines()
    timer = clock.callLater(DIALOGUE_SECONDS, connection.abort)

    def end(reason: str) -> None:
        refused(reason)
        connection.say(b"no " + reason.encode("ascii", "replace") + b"\n")
        connection.close()

    def kept(_: None, answer: bytes) -> None:
        connection.say(answer)
        connection.close()

    def reader(octets: bytes) -> None:
        try:
            for line in lines.receive(octets):
                if timer.active():
                    timer.cancel()
                connection.read_by(lambda _: None)
                met, answer = code.meet(line, own, peer_certificate(connection.transport), name)
                code.void()
                keeping = keep(met)
                keeping.addCallback(kept, answer)
                keeping.addErrback(lambda failure: end(f"it could not be written down: {failure.getErrorMessage()}"))
                return
        except (PairingWrong, LinkWrong) as error:
            end(str(error))

    def gone(_: LinkConnection) -> None:
        if timer.active():
            timer.cancel()

    connection.on_lost = gone
    connection.read_by(reader)


def visit_pairing(connection: LinkConnection, clock: Clock, secret: bytes, own: bytes, name: str) -> Deferred[Met]:
    """The store's side. Fails with PairingWrong."""
    done: Deferred[Met] = Deferred()
    lines = Lines()
    nonce = os.urandom(NONCE_OCTETS)
    edge = peer_certificate(connection.transport)

    def fail(reason: str) -> None:
        if not done.called:
            done.errback(PairingWrong(reason))
        connection.abort()

    timer = clock.callLater(DIALOGUE_SECONDS, fail, "the other side does not answer")

    def reader(octets: bytes) -> None:
        try:
            for line in lines.receive(octets):
                claim = read_claim(line, "paired")
                if not is_proven(claim, secret, "edge", nonce + claim.nonce, edge, own):
                    raise PairingWrong("the other side does not know the code: somebody stands between")
                if not done.called:
                    done.callback(Met(claim.name, edge))
                connection.close()
                return
        except (PairingWrong, LinkWrong) as error:
            fail(str(error))

    def gone(_: LinkConnection) -> None:
        fail("the other side hung up")

    def stop_timer(result: object) -> object:
        if timer.active():
            timer.cancel()
        return result

    done.addBoth(stop_timer)
    connection.on_lost = gone
    connection.say(Claim("pair 1", nonce, proof(secret, "store", nonce, edge, own, name), name).line())
    connection.read_by(reader)
    return done


def same(one: str, other: str) -> bool:
    """Two fingerprints, compared in constant time."""
    return bool(one) and hmac.compare_digest(one, other)
