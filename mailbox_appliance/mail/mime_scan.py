"""The MIME structure of a message by offsets (RFC 2045, 2046): the scanner behind BODYSTRUCTURE and BODY[1.2].

It looks for boundary lines with ``find`` and never goes over a body line by line. What is broken is read as Dovecot
reads it, so that part numbers and sizes agree: a boundary line needs only to *begin* with a boundary (the longest one
known wins, of equal ones the innermost), an enclosing boundary ends everything inside it, a missing end boundary is
the end of the message, a multipart without a boundary parameter has no parts. Bounds: ``DEEPEST`` levels (deeper parts
are taken as leaves), ``MOST_PARTS`` parts (further boundaries are text); time is linear in the octets.

:func:`scan` takes octets with CRLF, :func:`scan_lf` takes a file with LF and gives offsets into its CRLF form.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import islice

from mailbox_appliance.mail.header import Octets
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.mime_node import LARGEST_HEADER, LONGEST_BOUNDARY, Node, boundary_of, read_header

__all__ = ["DEEPEST", "LARGEST_HEADER", "MOST_PARTS", "Node", "find_parts", "scan", "scan_lf", "to_crlf", "to_lf"]

DEEPEST = 100
MOST_PARTS = 2_000
_PLAIN_LEVELS = 8  # multiparts within multiparts that may each search all the rest of the message
_MOST_DASHED_LINES = 4096  # beyond that no deeper boundary is looked for

_DASHED = re.compile(rb"\n--")
_BARE_LF = re.compile(rb"(?<!\r)\n")


class _Boundary:
    __slots__ = ("at", "depth", "level", "line", "node")

    def __init__(self, line: bytes, node: Node, depth: int, level: int) -> None:
        self.line = line  # b"\n--boundary"
        self.node = node
        self.depth = depth  # index of ``node`` among the open parts
        self.level = level  # index among the boundaries
        self.at = -1  # where ``line`` is next; beyond the end when nowhere


def scan(octets: Octets | bytearray | memoryview) -> Part:
    """The structure of a message with CRLF line ends; offsets are its own."""
    return part_of(find_parts(octets))


def scan_lf(octets: Octets | bytearray | memoryview) -> Part:
    """The structure of a message kept with LF (CRLF here and there is right, too); offsets are those of
    :func:`to_crlf` of the same octets."""
    return part_of(find_parts(octets, crlf=True))


def to_crlf(octets: bytes) -> bytes:
    """Every line end as CRLF: what goes over the wire."""
    if b"\r\n" not in octets:
        return octets.replace(b"\n", b"\r\n")
    return _BARE_LF.sub(b"\r\n", octets)


def to_lf(octets: bytes) -> bytes:
    """Every CRLF as LF: what is kept on disk. A lone CR stays."""
    return octets.replace(b"\r\n", b"\n")


def part_of(node: Node) -> Part:
    """The frozen form. Deep trees are made from the leaves up, without recursion deeper than DEEPEST."""
    return Part(
        node.start,
        node.body,
        node.end,
        node.lines,
        node.type,
        node.subtype,
        node.parameters,
        node.encoding,
        node.content_id,
        node.description,
        node.disposition,
        node.language,
        node.location,
        node.md5,
        tuple([part_of(child) for child in node.children]),
    )


def find_parts(given: Octets | bytearray | memoryview, *, crlf: bool = False, places_only: bool = False) -> Node:
    """The tree of parts; offsets and sizes are those of ``given``, or with ``crlf`` those of its CRLF form.

    ``at``, ``body_at`` and ``end_at`` of a node are always those of ``given``. ``places_only``: neither these nor the
    lines are wanted, but ``start``, ``body`` and ``end`` alone.
    """
    octets: Octets = bytes(given) if isinstance(given, (memoryview, bytearray)) else given
    total = len(octets)
    root = Node(0)
    read_header(octets, root, 0, total, None)
    if root.is_multipart or (root.subtype == "rfc822" and root.type == "message"):
        _Scan(octets, total).run(root)
    else:
        root.end = total
    if places_only:
        return root
    before = _count_lines(octets, root)
    if crlf:
        _shift_to_crlf(octets, root, before)
    return root


class _Scan:
    """One walk from boundary to boundary. ``open`` are the parts begun and not ended, outermost first."""

    def __init__(self, octets: Octets, total: int) -> None:
        self.octets = octets
        self.total = total
        self.parts = 1
        self.open: list[Node] = []
        self.boundaries: list[_Boundary] = []
        self.dashed: list[int] | None = None  # where "\n--" is, once that is needed
        self.passed = 0  # everything before it has been read as header or boundary line

    def run(self, root: Node) -> None:
        self._begin(root)
        while True:
            hit = self._next_boundary()
            if hit is None or self.parts >= MOST_PARTS:
                self._close(0, self.total)
                return
            self._step(hit)

    def _find(self, boundary: _Boundary, start: int, nearest: int) -> None:
        """Where ``boundary`` is next; no farther than ``nearest``, an enclosing one, which would end it anyway."""
        limit = min(self.total, nearest + len(boundary.line) + LONGEST_BOUNDARY)
        if boundary.level < _PLAIN_LEVELS:
            found = self.octets.find(boundary.line, start, limit)
        else:
            found = self._find_among_dashed(boundary.line, start, limit)
        boundary.at = self.total + 1 if found < 0 else found

    def _find_among_dashed(self, line: bytes, start: int, limit: int) -> int:
        """The same for deep nesting, where searching the octets each time would take depth times length."""
        if self.dashed is None:
            dashed = islice(_DASHED.finditer(self.octets), _MOST_DASHED_LINES + 1)
            self.dashed = [match.start() for match in dashed]
        if len(self.dashed) > _MOST_DASHED_LINES:
            return -1
        for index in range(bisect_left(self.dashed, start), len(self.dashed)):
            at = self.dashed[index]
            if at + len(line) > limit:
                break
            if self.octets[at : at + len(line)] == line:
                return at
        return -1

    def _next_boundary(self) -> _Boundary | None:
        best: _Boundary | None = None
        for boundary in self.boundaries:
            if (
                best is None
                or boundary.at < best.at
                or (boundary.at == best.at and len(boundary.line) >= len(best.line))
            ):
                best = boundary
        return best if best is not None and best.at <= self.total else None

    def _limit(self) -> int:
        return min([boundary.at + 1 for boundary in self.boundaries if boundary.at <= self.total], default=self.total)

    def _begin(self, node: Node) -> None:
        """``node``'s header has been read: open it, and the messages and multiparts that begin with its body."""
        while True:
            self.open.append(node)
            self.passed = node.body
            if node.is_multipart:
                line = b"\n--" + (boundary_of(node) or b"")
                boundary = _Boundary(line, node, len(self.open) - 1, len(self.boundaries))
                self._find(
                    boundary, max(node.body - 1, 0), min([outer.at for outer in self.boundaries], default=self.total)
                )
                self.boundaries.append(boundary)
                return
            if node.type != "message" or node.subtype != "rfc822":
                return
            child = self._child(node, node.body)
            if child is None:
                return
            node = child

    def _child(self, parent: Node, start: int) -> Node | None:
        """A new part in ``parent``; None when bounds forbid it (the parent then is a leaf)."""
        if len(self.open) >= DEEPEST or self.parts >= MOST_PARTS:
            parent.type, parent.subtype = "application", "octet-stream"
            parent.is_multipart = False
            return None
        self.parts += 1
        node = Node(start)
        parent.children.append(node)
        if not parent.is_cut:
            read_header(self.octets, node, start, self._limit(), parent)
        if node.is_multipart and len(self.open) + 1 >= DEEPEST:
            node.type, node.subtype, node.is_multipart = "application", "octet-stream", False
        return node

    def _close(self, depth: int, end: int) -> None:
        """End the open parts from ``depth`` inwards at ``end``."""
        for node in self.open[depth:]:
            node.end = max(node.body, end)
        del self.open[depth:]

    def _step(self, hit: _Boundary) -> None:
        """A boundary line: what is inside its multipart ends before it; a new part or the epilogue begins after it."""
        octets, at = self.octets, hit.at
        if at < self.passed:
            # The line end before it ends a header or another boundary line, too, and counts as theirs.
            end = at + 1
        else:
            end = at - 1 if octets[at - 1 : at] == b"\r" else at
            cut = next((index for index in (-1, -2) if len(self.open) >= -index and self.open[index].is_cut), 0)
            if cut and len(self.open) + cut > hit.depth + 1:
                # A header that ends at the boundary gives up its line end, to the messages around it.
                self._close(len(self.open) + cut, end)
                end = at + 1
        self._close(hit.depth + 1, end)
        while self.boundaries[-1] is not hit:
            self.boundaries.pop()
        after = at + len(hit.line)
        is_last = octets[after : after + 2] == b"--"
        line_end = octets.find(b"\n", after)
        start = self.total if line_end < 0 else line_end + 1
        self.passed = start
        if is_last:
            self.boundaries.pop()
        nearest = self.total
        for boundary in self.boundaries:
            if boundary.at < start - 1:
                self._find(boundary, start - 1, nearest)
            nearest = min(nearest, boundary.at)
        if is_last or line_end < 0:
            return
        child = self._child(hit.node, start)
        if child is not None:
            self._begin(child)


_SLICE = 1 << 20


def _count(octets: Octets, sub: bytes, start: int, end: int) -> int:
    if isinstance(octets, bytes):
        return octets.count(sub, start, end)
    total = 0
    for at in range(start, end, _SLICE):
        # One octet more, for a pair that lies across the cut.
        total += octets[at : min(at + _SLICE + len(sub) - 1, end)].count(sub)
    return total


def _marks(root: Node) -> list[int]:
    """Every offset of the tree, sorted."""
    offsets: list[int] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        offsets += (node.start, node.body, node.end)
        waiting += node.children
    return sorted(set(offsets))


def _count_lines(octets: Octets, root: Node) -> dict[int, int]:
    """Set ``lines`` of every part, counting each octet once; how many line ends lie before each offset."""
    before: dict[int, int] = {}
    lines = last = 0
    for mark in _marks(root):
        lines += _count(octets, b"\n", last, mark)
        before[mark] = lines
        last = mark
    waiting = [root]
    while waiting:
        node = waiting.pop()
        node.lines = before[node.end] - before[node.body]
        node.at, node.body_at, node.end_at = node.start, node.body, node.end
        if node.children:
            waiting += node.children
    return before


def _shift_to_crlf(octets: Octets, root: Node, before: dict[int, int]) -> None:
    """Turn offsets into LF octets into offsets of the CRLF form."""
    if octets.find(b"\r\n", 0, len(octets)) >= 0:
        pairs = last = 0
        added = {}
        for mark, lines in before.items():
            pairs += _count(octets, b"\r\n", last, mark)  # no mark ever lies between a CR and its LF
            added[mark] = lines - pairs
            last = mark
        before = added
    waiting = [root]
    while waiting:
        node = waiting.pop()
        node.start += before[node.start]
        node.body += before[node.body]
        node.end += before[node.end]
        if node.children:
            waiting += node.children
