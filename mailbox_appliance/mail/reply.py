"""An SMTP reply: one per command, built from text that is ours alone (RFC 5321 §4.2, RFC 3463, RFC 2034)."""

from __future__ import annotations

import functools
import re

from mailbox_appliance.mail.values import dataclass

_UNSAFE = re.compile(r"[^\x20-\x7e]")
# RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets with code and CRLF; room is left for both codes.
_TEXT_OCTETS = 490


# Nearly every reply is one of some dozens, said again and again.
@functools.lru_cache(maxsize=256)
def _octets(code: int, enhanced: str, text: str) -> bytes:
    lines = text.split("\n") or [""]
    prefix = f"{enhanced} " if enhanced else ""
    out = []
    for number, line in enumerate(lines):
        sign = " " if number == len(lines) - 1 else "-"
        out.append(f"{code}{sign}{prefix}{_UNSAFE.sub('?', line)[:_TEXT_OCTETS]}\r\n")
    return "".join(out).encode("ascii")


@dataclass(frozen=True, slots=True)
class Reply:
    """``code`` 200–599, ``enhanced`` such as "5.1.1" or "" for none, ``text`` one or more lines."""

    code: int
    enhanced: str
    text: str

    def octets(self) -> bytes:
        """The reply as it goes over the wire; whatever is not printable ASCII becomes "?" and long lines are cut."""
        return _octets(self.code, self.enhanced, self.text)

    @property
    def is_positive(self) -> bool:
        """2xx or 3xx."""
        return self.code < 400

    @property
    def is_transient(self) -> bool:
        """4xx: the peer may try again."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5xx: trying again is useless."""
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}".replace("  ", " ").replace("\n", " / ")
