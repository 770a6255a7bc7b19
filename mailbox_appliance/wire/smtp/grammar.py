"""The grammar of SMTP commands by the RFC's rule names: what stands behind each verb.

RFC 5321 §4.1.1; RFC 6531 §3.3 (UTF-8 in paths); RFC 3030 §2 (BDAT); RFC 4954 §4 (AUTH). What paths and parameters look
like is read in ``paths`` and ``parameters``, what XCLIENT says in ``claims``.

Text comes in as ``str`` that holds no controls (the server's line reader saw to that) and at most one command line, so
every rule here is linear in at most 12,288 characters.
"""

from __future__ import annotations

import re

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.smtp.mistakes import GrammarError, mistake
from mailbox_appliance.wire.smtp.parameters import MAIL_PARAMETERS, RCPT_PARAMETERS, parse_parameters, settle
from mailbox_appliance.wire.smtp.paths import parse_forward_path, parse_reverse_path


@dataclass(frozen=True, slots=True)
class MailArguments:
    """MAIL: the reverse path and what was asked for. ``size`` 0 = not said."""

    reverse_path: Address | None
    size: int = 0
    eight_bit: bool = False
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    prdr: bool = False
    require_tls: bool = False
    hold_for: int = 0  # seconds; 0 = not said
    hold_until: float = 0.0  # epoch seconds; 0 = not said


def _after_colon(text: str, word: str) -> str:
    if text[: len(word)].upper() != word:
        raise mistake(501, "5.5.4", f"Write {word}<name@example.org>")
    return text[len(word) :].lstrip(" ")


_NON_ASCII = Reply(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8")  # RFC 6531 §3.5


def parse_mail(text: str, offered: frozenset[str]) -> MailArguments:
    """The argument of MAIL. ``offered``: capabilities whose parameters are allowed. Raises GrammarError."""
    rest = _after_colon(text, "FROM:")
    reverse_path, tail = parse_reverse_path(rest)
    given = settle(parse_parameters(tail), MAIL_PARAMETERS, offered) if tail else {}
    if not rest.isascii() and "smtputf8" not in given:
        raise GrammarError(_NON_ASCII)
    return MailArguments(reverse_path, **given)  # type: ignore[arg-type]


def parse_rcpt(text: str, offered: frozenset[str], smtputf8: bool) -> Recipient:
    """The argument of RCPT; ``smtputf8``: MAIL asked for it. Raises GrammarError."""
    rest = _after_colon(text, "TO:")
    forward_path, tail = parse_forward_path(rest)
    if not smtputf8 and not rest.isascii():
        raise GrammarError(_NON_ASCII)
    if not tail:
        return Recipient(forward_path)
    given = settle(parse_parameters(tail), RCPT_PARAMETERS, offered)
    return Recipient(forward_path, **given)  # type: ignore[arg-type]


_HELLO_UNSAFE = re.compile(r"[^A-Za-z0-9._:\[\]\-]")


def parse_hello(text: str) -> str:
    """What the peer calls itself, never trusted (RFC 5321 §4.1.4): odd characters become "?". Raises GrammarError.

    Real clients say things that are no domain name, and refusing them helps nobody; nothing but the safe characters
    can reach a Received field or the journal.
    """
    word = text.strip().partition(" ")[0]
    if not word or len(word) > 255:
        raise mistake(501, "5.5.4", "Say your name: EHLO host.example.org")
    return _HELLO_UNSAFE.sub("?", word)


@dataclass(frozen=True, slots=True)
class ChunkArguments:
    """BDAT: how many octets follow the command line, and whether they are the last of the message."""

    size: int
    last: bool


_BDAT = re.compile(r"([0-9]{1,20})( +LAST)? *", re.IGNORECASE)


def parse_bdat(text: str) -> ChunkArguments:
    """BDAT SP chunk-size [SP LAST] (RFC 3030 §2). Raises GrammarError; then nobody knows where the next command is."""
    found = _BDAT.fullmatch(text)
    if found is None:
        raise mistake(501, "5.5.4", "BDAT wants a number of octets; closing, since the chunk cannot be told apart")
    return ChunkArguments(int(found[1]), found[2] is not None)


@dataclass(frozen=True, slots=True)
class AuthArguments:
    """AUTH: the mechanism in upper case and the initial response as it was sent (base64, "=" for an empty one)."""

    mechanism: str
    initial: str | None


_AUTH = re.compile(r"([A-Za-z0-9\-_]{1,20})(?: +([A-Za-z0-9+/=]+))? *")


def parse_auth(text: str) -> AuthArguments:
    """AUTH mechanism [initial-response] (RFC 4954 §4). Raises GrammarError."""
    found = _AUTH.fullmatch(text)
    if found is None:
        raise mistake(501, "5.5.4", "AUTH wants a mechanism and at most one base64 response")
    return AuthArguments(found[1].upper(), found[2])


def no_argument(text: str) -> None:
    """DATA, RSET, QUIT, STARTTLS take none. Raises GrammarError."""
    if text:
        raise mistake(501, "5.5.4", "This command takes no argument")


def some_argument(text: str) -> str:
    """VRFY and EXPN want one. Raises GrammarError."""
    if not text:
        raise mistake(501, "5.5.4", "This command wants an argument")
    return text
