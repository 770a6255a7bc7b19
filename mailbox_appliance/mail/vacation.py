"""A vacation notice as a value: what an account answers while its person is away (RFC 3834, RFC 5230 §4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from mailbox_appliance.mail.values import dataclass

SETTING = "vacation"  # the key among an account's settings
MOST_TEXT = 4000  # characters
MOST_SUBJECT = 200
MOST_ADDRESSES = 20


@dataclass(frozen=True, slots=True)
class VacationNotice:
    """``begins`` and ``ends`` are epoch seconds, 0 = open; nobody is answered twice within ``days``.

    ``addresses`` are further ones under which the person is written to, such as one elsewhere that forwards here.
    """

    text: str
    subject: str = ""  # "" repeats the subject of the message that is answered
    begins: float = 0.0
    ends: float = 0.0
    days: int = 7
    addresses: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """Another text is another notice: whoever had the old one may have the new one (RFC 5230 §4.2)."""
        return hashlib.sha256(f"{self.subject}\n{self.text}".encode("utf-8", "replace")).hexdigest()[:16]

    def is_on(self, now: float) -> bool:
        """Within its time?"""
        return self.begins <= now and (not self.ends or now < self.ends)

    def to_text(self) -> str:
        """As it is kept."""
        kept = {
            "text": self.text,
            "subject": self.subject,
            "begins": self.begins,
            "ends": self.ends,
            "days": self.days,
            "addresses": list(self.addresses),
        }
        return json.dumps(kept, ensure_ascii=False)


def notice_of(settings: Mapping[str, str]) -> VacationNotice | None:
    """The account's notice; None when there is none, or none that can be read."""
    kept = settings.get(SETTING)
    if not kept:
        return None
    try:
        read = json.loads(kept)
        return VacationNotice(
            str(read["text"]),
            str(read.get("subject", "")),
            float(read.get("begins", 0)),
            float(read.get("ends", 0)),
            max(1, int(read.get("days", 7))),
            tuple(map(str, read.get("addresses", ()))),
        )
    except (ValueError, KeyError, TypeError):
        return None
