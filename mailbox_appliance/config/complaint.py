"""One thing that is wrong with the owner's file: where, what, and what to do about it."""

from __future__ import annotations

from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class Complaint:
    """``key`` is the key path ("" for the file as a whole)."""

    key: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key} {self.what}; {self.remedy}".lstrip() if self.key else f"{self.what}; {self.remedy}"
