"""Routes that learn: a provider which refuses our address for its reputation gets its mail by the smarthost for a week.

A home connection or a fresh server is distrusted by large providers whatever it sends. Only refusals for good count,
and only those about our address or our proof, never about one message's content or one mailbox.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from mailbox_appliance.journal.events.relay import ProviderRefusesUs
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.relay.memory import Learned, RelayMemory
from mailbox_appliance.relay.mx import Found
from mailbox_appliance.relay.refusals import meaning

# From subject and text to a letter in the owner's mailbox.
Notice = Callable[[str, str], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Row:
    """A refusal of our address: ``enhanced`` (empty: any) and ``words`` in the text, a regular expression."""

    enhanced: tuple[str, ...]
    words: str
    who: str


# Read from the top, first match wins; all are 5yz replies.
REFUSALS: tuple[Row, ...] = (
    Row(("5.7.26",), "", "Google: neither SPF nor DKIM convinces it"),
    Row(("5.7.25", "5.7.27"), "", "no PTR record, or no SPF, for our address"),
    Row((), r"not authorized to send email directly|unsolicited mail originating from your ip", "Google"),
    Row((), r"low reputation of the (sending )?(domain|ip)|suspicious due to the (very )?low reputation", "Google"),
    Row((), r"part of their network is on our block list|\bS31[45]0\b|\bS775\b", "Outlook.com"),
    Row((), r"banned sending ip|\b5\.7\.(511|606|708)\b|\bAS\(\d+\)|FBLW\d\d", "Microsoft 365"),
    Row((), r"\[?(TSS|TS|PH|BL)\d\d\]?.*(yahoo|aol)|yahoo.*(complaints|permanently deferred)", "Yahoo, AOL"),
    Row(
        (),
        r"\[?(CS|HM)0\d\]?.*(icloud|apple)|blocked by (proofpoint|cloudmark)|ipcheck\.proofpoint",
        "Apple, Proofpoint",
    ),
    Row((), r"tosa@rx\.t-online\.de|IP=\S+ - (a problem|none/bad reputation)", "T-Online"),
    Row(
        (),
        r"bad dns ptr resource record|ip address is (black|block) ?listed|postmaster\.(gmx|web|1und1|mail)",
        "GMX, web.de",
    ),
    Row((), r"spamhaus|spamcop|barracudacentral|sorbs|abusix|uceprotect|mailspike|invaluement", "a block list"),
    Row((), r"(client|host|address|ip)\b.{0,80}\b(is )?(block|black|deny) ?-?listed", "a block list"),
    Row((), r"(client|host|address|ip|server)\b.{0,80}\bblocked (using|by|due to|for)", "a block list"),
    Row(
        (),
        r"\b(dynamic|residential|dial-?up)\b.{0,40}\b(ip|address|host|range)|poor reputation|bad reputation",
        "reputation",
    ),
)
_COMPILED = tuple((row, re.compile(row.words, re.IGNORECASE | re.DOTALL)) for row in REFUSALS)
_MOST_TEXT = 2000
# Second-level names under which everybody has a domain: co.uk, com.au, ne.jp …
_PUBLIC = frozenset("ac co com edu go gob gov mil ne net nom or org".split())


def is_reputation(reply: Reply) -> bool:
    """Is our address refused for good, whatever the message?"""
    if not reply.is_permanent:
        return False
    text = reply.text[:_MOST_TEXT]
    return any((not row.enhanced or reply.enhanced in row.enhanced) and words.search(text) for row, words in _COMPILED)


def provider_of(host: str) -> str:
    """Whose exchanger ``host`` is: ``alt1.gmail-smtp-in.l.google.com`` is google.com's."""
    labels = host.split(".")
    if len(labels) >= 3 and len(labels[-1]) == 2 and labels[-2] in _PUBLIC:
        return ".".join(labels[-3:])
    return ".".join(labels[-2:])


class Providers:
    """``notice`` writes to the owner; None: the journal alone tells."""

    def __init__(
        self, memory: RelayMemory, clock: Clock, journal: FullJournal, seconds: float, notice: Notice | None
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._journal = journal
        self._seconds = seconds
        self._notice = notice

    def refusing(self, found: Found) -> Learned | None:
        """Why mail to these exchangers goes by the smarthost just now; None when it may go direct."""
        if not found.targets:
            return None
        return self._memory.learned(provider_of(found.targets[0].host), self._clock.seconds())

    def learn(self, host: str, outcome: Outcome, smarthost: str) -> None:
        """``host`` has refused our address. ``smarthost`` "" : there is no other way, which the owner should know."""
        provider, now = provider_of(host), self._clock.seconds()
        if self._memory.learned(provider, now) is not None:
            return
        reply = str(outcome.reply)[:500]
        self._memory.learn(provider, Learned(now + self._seconds, reply))
        remedy = meaning(outcome.reply)
        days = round(self._seconds / 86_400)
        self._journal.tell(
            ProviderRefusesUs(provider=provider, reply=reply, smarthost=smarthost, days=days, remedy=remedy)
        )
        if self._notice is not None:
            subject, text = _letter(provider, reply, smarthost, days, remedy)
            Deferred.fromCoroutine(self._tell_owner(self._notice, subject, text))

    async def _tell_owner(self, notice: Notice, subject: str, text: str) -> None:
        try:
            await notice(subject, text)
        except Exception as error:  # noqa: BLE001 - a letter must not harm the mail it is about
            self._journal.broken("relay", error)


def _letter(provider: str, reply: str, smarthost: str, days: int, remedy: str) -> tuple[str, str]:
    done = (
        f"For the next {days} days mail to {provider} goes through the smarthost {smarthost}; the refused message went "
        "that way too. Then it is tried direct again."
        if smarthost
        else "There is no smarthost to fall back to, so the sender was told that the message could not be delivered. "
        "Set [relay] smarthost beside direct = true, with fallback_after = 0, and such mail will go through it."
    )
    text = (
        f"{provider} refuses mail from this server because of the server's address, not because of the message.\n\n"
        f"It said:\n\n  {reply}\n\nWhat that means: {remedy}.\n\n{done}\n"
    )
    return f"{provider} refuses mail from this server", text
