"""A message left by a local program: what `mailappliance sendmail` writes into the drop folder and smtp/dropbox reads.

A file is one line of magic, one line of JSON (the envelope as the program gave it), then the message with LF or CRLF
line ends. Its owner, whom the kernel vouches for, is who sent it; nothing in the file is believed about that.
"""

from __future__ import annotations

import json

from mailbox_appliance.mail.values import dataclass

MAGIC = b"mailappliance-drop 1\n"
SUFFIX = ".mail"
MOST_RECIPIENTS = 1000
LONGEST_HEAD = 400_000  # octets: a thousand recipients of the greatest length
_LONGEST = 320


class DropError(ValueError):
    """This is no drop file; str() says why."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """``sender``: None when none was named, "" for the null path. ``name`` for a From field that must be made."""

    recipients: tuple[str, ...]
    sender: str | None = None
    name: str = ""

    def head(self) -> bytes:
        """What stands before the message."""
        row = {"to": list(self.recipients), "from": self.sender, "name": self.name}
        return MAGIC + json.dumps(row, ensure_ascii=True).encode("ascii") + b"\n"


def read_head(octets: bytes) -> tuple[Dropped, int]:
    """The envelope, and where the message begins. ``octets``: at least LONGEST_HEAD of the file. Raises DropError."""
    if not octets.startswith(MAGIC):
        raise DropError("it does not begin like a message that sendmail left")
    end = octets.find(b"\n", len(MAGIC), LONGEST_HEAD)
    if end < 0:
        raise DropError("its envelope is too long")
    try:
        row = json.loads(octets[len(MAGIC) : end])
    except (ValueError, RecursionError):
        raise DropError("its envelope cannot be read") from None
    if not isinstance(row, dict):
        raise DropError("its envelope cannot be read")
    recipients, sender, name = row.get("to"), row.get("from"), row.get("name", "")
    if not isinstance(recipients, list) or not recipients or len(recipients) > MOST_RECIPIENTS:
        raise DropError(f"it must have 1 to {MOST_RECIPIENTS} recipients")
    if not all(_is_text(one) for one in (*recipients, name)) or not (sender is None or _is_text(sender)):
        raise DropError("its envelope holds something that is no address")
    return Dropped(tuple(recipients), sender, name), end + 1


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()
