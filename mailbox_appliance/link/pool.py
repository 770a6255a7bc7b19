"""Connections at rest, at the edge: the store has dialled them, and the edge takes one when it has something to send.

At rest the edge says ``ping`` now and then and the store ``pong``; ``turn`` (mail) or ``splice SERVICE`` ends the rest.
A connection whose answer is still under way is not given out, or the answer would stand in the middle of what follows.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred

from mailbox_appliance.link.connection import LinkConnection
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.wire.link import Lines, LinkWrong

PING, PONG = b"ping\n", b"pong"
MOST_AT_REST = 64
MOST_WAITERS = 200


class LineAway(Exception):
    """No connection of the link is free, or there is no link."""


class Pool:
    """First come, first served on both sides."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resting: dict[LinkConnection, bool] = {}  # → an answer is under way
        self._waiters: deque[Deferred[LinkConnection]] = deque()

    def __len__(self) -> int:
        return len(self._resting)

    def add(self, connection: LinkConnection) -> None:
        """The store has dialled it."""
        if len(self._resting) >= MOST_AT_REST:
            connection.close()
            return
        lines = Lines(64)

        def reader(octets: bytes) -> None:
            try:
                for line in lines.receive(octets):
                    if line != PONG or not self._resting.get(connection):
                        raise LinkWrong("a word out of turn")
                    self._resting[connection] = False
                    self._serve()
            except LinkWrong:
                connection.abort()

        self._resting[connection] = False
        connection.on_lost = self._forget
        connection.read_by(reader)
        self._serve()

    def _forget(self, connection: LinkConnection) -> None:
        self._resting.pop(connection, None)

    def _serve(self) -> None:
        while self._waiters:
            connection = next((one for one, pinged in self._resting.items() if not pinged), None)
            if connection is None:
                return
            waiter = self._waiters.popleft()
            if not waiter.called:
                del self._resting[connection]
                connection.on_lost = None
                waiter.callback(connection)

    def take(self, seconds: float) -> Deferred[LinkConnection]:
        """One of them, when there is one within ``seconds``; else fails with LineAway."""
        waiter: Deferred[LinkConnection] = Deferred(lambda one: None)
        if len(self._waiters) >= MOST_WAITERS:
            waiter.errback(LineAway("too many wait for a connection of the link"))
            return waiter
        self._waiters.append(waiter)
        timer = self._clock.callLater(seconds, self._too_late, waiter)

        def over(result: object) -> object:
            if timer.active():
                timer.cancel()
            return result

        waiter.addBoth(over)
        self._serve()
        return waiter

    def _too_late(self, waiter: Deferred[LinkConnection]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if not waiter.called:
            waiter.errback(LineAway("no connection of the link is free"))

    def ask_all(self) -> None:
        """Is everybody still there? Who has not answered since the last time is not."""
        for connection, pinged in list(self._resting.items()):
            if pinged:
                connection.abort()
            else:
                self._resting[connection] = True
                connection.say(PING)

    def clear(self, reason: str) -> None:
        """The link is down."""
        for connection in list(self._resting):
            connection.abort()
        self._resting.clear()
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.called:
                waiter.errback(LineAway(reason))
