"""The control channel as both ends use it: lines in, lines out, and when it ends."""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.link.connection import LinkConnection
from mailbox_appliance.wire import link as words


class Control:
    """One control connection. ``other`` is "store" or "edge", whoever speaks there.

    ``said`` takes each thing said; ``cut`` is called with the reason when the channel must end. ``is_current`` tells
    whether this is still the channel of the link: a former one is neither listened to nor mourned.
    """

    def __init__(
        self,
        connection: LinkConnection,
        other: str,
        is_current: Callable[[], bool],
        said: Callable[[words.Said], None],
        cut: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._other = other
        self._is_current = is_current
        self._said = said
        self._cut = cut
        self._lines = words.Lines()
        connection.on_lost = self._gone

    @property
    def address(self) -> str:
        """The other side's."""
        return self._connection.address

    def begin(self) -> None:
        """Listen, first to what has come already."""
        self._connection.read_by(self._read)

    def say(self, *what: words.Said) -> None:
        """One line each."""
        self._connection.say("".join(f"{one.line()}\n" for one in what).encode())

    def _read(self, octets: bytes) -> None:
        try:
            for line in self._lines.receive(octets):
                if self._is_current():
                    self._said(words.read_line(line))
        except words.LinkWrong as error:
            if self._is_current():
                self._cut(f"the {self._other} says what nobody understands: {error}")

    def _gone(self, _: LinkConnection) -> None:
        if self._is_current():
            self._cut(f"the {self._other} hung up")
