"""What a refusal means and what to do about it, in the owner's words: a table, read from the top, first match wins."""

from __future__ import annotations

import re

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.smtp.client_events import Trouble


@dataclass(frozen=True, slots=True)
class Row:
    """``codes`` and ``enhanced`` are prefixes (empty: any), ``words`` a regular expression in the reply's text."""

    codes: tuple[str, ...]
    enhanced: tuple[str, ...]
    words: str
    meaning: str


_REPUTATION = (
    "the receiver does not trust our address (reputation or block list): see whether it is listed, or send through a "
    "smarthost ([relay] smarthost)"
)
TABLE: tuple[Row, ...] = (
    Row((), (), r"gr[ea]y-?list", "the receiver asks every stranger to come back later (greylisting): nothing to do"),
    Row(
        (),
        ("5.7.25", "4.7.25", "5.7.27"),
        "",
        "the receiver wants our address to have a name: set the PTR record at the provider of the address",
    ),
    Row(
        (),
        (),
        r"\bPTR\b|reverse dns|rdns|reverse lookup|reverse hostname",
        "the receiver wants our address to have a name: set the PTR record at the provider of the address",
    ),
    Row(
        (),
        ("5.7.26", "4.7.26"),
        "",
        "the receiver wants mail proved by SPF or DKIM: compare `mailappliance dns check` with what it says",
    ),
    Row(
        (),
        (),
        r"\b(dmarc|spf|dkim)\b|unauthenticated (e-?)?mail",
        "the receiver wants mail proved by SPF or DKIM: compare `mailappliance dns check` with what it says",
    ),
    Row(
        (),
        ("5.7.30",),
        "",
        "the sender asked for a protected way all along (REQUIRETLS), and this host cannot promise it",
    ),
    Row(
        ("530",),
        (),
        "",
        "the host wants a log-in: set [relay] user and password_file",
    ),
    Row(
        (),
        (),
        r"relay(ing)? (access )?(denied|not permitted|not allowed|prohibited)|not allowed to relay|unable to relay",
        "the host does not carry mail for us: log in with [relay] user and password_file, or it is the wrong host",
    ),
    Row(
        (),
        (),
        r"spamhaus|spamcop|barracuda|block ?list|black ?list|dnsbl|\brbl\b|\blisted\b|reputation|S31[45]0|"
        r"poor sender|banned|dynamic (ip|address)|residential",
        _REPUTATION,
    ),
    Row(
        (),
        ("5.7.1", "5.7.0"),
        r"spam|policy|content",
        "the receiver takes the message for unwanted: ask its postmaster why",
    ),
    Row(
        (),
        ("4.7.28", "4.7.0", "4.7.1"),
        "",
        "the receiver slows us down for now: it will be tried again",
    ),
    Row((), (), r"rate limit|too many (messages|connections)|try again later", "the receiver is busy: tried again"),
    Row(
        (),
        ("5.1.8", "5.1.7", "4.1.8"),
        "",
        "the receiver does not believe the sender's address: its domain needs an MX or A record",
    ),
    Row(
        (),
        ("5.1.1", "5.1.0", "5.1.6", "5.1.10", "5.2.1"),
        "",
        "there is no such mailbox: is the address spelled correctly?",
    ),
    Row(
        ("550", "553"),
        (),
        r"unknown|no such|does ?n.t exist|not exist|not found|invalid|unavailable|disabled",
        "there is no such mailbox: is the address spelled correctly?",
    ),
    Row((), ("5.2.2", "4.2.2"), "", "the recipient's mailbox is full: only he can mend that"),
    Row((), ("5.3.4", "5.2.3"), "", "the message is too large for the receiver: send a link instead"),
    Row(("552",), (), "", "the message is too large for the receiver, or the mailbox is full"),
    Row((), ("4.3.", "4.2.", "4.4."), "", "the receiver has trouble of its own: it will be tried again"),
)
# What is left when the table knows nothing.
_GENERAL = {4: "the receiver asks to try again later", 5: "the receiver refuses for good"}

_SESSION = {
    Trouble.CONNECT: "the host cannot be reached",
    Trouble.GREETING: _REPUTATION,
    Trouble.HELLO: "the host does not accept our name: hostname should be a public name with a PTR record",
    Trouble.NO_TLS: 'the host offers no STARTTLS: try [relay] tls = "implicit" with port 465, or ask the provider',
    Trouble.HANDSHAKE: "TLS does not come about: is the port right for [relay] tls (587 starttls, 465 implicit)?",
    Trouble.CERTIFICATE: "nothing was sent: use the name the certificate is made out to, or set [relay] trust_anchor "
    "to the root that signed it",
    Trouble.AUTH: "check [relay] user and the password in password_file; some providers want an app password",
    Trouble.NO_AUTH: "the host offers no log-in we know: is the port right (587 or 465)?",
    Trouble.PASSWORD: "put the password into the file named by [relay] password_file, mode 0600",
    Trouble.LOST: "the connection broke: tried again",
    Trouble.SLOW: "the host did not answer in time: tried again",
    Trouble.MALFORMED: "is this the right port of a mail server?",
    Trouble.BUSY: "the host is closing for now: tried again",
}
_COMPILED = tuple((row, re.compile(row.words, re.IGNORECASE)) for row in TABLE)


def meaning(reply: Reply) -> str:
    """What ``reply`` means, for the owner."""
    code = str(reply.code)
    for row, words in _COMPILED:
        if row.codes and not code.startswith(row.codes):
            continue
        if row.enhanced and not any(_begins(reply.enhanced, prefix) for prefix in row.enhanced):
            continue
        if words.search(reply.text):
            return row.meaning
    return _GENERAL.get(reply.code // 100, "")


def _begins(enhanced: str, prefix: str) -> bool:
    return enhanced.startswith(prefix) if prefix.endswith(".") else enhanced == prefix


def remedy(trouble: Trouble, reply: Reply, *, remote: bool) -> str:
    """What to do about a session that came to nothing."""
    if remote and trouble in (Trouble.BUSY, Trouble.GREETING):
        return meaning(reply)
    return _SESSION[trouble]
