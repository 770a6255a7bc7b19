"""What SEARCH wants of one message's octets: its casemapped texts, and whether a needle is in them.

Pure, so that the processes beside the service (``store.sifter``) do exactly what the service itself would.
"""

from __future__ import annotations

from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.mime_scan import find_parts
from mailbox_appliance.mail.text import body_texts, casemap, field_texts
from mailbox_appliance.mail.values import dataclass

TEXT_OCTETS = 64 * 1024 * 1024  # of one message; what lies behind is not searched
INDEXED_OCTETS = 4 * 1024 * 1024  # of one message; a larger one is not added to the word index
LONGEST_TEXT = 1 << 21  # characters; a longer text is read whenever it is searched
SEAM = 4096  # characters that pieces of one text share; a longer word is not indexed


@dataclass(slots=True)
class Texts:
    """One message's casemapped texts. ``is_measured``: they are known to be usable."""

    uid: int
    header: str
    body: str
    is_measured: bool = False

    def is_usable(self) -> bool:
        """May they be added to the word index?"""
        return all(map(_is_usable, (self.header, self.body)))


def _is_usable(text: str) -> bool:
    if len(text) > LONGEST_TEXT:
        return False
    # No word is longer than its line, and hardly any line is long.
    return max(map(len, text.split("\n"))) < SEAM or max(map(len, text.split()), default=0) < SEAM


def texts_of(uid: int, octets: bytes) -> Texts:
    """The casemapped texts of one message. Texts are set apart by line ends."""
    header = "\n".join(map(casemap, field_texts(octets[: header_end(octets)])))
    return Texts(
        uid, header, "\n".join(map(casemap, body_texts(find_parts(octets, places_only=True), octets, overlap=SEAM)))
    )


def holds(octets: bytes, needle: str, *, whole: bool) -> bool:
    """Is ``needle`` (casemapped) in one of the texts of the body, or (``whole``) in those of the header?"""
    if whole:
        header = octets[: header_end(octets)]
        if not _surely_lacks(header, needle) and any(needle in casemap(text) for text in field_texts(header)):
            return True
    parts = find_parts(octets, places_only=True)
    return any(needle in casemap(text) for text in body_texts(parts, octets, overlap=len(needle) + 8))


def _surely_lacks(header: bytes, needle: str) -> bool:
    """Without a look at each field: no field holds ``needle``. A needle over a field's colon is for a closer look."""
    if ":" in needle or needle[:1].isspace() or b"=?" in header or b"\r" in header or not header.isascii():
        return False
    return needle not in header.replace(b"\n ", b" ").replace(b"\n\t", b"\t").decode("ascii").upper()


def held_by(texts: Texts, octets: bytes, needle: str, *, whole: bool) -> bool:
    """The same, of a message whose texts are known already; the needle is shorter than SEAM."""
    hit = needle in texts.body or (whole and needle in texts.header)
    # A line end in the needle may be one between two texts: such a message is looked at again.
    return holds(octets, needle, whole=whole) if hit and "\n" in needle else hit
