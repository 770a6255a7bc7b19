"""MTA-STS as a language: the TXT record that says a policy exists, the policy itself, and the names it covers.

Fetching and keeping policies is ``relay/mtasts``; here are only texts (RFC 8461 §3.1, §3.2, §4.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailbox_appliance.mail.address import AddressError, domain_to_ascii
from mailbox_appliance.mail.values import dataclass

POLICY_OCTETS = 65_536
MOST_PATTERNS = 256
LONGEST_AGE = 31_557_600  # RFC 8461 §3.2: about a year
MODES = ("enforce", "testing", "none")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")


class PolicyError(ValueError):
    """The policy breaks RFC 8461 §3.2; str() says where."""


@dataclass(frozen=True, slots=True)
class Policy:
    """``mode`` is "enforce", "testing" or "none"; ``max_age`` seconds; ``mx`` host names, or ``*.`` before one."""

    mode: str
    max_age: int
    mx: tuple[str, ...] = ()

    def covers(self, host: str) -> bool:
        """May mail go to the exchanger ``host`` (A-labels, lower case)? ``*`` stands for one label (§4.1)."""
        parent = host.partition(".")[2]
        return any(pattern == host or (pattern[:2] == "*." and pattern[2:] == parent) for pattern in self.mx)

    def lines(self) -> tuple[str, ...]:
        """The policy as a TLS report repeats it (RFC 8460 §4.4, policy-string)."""
        return (
            "version: STSv1",
            f"mode: {self.mode}",
            *(f"mx: {pattern}" for pattern in self.mx),
            f"max_age: {self.max_age}",
        )


def read_record(records: Iterable[object]) -> str:
    """The policy's id out of the TXT records of ``_mta-sts.DOMAIN``; "" when there is no policy (§3.1)."""
    ours = [record for record in records if isinstance(record, bytes) and record.startswith(b"v=STSv1;")]
    if len(ours) != 1:
        return ""  # none, or several: which one was meant?
    identity = ""
    for field in ours[0].decode("latin-1").split(";")[1:]:
        name, equals, value = field.strip(" \t").partition("=")
        if equals and name.rstrip(" \t") == "id" and not identity:
            identity = value.lstrip(" \t")
    return identity if _ID.fullmatch(identity) else ""


def read_policy(octets: bytes) -> Policy:
    """Read a policy file. Of a field that stands twice the first one counts; unknown fields are passed over (§3.2).

    Raises PolicyError.
    """
    if len(octets) > POLICY_OCTETS:
        raise PolicyError("the policy is too long")
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyError("the policy is not text") from None
    fields: dict[str, str] = {}
    patterns: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        name, colon, value = line.strip(" \t").partition(":")
        name, value = name.rstrip(" \t"), value.strip(" \t")
        if not name and not colon:
            continue  # an empty line
        if not colon:
            raise PolicyError(f"the line {line[:40]!r} has no colon")
        if name != "mx":
            fields.setdefault(name, value)
        elif len(patterns) < MOST_PATTERNS:
            patterns.append(_pattern(value))
        else:
            raise PolicyError(f"the policy names more than {MOST_PATTERNS} mail hosts")
    if fields.get("version") != "STSv1":
        raise PolicyError("the policy is not of version STSv1")
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    if mode not in MODES:
        raise PolicyError(f"the mode {mode[:20]!r} is none of {', '.join(MODES)}")
    if not re.fullmatch(r"\d{1,10}", age, re.ASCII):
        raise PolicyError(f"max_age {age[:20]!r} is no number of seconds")
    if mode != "none" and not patterns:
        raise PolicyError("the policy names no mail host")
    return Policy(mode, min(int(age), LONGEST_AGE), tuple(patterns))


def _pattern(text: str) -> str:
    stars = "*." if text.startswith("*.") else ""
    try:
        return stars + domain_to_ascii(text.removeprefix("*."))
    except AddressError:
        raise PolicyError(f"mx {text[:60]!r} is no host name") from None
