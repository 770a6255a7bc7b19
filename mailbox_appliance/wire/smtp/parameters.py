"""The parameters of MAIL and RCPT: a table of keywords each, and how their values are read.

RFC 5321 §4.1.1.11 (syntax); RFC 1870 (SIZE); RFC 6152 (BODY); RFC 3461 §4 (xtext, NOTIFY, ORCPT, RET, ENVID);
RFC 4954 §5 (AUTH); RFC 8689 §3 (REQUIRETLS); RFC 4865 §4 (HOLDFOR, HOLDUNTIL).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from mailbox_appliance.wire.smtp.mistakes import mistake

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]*")
_VALUE = re.compile(r"[\x21-\x3c\x3e-\x7e\u00a0-\U0010ffff]+")
_DIGITS = re.compile(r"[0-9]{1,20}")
Parameters = dict[str, str | None]


def parse_parameters(text: str) -> Parameters:
    """Read ``[SP keyword ["=" value]]…`` after a path; keywords come back in upper case. Raises GrammarError."""
    if not text:
        return {}
    if not text.startswith(" "):
        raise mistake(501, "5.5.4", "A space stands between the path and its parameters")
    parameters: Parameters = {}
    for word in text.split():
        keyword, equals, value = word.partition("=")
        if not _KEYWORD.fullmatch(keyword) or (equals and not _VALUE.fullmatch(value)):
            raise mistake(501, "5.5.4", "A parameter looks like KEYWORD or KEYWORD=value")
        keyword = keyword.upper()
        if keyword in parameters:
            raise mistake(501, "5.5.4", "A parameter is given twice")
        parameters[keyword] = value if equals else None
    return parameters


_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e\u00a0-\U0010ffff]|\+[0-9A-F]{2})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def xtext_decode(text: str) -> str:
    """Undo xtext (RFC 3461 §4). Raises GrammarError on bad xtext, on controls in it, and on invalid UTF-8."""
    if not _XTEXT.fullmatch(text):
        raise mistake(501, "5.5.4", "A parameter is not valid xtext")
    if "+" not in text:
        return text
    octets = re.sub(rb"\+([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), text.encode("utf-8"))
    try:
        decoded = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise mistake(501, "5.5.4", "A parameter is not valid UTF-8") from None
    if _CONTROL.search(decoded):
        raise mistake(501, "5.5.4", "A parameter holds control characters")
    return decoded


def parse_size(value: str | None) -> int:
    """SIZE=n (RFC 1870): octets. Raises GrammarError."""
    if value is None or not _DIGITS.fullmatch(value):
        raise mistake(501, "5.5.4", "SIZE wants a number of octets")
    return int(value)


def _set_size(value: str | None, given: dict[str, object]) -> None:
    given["size"] = parse_size(value)


def _set_body(value: str | None, given: dict[str, object]) -> None:
    word = (value or "").upper()
    if word not in ("7BIT", "8BITMIME"):
        raise mistake(501, "5.5.4", "BODY is 7BIT or 8BITMIME here")
    given["eight_bit"] = word == "8BITMIME"


def _set_smtputf8(value: str | None, given: dict[str, object]) -> None:
    if value is not None:
        raise mistake(501, "5.5.4", "SMTPUTF8 takes no value")
    given["smtputf8"] = True


def _set_ret(value: str | None, given: dict[str, object]) -> None:
    word = (value or "").upper()
    if word not in ("FULL", "HDRS"):
        raise mistake(501, "5.5.4", "RET is FULL or HDRS")
    given["ret"] = word


def _set_envid(value: str | None, given: dict[str, object]) -> None:
    if value is None or len(value) > 100:
        raise mistake(501, "5.5.4", "ENVID wants 1 to 100 characters")
    given["envid"] = xtext_decode(value)


def _set_auth(value: str | None, given: dict[str, object]) -> None:
    """RFC 4954 §5: who first submitted it. Nobody here trusts it, so it is checked and forgotten."""
    if value is None or len(value) > 500:
        raise mistake(501, "5.5.4", "AUTH wants a mailbox or <>")
    if value != "<>":
        xtext_decode(value)


def _set_prdr(value: str | None, given: dict[str, object]) -> None:
    if value is not None:
        raise mistake(501, "5.5.4", "PRDR takes no value")
    given["prdr"] = True


def _set_require_tls(value: str | None, given: dict[str, object]) -> None:
    if value is not None:
        raise mistake(501, "5.5.4", "REQUIRETLS takes no value")
    given["require_tls"] = True


_SECONDS = re.compile(r"[0-9]{1,9}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_HOLD_TWICE = "A message is held once: HOLDFOR or HOLDUNTIL"  # RFC 4865 §4


def _set_hold_for(value: str | None, given: dict[str, object]) -> None:
    if value is None or not _SECONDS.fullmatch(value):
        raise mistake(501, "5.5.4", "HOLDFOR wants a number of seconds")
    if "hold_until" in given:
        raise mistake(501, "5.5.4", _HOLD_TWICE)
    given["hold_for"] = int(value)


def _set_hold_until(value: str | None, given: dict[str, object]) -> None:
    try:
        moment = datetime.fromisoformat(value) if value is not None and _DATE_TIME.fullmatch(value) else None
    except ValueError:
        moment = None
    if moment is None:
        raise mistake(501, "5.5.4", "HOLDUNTIL looks like 2026-03-01T08:00:00Z")
    if "hold_for" in given:
        raise mistake(501, "5.5.4", _HOLD_TWICE)
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
        raise mistake(501, "5.5.4", "NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY")
    given["notify"] = words


_ORCPT = re.compile(r"([A-Za-z0-9\-]{1,40});(.+)")


def _set_orcpt(value: str | None, given: dict[str, object]) -> None:
    found = _ORCPT.fullmatch(value or "")
    if found is None or len(found[2]) > 500:
        raise mistake(501, "5.5.4", "ORCPT looks like rfc822;name@example.org")
    given["original"] = f"{found[1]};{xtext_decode(found[2])}"


RCPT_PARAMETERS: dict[str, tuple[str, Setter]] = {
    "NOTIFY": ("DSN", _set_notify),
    "ORCPT": ("DSN", _set_orcpt),
}


def settle(parameters: Parameters, table: dict[str, tuple[str, Setter]], offered: frozenset[str]) -> dict[str, object]:
    """The values by the names of the arguments; ``offered``: capabilities. Raises GrammarError."""
    given: dict[str, object] = {}
    for keyword, value in parameters.items():
        row = table.get(keyword)
        if row is None or row[0] not in offered:
            raise mistake(555, "5.5.4", "A parameter is not known or not offered here")  # RFC 5321 §4.1.1.11
        row[1](value, given)
    return given
