"""The control socket's language, for both ends: AMP boxes (as twisted.protocols.amp speaks them) that carry JSON.

A conversation is: any number of Give (a piece of the question too long for one box), one Ask (its last piece), whose
answer says how many pieces the answer has, then Take for each of them. Question and answer are JSON objects:
``{"noun", "verb", "arguments"}`` and ``{"refused": text}`` or a Result.
"""

from __future__ import annotations

from collections.abc import Iterator

PIECE = 60_000  # a value in a box has at most 65,535 octets
LONGEST_QUESTION = 4 << 20
LONGEST_ANSWER = 64 << 20


class BoxError(ValueError):
    """The other side does not speak AMP."""


def encode_box(pairs: dict[bytes, bytes]) -> bytes:
    """A box: key and value with their lengths in 16 bits, ended by an empty key."""
    out = []
    for key, value in pairs.items():
        if not 0 < len(key) <= 255 or len(value) > 0xFFFF:
            raise BoxError("a box holds keys of 1-255 and values of up to 65535 octets")
        out.append(len(key).to_bytes(2, "big") + key + len(value).to_bytes(2, "big") + value)
    return b"".join(out) + b"\0\0"


class BoxReader:
    """Octets in, boxes out."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def feed(self, octets: bytes) -> Iterator[dict[bytes, bytes]]:
        """Every box that is whole now. Raises BoxError."""
        self._octets += octets
        while (found := self._box()) is not None:
            pairs, end = found
            del self._octets[:end]
            yield pairs

    def _box(self) -> tuple[dict[bytes, bytes], int] | None:
        octets, at = self._octets, 0
        pairs: dict[bytes, bytes] = {}
        while True:
            if len(octets) < at + 2:
                return None
            length = int.from_bytes(octets[at : at + 2], "big")
            if length == 0:
                return pairs, at + 2
            if length > 255:
                raise BoxError("the other side does not speak AMP")
            start = at + 2 + length
            if len(octets) < start + 2:
                return None
            end = start + 2 + int.from_bytes(octets[start : start + 2], "big")
            if len(octets) < end:
                return None
            pairs[bytes(octets[at + 2 : start])] = bytes(octets[start + 2 : end])
            at = end


def pieces_of(octets: bytes) -> list[bytes]:
    """The octets in pieces that fit into boxes; at least one."""
    return [octets[at : at + PIECE] for at in range(0, len(octets), PIECE)] or [b""]


def socket_path(state: str, folder_file: int | None = None) -> str:
    """STATE/control; where that is longer than a Unix address may be (107 octets), by the open folder's number."""
    path = f"{state}/control"
    if len(path.encode()) <= 100 or folder_file is None:
        return path
    return f"/proc/self/fd/{folder_file}/control"
