"""The control socket's boxes are AMP's boxes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.wire import PIECE, BoxError, BoxReader, encode_box, pieces_of, socket_path

boxes = st.dictionaries(st.binary(min_size=1, max_size=40), st.binary(max_size=300), min_size=1, max_size=4)


class BoxTests(SynchronousTestCase):
    """Ours and Twisted's."""

    @settings(max_examples=100, deadline=None)
    @given(boxes)
    def test_same_octets(self, pairs: dict[bytes, bytes]) -> None:
        """A box of ours is the octets of Twisted's."""
        self.assertEqual(encode_box(dict(sorted(pairs.items()))), amp.Box(pairs).serialize())

    @settings(max_examples=100, deadline=None)
    @given(st.lists(boxes, max_size=3), st.integers(1, 50))
    def test_read_in_pieces(self, many: list[dict[bytes, bytes]], step: int) -> None:
        """However the octets are cut, the same boxes come out."""
        octets = b"".join(map(encode_box, many))
        reader = BoxReader()
        found = []
        for at in range(0, len(octets), step):
            found += list(reader.feed(octets[at : at + step]))
        self.assertEqual(found, many)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=200))
    def test_nonsense(self, octets: bytes) -> None:
        """Nonsense is a BoxError or waits for more."""
        try:
            list(BoxReader().feed(octets))
        except BoxError:
            pass

    def test_pieces(self) -> None:
        """Nothing is one empty piece; each piece fits into a box."""
        self.assertEqual(pieces_of(b""), [b""])
        pieces = pieces_of(b"x" * (PIECE * 2 + 1))
        self.assertEqual([len(piece) for piece in pieces], [PIECE, PIECE, 1])
        for piece in pieces:
            encode_box({b"piece": piece})
        self.assertRaises(BoxError, encode_box, {b"piece": b"x" * 70_000})

    def test_long_paths(self) -> None:
        """A Unix address has at most 107 octets; longer paths go by the folder's descriptor."""
        self.assertEqual(socket_path("/short", 7), "/short/control")
        self.assertEqual(socket_path("/" + "x" * 120, 7), "/proc/self/fd/7/control")
