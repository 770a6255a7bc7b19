"""SRS: forwarding under our own name, so that SPF passes and bounces still find their way back to the sender.

SRS0=HASH=DAY=example.org=ann@ours carries the sender through us; SRS1=HASH=example.net==REST@ours wraps an address that
another forwarder has rewritten already, so that it stays short. The hash is keyed: nobody else can make an address
that we would send bounces to. Case means nothing, since some hosts on the way change it. A sender whom nothing had
proven gets an address that looks alike and leads nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import field

from mailbox_appliance.mail.address import LOCAL_PART_OCTETS, Address, AddressError
from mailbox_appliance.mail.values import dataclass

HASH_SIGNS = 8  # 40 bits: guessing costs a trillion connections
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_DAY = 86_400
_DAYS = 1024  # two signs of base 32
_NOT_PROVEN = "?"
_SRS0 = re.compile(r"srs0[=+-](.*)", re.IGNORECASE | re.DOTALL)
_SRS1 = re.compile(r"srs1[=+-](.*)", re.IGNORECASE | re.DOTALL)


class SrsError(ValueError):
    """The address cannot be rewritten or turned back; str() says why."""


class NotProvenError(SrsError):
    """We made the address, but nothing had proven the sender: a bounce might hit somebody who sent nothing."""


@dataclass(frozen=True, slots=True)
class Srs:
    """``domain`` is ours; ``keys``: the first signs, all are recognized (old ones stay while bounces may come)."""

    domain: str
    keys: tuple[bytes, ...] = field(repr=False)
    days: int = 21  # how long a rewritten address is good

    def rewrite(self, sender: Address, now: float, *, proven: bool = True) -> Address:
        """The reverse path under which we forward mail of ``sender``. Raises SrsError when it would be too long."""
        mark = "" if proven else _NOT_PROVEN
        if sender.domain == self.domain:
            return sender
        again = _SRS0.fullmatch(sender.local)
        further = _SRS1.fullmatch(sender.local)
        if again:
            local = self._srs1(sender.domain, sender.local[4:], mark)
        elif further and len(parts := further[1].split("=", 2)) == 3:
            local = self._srs1(parts[1], parts[2], mark)
        else:
            day = _day(now)
            rest = f"{day}={sender.domain}={sender.local}"
            local = f"SRS0={self._hash(self.keys[0], 'srs0' + mark, rest)}={rest}"
        if len(local.encode("utf-8", "surrogatepass")) > LOCAL_PART_OCTETS:
            raise SrsError(f"{sender} is too long to be forwarded under our own name")
        return Address(local, self.domain)

    def _srs1(self, first: str, rest: str, mark: str) -> str:
        return f"SRS1={self._hash(self.keys[0], 'srs1' + mark, f'{first}={rest}')}={first}={rest}"

    def is_rewritten(self, address: Address) -> bool:
        """Does it look like one of ours? (Whether it is one, ``restore`` says.)"""
        return address.domain == self.domain and address.local[:5].lower() in ("srs0=", "srs1=")

    def restore(self, address: Address, now: float) -> Address:
        """Whom a bounce for ``address`` is meant for. Raises SrsError: forged, expired, not made by us, not proven."""
        if not self.is_rewritten(address):
            raise SrsError(f"{address} is not one of our rewritten addresses")
        kind, mark, rest = address.local[:4].lower(), *_halves(address.local[5:])
        given = mark.upper().encode("utf-8", "surrogatepass")
        if not self._made_here(kind, rest, given):
            if self._made_here(kind + _NOT_PROVEN, rest, given):
                raise NotProvenError(f"{address} stands for a sender whom nothing had proven")
            raise SrsError(f"{address} was not made here, or was changed")
        try:
            if kind == "srs1":
                first, rest = _halves(rest)
                return Address.of("SRS0" + rest, first)
            day, rest = _halves(rest)
            age = (int(now // _DAY) - _number(day)) % _DAYS
            # One day ahead is a clock that was set; anything else that is not in the past is too old.
            if age > self.days and age != _DAYS - 1:
                raise SrsError(f"{address} has expired")
            domain, local = _halves(rest)
            return Address.of(local, domain)
        except AddressError as error:
            raise SrsError(f"{address} leads nowhere: {error}") from None

    def _made_here(self, kind: str, rest: str, given: bytes) -> bool:
        return any(hmac.compare_digest(self._hash(key, kind, rest).encode("ascii"), given) for key in self.keys)

    def _hash(self, key: bytes, kind: str, text: str) -> str:
        # The kind is proven too: else SRS0 could be made SRS1, and the day read as a domain.
        digest = hmac.new(key, f"{kind}={text}".lower().encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        return base64.b32encode(digest)[:HASH_SIGNS].decode("ascii")


def _halves(text: str) -> tuple[str, str]:
    first, found, rest = text.partition("=")
    if not found or not first:
        raise SrsError("parts of the rewritten address are missing")
    return first, rest


def _day(now: float) -> str:
    number = int(now // _DAY) % _DAYS
    return _DIGITS[number >> 5] + _DIGITS[number & 31]


def _number(day: str) -> int:
    if len(day) != 2 or any(sign not in _DIGITS for sign in day.upper()):
        raise SrsError("the day in the rewritten address cannot be read")
    return _DIGITS.index(day[0].upper()) << 5 | _DIGITS.index(day[1].upper())
