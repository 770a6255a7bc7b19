"""The content of one message on its way: a header block in memory, a body in memory or in a spool file.

Line ends are LF from the end-of-data scanner on (Maildir keeps LF); CRLF comes back at the sockets. Sizes are
octets; ``wire_size`` counts each line end twice, which is what SIZE, RFC822.SIZE and Maildir's ``W=`` mean.
"""

from __future__ import annotations

from dataclasses import field

from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class SpooledBody:
    """A body too large for memory: ``length`` octets at ``offset`` of the file ``path`` (LF line ends)."""

    path: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Content:
    """A whole message: ``header`` with the empty line that ends it, then ``body``; LF line ends throughout.

    ``lines`` is the number of LF in header and body together.
    """

    header: bytes = field(repr=False)
    body: bytes | SpooledBody = field(repr=False)
    lines: int

    @property
    def body_size(self) -> int:
        """Octets of the body as kept on disk."""
        return self.body.length if isinstance(self.body, SpooledBody) else len(self.body)

    @property
    def size(self) -> int:
        """Octets on disk (Maildir's ``S=``)."""
        return len(self.header) + self.body_size

    @property
    def wire_size(self) -> int:
        """Octets with CRLF line ends (RFC822.SIZE, Maildir's ``W=``)."""
        return self.size + self.lines

    def with_prefix(self, fields: bytes) -> Content:
        """The same message with trace fields (LF line ends, whole lines) put on top."""
        return Content(fields + self.header, self.body, self.lines + fields.count(b"\n"))
