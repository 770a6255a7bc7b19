"""Is it junk, by what it says? What checks/, delivery/ and the store's hook ask of the filter. Filled by ``junk/``."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Evidence

UNTAUGHT = 0.25  # of the figure for wanted mail, before anything was taught
ENOUGH_LESSONS = 40


@dataclass(frozen=True, slots=True)
class Token:
    """Something in the message that spoke for junk (``weight`` > 0) or against it."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The filter's opinion of one message for one person.

    ``score`` 0 is the threshold: above it the message is junk; the unit is a logit, so that ``probability`` is
    1 / (1 + e^-score). ``tokens`` are the strongest, strongest first. ``lessons`` is what the person has taught.
    """

    probability: float
    score: float
    tokens: tuple[Token, ...] = ()
    lessons: int = 0
    trouble: str = ""  # why the person's memory could not be asked; the prior alone spoke then

    @property
    def is_junk(self) -> bool:
        """Is the threshold passed?"""
        return self.score > 0.0

    def as_evidence(self) -> Evidence:
        """For the verdict, in its points: junk is at least 5, wanted mail at most 0. Tells no word of the message.

        What a filter takes for wanted mail counts the less, the less the person has taught it: whoever has read no
        letter of somebody cannot vouch for a stranger's.
        """
        if self.is_junk:
            weight = 5.5 + min(self.score, 8.0) * 0.4
        else:
            weight = max(self.score, -10.0) * 0.2 * min(1.0, UNTAUGHT + self.lessons / ENOUGH_LESSONS)
        reason = f"looks like {'junk' if self.is_junk else 'wanted mail'} ({self.probability:.2f})"
        reason += f", by {self.lessons} lesson(s)" if self.lessons else ", nobody has taught yet"
        if self.trouble:
            reason = f"{reason}; asked without memory: {self.trouble}"
        return Evidence("content", "junk" if self.is_junk else "ham", round(weight, 2), reason)


class JunkFilter(Protocol):
    """``seen`` are results of other checks as small words ("spf pass", "dnsbl listed"): tokens like any other."""

    def judge(
        self, account: Address | None, content: Content, seen: Iterable[str] = (), *, explain: bool = False
    ) -> Awaitable[Judgement]:
        """Judge a message for ``account``; None asks the family's memory only. Never raises for disk trouble.

        Tokens are told only when ``explain`` asks for them (they cost time).
        """

    def learn(self, account: Address, octets: bytes, junk: bool, seen: Iterable[str] = ()) -> Awaitable[None]:
        """A person says what a message is (line ends do not matter). A lesson of the contrary is taken back first.

        Raises OSError, DatabaseTrouble or sqlite3.Error when it cannot be kept, Busy when too much waits.
        """

    def forget(self, account: Address, octets: bytes) -> Awaitable[bool]:
        """Take a lesson back, exactly; False when there was none. Raises like ``learn``."""

    def forget_contrary(self, account: Address, octets: bytes, junk: bool) -> Awaitable[bool]:
        """Take a lesson back if it said the contrary of ``junk``; False when there was none. Raises like ``learn``."""

    def balance(self, account: Address) -> Awaitable[tuple[int, int]]:
        """How many lessons of junk and of wanted mail the account has taught. Raises like ``learn``."""

    def self_test(self) -> Awaitable[bool]:
        """Is the filter alive? It must know the GTUBE text for junk and a plain letter for none. Never raises."""
