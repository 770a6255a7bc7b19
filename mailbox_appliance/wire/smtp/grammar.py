"""The grammar of SMTP commands by the RFC's rule names: paths, parameters, xtext.

RFC 5321 §4.1.2 (paths), §4.1.1.11 (parameters); RFC 6531 §3.3 (UTF-8 in paths); RFC 1870 (SIZE);
RFC 6152 (BODY); RFC 3461 §4 (xtext, NOTIFY, ORCPT, RET, ENVID); RFC 3030 §2 (BDAT); RFC 4954 §4–5 (AUTH);
RFC 8689 §3 (REQUIRETLS); RFC 4865 §4 (HOLDFOR, HOLDUNTIL). What XCLIENT says is read in ``claims``.

Text comes in as ``str`` that holds no controls (the server's line reader saw to that) and at most one command line, so
every rule here is linear in at most 12,288 characters.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import datetime

from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass


class GrammarError(ValueError):
    """What was said is no SMTP; ``reply`` is the answer it deserves."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def _error(code: int, enhanced: str, text: str) -> GrammarError:
    return GrammarError(Reply(code, enhanced, text))


# ---------------------------------------------------------------- paths

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
# qtextSMTP and quoted-pairSMTP; UTF-8 by RFC 6531 §3.3.
_QUOTED_STRING = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"'
_DOMAIN = r"(?:\[[0-9A-Za-z:.\-]*\]|[A-Za-z0-9._\-\u0080-\U0010ffff]+)"
_SOURCE_ROUTE = rf"@{_DOMAIN}(?:,@{_DOMAIN})*:"
_PATH = re.compile(rf"<(?:{_SOURCE_ROUTE})?({_DOT_STRING}|{_QUOTED_STRING})@({_DOMAIN})>")
_BARE_POSTMASTER = re.compile("<postmaster>", re.IGNORECASE)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def unquote_local_part(local: str) -> str:
    r"""The meaning of a local part: ``"a\"b"`` is ``a"b``, ``"ann"`` is ``ann`` (RFC 5321 §4.1.2)."""
    return _QUOTED_PAIR.sub(r"\1", local[1:-1]) if local.startswith('"') else local


def _check_literal(domain: str) -> None:
    inside = domain[1:-1]
    try:
        if inside[:5].lower() == "ipv6:":
            ipaddress.IPv6Address(inside[5:])
        else:
            ipaddress.IPv4Address(inside)
    except ValueError:
        raise _error(501, "5.1.3", "An address literal looks like [192.0.2.1] or [IPv6:2001:db8::1]") from None


def parse_path(text: str, what: str = "path") -> tuple[Address, str]:
    """Read one non-null Path at the start of ``text``; returns it and what follows. Raises GrammarError.

    A source route is accepted and dropped (RFC 5321 appendix C).
    """
    found = _PATH.match(text)
    if found is None:
        raise _error(501, "5.5.4", f"The {what} must look like <name@example.org>")
    local, domain = found[1], found[2]
    if domain.startswith("["):
        _check_literal(domain)
    try:
        return Address.of(unquote_local_part(local), domain), text[found.end() :]
    except AddressError:
        raise _error(501, "5.1.3", f"The {what} is too long or not a valid address") from None


def parse_reverse_path(text: str) -> tuple[Address | None, str]:
    """Reverse-path = Path / "<>"; None is the null path. Raises GrammarError."""
    if text.startswith("<>"):
        return None, text[2:]
    return parse_path(text, "reverse path")


def parse_forward_path(text: str) -> tuple[Address, str]:
    """Forward-path = Path / "<Postmaster>" (RFC 5321 §4.1.1.3); the bare one has domain ''. Raises GrammarError."""
    bare = _BARE_POSTMASTER.match(text)
    if bare is not None:
        return Address("postmaster", ""), text[bare.end() :]
    return parse_path(text, "forward path")


def show_path(address: Address | None) -> str:
    """The path as it is said in a command: ``<ann@example.org>``, ``<>``, ``<postmaster>``."""
    if address is None:
        return "<>"
    return f"<{address}>" if address.domain else f"<{address.quoted_local}>"


# ---------------------------------------------------------------- ESMTP parameters

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]*")
_VALUE = re.compile(r"[\x21-\x3c\x3e-\x7e\u00a0-\U0010ffff]+")
_DIGITS = re.compile(r"[0-9]{1,20}")

Parameters = dict[str, str | None]


def parse_parameters(text: str) -> Parameters:
    """Read ``[SP keyword ["=" value]]…`` after a path; keywords come back in upper case. Raises GrammarError."""
    if not text:
        return {}
    if not text.startswith(" "):
        raise _error(501, "5.5.4", "A space stands between the path and its parameters")
    parameters: Parameters = {}
    for word in text.split():
        keyword, equals, value = word.partition("=")
        if not _KEYWORD.fullmatch(keyword) or (equals and not _VALUE.fullmatch(value)):
            raise _error(501, "5.5.4", "A parameter looks like KEYWORD or KEYWORD=value")
        keyword = keyword.upper()
        if keyword in parameters:
            raise _error(501, "5.5.4", "A parameter is given twice")
        parameters[keyword] = value if equals else None
    return parameters


_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e\u00a0-\U0010ffff]|\+[0-9A-F]{2})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def xtext_decode(text: str) -> str:
    """Undo xtext (RFC 3461 §4). Raises GrammarError on bad xtext, on controls in it, and on invalid UTF-8."""
    if not _XTEXT.fullmatch(text):
        raise _error(501, "5.5.4", "A parameter is not valid xtext")
    if "+" not in text:
        return text
    octets = re.sub(rb"\+([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), text.encode("utf-8"))
    try:
        decoded = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise _error(501, "5.5.4", "A parameter is not valid UTF-8") from None
    if _CONTROL.search(decoded):
        raise _error(501, "5.5.4", "A parameter holds control characters")
    return decoded


def xtext_encode(text: str) -> str:
    """Make xtext (RFC 3461 §4): what is not printable ASCII, and ``+`` and ``=``, becomes ``+XX``."""
    return "".join(
        chr(octet) if 0x21 <= octet <= 0x7E and octet not in (0x2B, 0x3D) else f"+{octet:02X}"
        for octet in text.encode("utf-8")
    )


def parse_size(value: str | None) -> int:
    """SIZE=n (RFC 1870): octets. Raises GrammarError."""
    if value is None or not _DIGITS.fullmatch(value):
        raise _error(501, "5.5.4", "SIZE wants a number of octets")
    return int(value)


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


def _set_size(value: str | None, given: dict[str, object]) -> None:
    given["size"] = parse_size(value)


def _set_body(value: str | None, given: dict[str, object]) -> None:
    word = (value or "").upper()
    if word not in ("7BIT", "8BITMIME"):
        raise _error(501, "5.5.4", "BODY is 7BIT or 8BITMIME here")
    given["eight_bit"] = word == "8BITMIME"


def _set_smtputf8(value: str | None, given: dict[str, object]) -> None:
    if value is not None:
        raise _error(501, "5.5.4", "SMTPUTF8 takes no value")
    given["smtputf8"] = True


def _set_ret(value: str | None, given: dict[str, object]) -> None:
    word = (value or "").upper()
    if word not in ("FULL", "HDRS"):
        raise _error(501, "5.5.4", "RET is FULL or HDRS")
    given["ret"] = word


def _set_envid(value: str | None, given: dict[str, object]) -> None:
    if value is None or len(value) > 100:
        raise _error(501, "5.5.4", "ENVID wants 1 to 100 characters")
    given["envid"] = xtext_decode(value)


def _set_auth(value: str | None, given: dict[str, object]) -> None:
    """RFC 4954 §5: who first submitted it. Nobody here trusts it, so it is checked and forgotten."""
    if value is None or len(value) > 500:
        raise _error(501, "5.5.4", "AUTH wants a mailbox or <>")
    if value != "<>":
        xtext_decode(value)


def _set_prdr(value: str | None, given: dict[str, object]) -> None:
    if value is not None:
        raise _error(501, "5.5.4", "PRDR takes no value")
    given["prdr"] = True


def _set_require_tls(value: str | None, given: dict[str, object]) -> None:
    if value is not None:
        raise _error(501, "5.5.4", "REQUIRETLS takes no value")
    given["require_tls"] = True


_SECONDS = re.compile(r"[0-9]{1,9}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_HOLD_TWICE = "A message is held once: HOLDFOR or HOLDUNTIL"  # RFC 4865 §4


def _set_hold_for(value: str | None, given: dict[str, object]) -> None:
    if value is None or not _SECONDS.fullmatch(value):
        raise _error(501, "5.5.4", "HOLDFOR wants a number of seconds")
    if "hold_until" in given:
        raise _error(501, "5.5.4", _HOLD_TWICE)
    given["hold_for"] = int(value)


def _set_hold_until(value: str | None, given: dict[str, object]) -> None:
    try:
        moment = datetime.fromisoformat(value) if value is not None and _DATE_TIME.fullmatch(value) else None
    except ValueError:
        moment = None
    if moment is None:
        raise _error(501, "5.5.4", "HOLDUNTIL looks like 2026-03-01T08:00:00Z")
    if "hold_for" in given:
        raise _error(501, "5.5.4", _HOLD_TWICE)
    given["hold_until"] = moment.timestamp()


Setter = Callable[[str | None, dict[str, object]], None]
# keyword: (the capability under which it is offered, how its value is read). A new extension is a new row.
MAIL_PARAMETERS: dict[str, tuple[str, Setter]] = {
    "SIZE": ("SIZE", _set_size),
    "BODY": ("8BITMIME", _set_body),
    "SMTPUTF8": ("SMTPUTF8", _set_smtputf8),
    "RET": ("DSN", _set_ret),
    "ENVID": ("DSN", _set_envid),
    "AUTH": ("AUTH", _set_auth),
    "PRDR": ("PRDR", _set_prdr),
    "REQUIRETLS": ("REQUIRETLS", _set_require_tls),
    "HOLDFOR": ("FUTURERELEASE", _set_hold_for),
    "HOLDUNTIL": ("FUTURERELEASE", _set_hold_until),
}


def _set_notify(value: str | None, given: dict[str, object]) -> None:
    words = frozenset((value or "").upper().split(","))
    if not words <= {"NEVER", "SUCCESS", "FAILURE", "DELAY"} or ("NEVER" in words and len(words) > 1):
        raise _error(501, "5.5.4", "NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY")
    given["notify"] = words


_ORCPT = re.compile(r"([A-Za-z0-9\-]{1,40});(.+)")


def _set_orcpt(value: str | None, given: dict[str, object]) -> None:
    found = _ORCPT.fullmatch(value or "")
    if found is None or len(found[2]) > 500:
        raise _error(501, "5.5.4", "ORCPT looks like rfc822;name@example.org")
    given["original"] = f"{found[1]};{xtext_decode(found[2])}"


RCPT_PARAMETERS: dict[str, tuple[str, Setter]] = {
    "NOTIFY": ("DSN", _set_notify),
    "ORCPT": ("DSN", _set_orcpt),
}


def _settle(parameters: Parameters, table: dict[str, tuple[str, Setter]], offered: frozenset[str]) -> dict[str, object]:
    given: dict[str, object] = {}
    for keyword, value in parameters.items():
        row = table.get(keyword)
        if row is None or row[0] not in offered:
            raise _error(555, "5.5.4", "A parameter is not known or not offered here")  # RFC 5321 §4.1.1.11
        row[1](value, given)
    return given


def _after_colon(text: str, word: str) -> str:
    if text[: len(word)].upper() != word:
        raise _error(501, "5.5.4", f"Write {word}<name@example.org>")
    return text[len(word) :].lstrip(" ")


_NON_ASCII = Reply(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8")  # RFC 6531 §3.5


def parse_mail(text: str, offered: frozenset[str]) -> MailArguments:
    """The argument of MAIL. ``offered``: capabilities whose parameters are allowed. Raises GrammarError."""
    rest = _after_colon(text, "FROM:")
    reverse_path, tail = parse_reverse_path(rest)
    given = _settle(parse_parameters(tail), MAIL_PARAMETERS, offered) if tail else {}
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
    given = _settle(parse_parameters(tail), RCPT_PARAMETERS, offered)
    return Recipient(forward_path, **given)  # type: ignore[arg-type]


# ---------------------------------------------------------------- other commands

_HELLO_UNSAFE = re.compile(r"[^A-Za-z0-9._:\[\]\-]")


def parse_hello(text: str) -> str:
    """What the peer calls itself, never trusted (RFC 5321 §4.1.4): odd characters become "?". Raises GrammarError.

    Real clients say things that are no domain name, and refusing them helps nobody; nothing but the safe characters
    can reach a Received field or the journal.
    """
    word = text.strip().partition(" ")[0]
    if not word or len(word) > 255:
        raise _error(501, "5.5.4", "Say your name: EHLO host.example.org")
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
        raise _error(501, "5.5.4", "BDAT wants a number of octets; closing, since the chunk cannot be told apart")
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
        raise _error(501, "5.5.4", "AUTH wants a mechanism and at most one base64 response")
    return AuthArguments(found[1].upper(), found[2])


def no_argument(text: str) -> None:
    """DATA, RSET, QUIT, STARTTLS take none. Raises GrammarError."""
    if text:
        raise _error(501, "5.5.4", "This command takes no argument")


def some_argument(text: str) -> str:
    """VRFY and EXPN want one. Raises GrammarError."""
    if not text:
        raise _error(501, "5.5.4", "This command wants an argument")
    return text
