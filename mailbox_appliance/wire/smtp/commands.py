"""Command lines out of the octets that came: bounded, ended by CR LF only, and never anything but whole.

RFC 5321 §2.3.8 (line ends), §4.5.3.1.4 (length), RFC 4954 §4 (length of AUTH lines).
"""

from __future__ import annotations

import enum


class Fault(enum.Enum):
    """A line that is no command line. It was taken away whole, so that the next line is the next command."""

    NO_CRLF = "ended by a bare LF"
    TOO_LONG = "too long"


class Incoming:
    """The octets received and not yet looked at: commands and content take from the front."""

    __slots__ = ("_overlong", "at", "octets")

    def __init__(self) -> None:
        self.octets = b""
        self.at = 0
        self._overlong = False

    def __len__(self) -> int:
        return len(self.octets) - self.at

    def add(self, octets: bytes) -> None:
        """They came."""
        if self.at < len(self.octets):
            octets = self.octets[self.at :] + octets
        self.octets = octets
        self.at = 0

    def clear(self) -> None:
        """Forget everything."""
        self.octets, self.at, self._overlong = b"", 0, False

    def take(self, most: int) -> bytes:
        """Up to ``most`` octets."""
        octets = self.octets[self.at : self.at + most]
        self.at += len(octets)
        return octets

    def skip(self, most: int) -> int:
        """Drop up to ``most`` octets; returns how many it were."""
        there = min(most, len(self))
        self.at += there
        return there

    def take_line(self, limit: int, auth_limit: int) -> bytes | tuple[Fault, bytes] | None:
        """The next line without its CR LF; None when its end is not there yet; else what is wrong, and its beginning.

        ``limit`` counts the CR LF; lines that begin with AUTH may have ``auth_limit``. Of a line that is too long
        nothing is kept until its end comes.
        """
        octets, at = self.octets, self.at
        found = octets.find(b"\n", at)
        if limit < auth_limit and octets[at : at + 5].upper() == b"AUTH ":
            limit = auth_limit
        if found < 0:
            if len(octets) - at > limit:
                self._overlong = True
            if self._overlong:
                self.octets, self.at = b"", 0
            return None
        self.at = found + 1
        if self._overlong or found + 1 - at > limit:
            self._overlong = False
            return Fault.TOO_LONG, b""
        if found == at or octets[found - 1] != 0x0D:
            return Fault.NO_CRLF, octets[at:found]
        return octets[at : found - 1]
