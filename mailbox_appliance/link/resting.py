"""Connections that rest at the edge until it needs one: to hand mail down, or to splice a visitor through.

The store keeps a few of each kind ready, since only it can dial. ``ping`` asks whether one still lives; ``turn`` begins
mail from the edge (as ATRN does, RFC 2645), ``splice PORT`` a visitor's connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mailbox_appliance.link import tls
from mailbox_appliance.link.connection import LinkConnection
from mailbox_appliance.wire import link as words

AT_REST = {tls.DOWN: 3, tls.SPLICE: 6}


class Resting:
    """``dial`` opens one for a purpose (raises OSError), ``has_room`` says whether one more may be opened.

    ``down_door`` makes the protocol for mail from the edge, ``spliced`` takes a connection for one of our own ports.
    """

    def __init__(
        self,
        dial: Callable[[bytes], Awaitable[LinkConnection]],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        has_room: Callable[[], bool],
        down_door: Callable[[], Any],
        spliced: Callable[[LinkConnection, bytes, bytes], None],
    ) -> None:
        self._dial = dial
        self._spawn = spawn
        self._has_room = has_room
        self._down_door = down_door
        self.spliced = spliced
        self._round: object | None = None  # what was dialled for an earlier line is not counted for this one
        self._resting = dict.fromkeys(AT_REST, 0)
        self._dialling = dict.fromkeys(AT_REST, 0)

    def begin(self) -> None:
        """The line stands."""
        self._round = object()

    def end(self) -> None:
        """The line is cut; whoever cut it closes the connections."""
        self._round = None
        self._resting = dict.fromkeys(AT_REST, 0)

    def fill(self) -> None:
        """Dial as many as are missing."""
        if self._round is None:
            return
        for purpose, wanted in AT_REST.items():
            for _ in range(wanted - self._resting[purpose] - self._dialling[purpose]):
                if self._has_room():
                    self._dialling[purpose] += 1
                    self._spawn(self._rest(purpose))

    async def _rest(self, purpose: bytes) -> None:
        this_round = self._round
        try:
            connection = await self._dial(purpose)
        except OSError:
            return  # the next ping tries again, or finds the line cut
        finally:
            self._dialling[purpose] -= 1
        if this_round is None or this_round is not self._round:
            connection.abort()
            return
        self._resting[purpose] += 1
        lines = words.Lines(64)
        resting = True

        def over() -> None:
            nonlocal resting
            if resting:
                resting = False
                if this_round is self._round:
                    self._resting[purpose] -= 1
                    self.fill()

        def reader(octets: bytes) -> None:
            try:
                for line in lines.receive(octets):
                    if line == b"ping":
                        connection.say(b"pong\n")
                    elif line == b"turn" and purpose == tls.DOWN:
                        over()
                        connection.carry(self._down_door(), rest=lines.rest)
                        return
                    elif line.startswith(b"splice ") and purpose == tls.SPLICE:
                        over()
                        self.spliced(connection, line[7:], lines.rest)
                        return
                    else:
                        raise words.LinkWrong("a word out of turn")
            except words.LinkWrong:
                connection.abort()

        def gone(_: LinkConnection) -> None:
            over()

        connection.on_lost = gone
        connection.read_by(reader)
