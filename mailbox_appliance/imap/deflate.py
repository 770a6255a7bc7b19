"""COMPRESS=DEFLATE (RFC 4978): a small compressor for what is said, a bounded inflater for what is heard.

A mail program keeps five connections open, so windows are small, and what the compressor remembers is let go when the
client idles: each write ends on an octet (a sync flush), and a compressor that begins anew there continues the same
stream. What is heard is inflated a piece at a time and only while the session has room for it, so a bomb waits outside.
"""

from __future__ import annotations

import zlib

WINDOW = -12  # a raw stream (RFC 1951) of 4 KiB
MEMORY = 3
LEVEL = 4  # the reactor waits for it: a quarter smaller would take twice as long
STORED = 512  # octets that are not worth a window
PIECE = 65_536  # octets inflated at once
MOST_WAITING = 262_144  # compressed octets that may wait


class BadStream(Exception):
    """What the peer sends is no deflate stream, or it sends on though nobody reads."""


class Deflate:
    """Both directions of one connection."""

    __slots__ = ("_compressor", "_full", "_inflater", "_waiting", "used")

    def __init__(self) -> None:
        self._compressor: zlib._Compress | None = None
        self._inflater = zlib.decompressobj(-15)
        self._waiting = b""
        self._full = False
        self.used = False  # since somebody looked

    def say(self, octets: bytes) -> bytes:
        """Compressed and flushed: the peer can read all of it."""
        compressor = self._compressor
        if compressor is None and len(octets) <= STORED:
            # A stored block (RFC 1951 §3.2.4) needs no window. Nor can Thunderbird misread it, which while it idles
            # takes no more octets out of its inflater than came over the wire: the rest waits for the next packet.
            size = len(octets)
            return b"\0" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + octets
        if compressor is None:
            compressor = self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW, MEMORY)
        self.used = True
        return compressor.compress(octets) + compressor.flush(zlib.Z_SYNC_FLUSH)

    def rest(self) -> None:
        """Forget what was said: the next write begins with an empty window."""
        self._compressor = None

    @property
    def resting(self) -> bool:
        """Does it hold no window?"""
        return self._compressor is None

    def hear(self, octets: bytes) -> None:
        """Take compressed octets. Raises BadStream when too many wait."""
        self._waiting += octets
        if len(self._waiting) > MOST_WAITING:
            raise BadStream

    @property
    def has_more(self) -> bool:
        """May ``inflate`` have something?"""
        return self._full or bool(self._waiting)

    def inflate(self) -> bytes:
        """The next piece, at most PIECE octets. Raises BadStream."""
        try:
            octets = self._inflater.decompress(self._waiting, PIECE)
        except zlib.error as error:
            raise BadStream from error
        if self._inflater.eof:
            raise BadStream  # a final block: no more can come, and IMAP has no use for that
        self._waiting = self._inflater.unconsumed_tail
        self._full = len(octets) == PIECE  # then more may come without further input
        return octets
