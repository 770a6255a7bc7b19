"""The figures of the filter, with what they are measured in."""

from __future__ import annotations

from mailbox_appliance.mail.values import dataclass

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class JunkSettings:
    """``mail`` and ``state`` are folders; an account's file lies beside its Maildir, the family's in STATE/junk."""

    mail: str  # STATE/mail
    family: str  # STATE/junk
    share: bool = True  # lessons also teach the family's memory
    threshold: float = 5.7  # logits that the threshold of a taught filter tends to; see docs/junk.md
    first_threshold: float = 4.6  # of the prior alone
    loaded: int = 4  # accounts whose memory (2 MiB each) is held at once
    known: int = 256  # accounts of whom it is remembered that nobody has taught them, or what
    remember: float = 550 * _DAY  # seconds after which a lesson is taken back
    most_octets: int = 10 << 20  # of an account's lessons on disk
    family_octets: int = 20 << 20
    tokens: int = 10  # explained
    test_every: float = _DAY
