"""The language of SpamAssassin's spamd, without wires (spamd/PROTOCOL, version 1.5): a request, and its answer read.

The message goes with CRLF line ends. The answer is a status line, a few header lines of which ``Spam:`` counts, and for
SYMBOLS a line with the names of the rules that fired.
"""

from __future__ import annotations

import math
import re

from mailbox_appliance.mail.values import dataclass

LARGEST_ANSWER = 64 * 1024
_STATUS = re.compile(rb"SPAMD/[0-9.]+ +(\d{1,5}) +([^\r\n]*)")
_SPAM = re.compile(rb"(True|False|Yes|No) *; *(-?[0-9.]{1,16}) */ *(-?[0-9.]{1,16})", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9_]{1,60}")


class NoAnswer(ValueError):
    """What came is no answer of spamd, or one that says it could not do it."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """``score`` against ``threshold``, and the rules that fired."""

    score: float
    threshold: float
    rules: tuple[str, ...] = ()


def request(length: int, user: str = "") -> bytes:
    """What precedes a message of ``length`` octets."""
    lines = [b"SYMBOLS SPAMC/1.5", b"Content-length: %d" % length]
    if user and re.fullmatch(r"[A-Za-z0-9._+@-]{1,200}", user):
        lines.append(b"User: " + user.encode("ascii"))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def read_answer(octets: bytes) -> Opinion:
    """The whole answer, as it stood when spamd closed the connection. Raises NoAnswer."""
    head, empty, body = octets[:LARGEST_ANSWER].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(lines[0])
    if status is None or not empty:
        raise NoAnswer(f"spamd answered {octets[:60]!r}")
    if int(status[1]) != 0:
        raise NoAnswer(f"spamd answered {int(status[1])} {status[2][:60].decode('ascii', 'replace')}")
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"spam":
            found = _SPAM.fullmatch(value.strip())
            if found is not None:
                return Opinion(_figure(found[2]), _figure(found[3]), _rules(body))
    raise NoAnswer("spamd's answer has no Spam: line")


def _figure(octets: bytes) -> float:
    try:
        figure = float(octets)
    except ValueError:
        raise NoAnswer(f"{octets!r} is no score") from None
    if not math.isfinite(figure):
        raise NoAnswer(f"{octets!r} is no score")
    return figure


def _rules(body: bytes) -> tuple[str, ...]:
    words = body.decode("ascii", "replace").strip().split(",")
    return tuple(word.strip() for word in words[:200] if _NAME.fullmatch(word.strip()))
