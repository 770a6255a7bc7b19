"""Signing keys as `dns rotate` and the letters to owners show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mailbox_appliance.mailauth.forms import form_line
from mailbox_appliance.mailauth.publish import MUST, STRING_OCTETS, DnsRecord, split_text


class KeyRecord(Protocol):
    """What one signing key needs published."""

    @property
    def name(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def made(self) -> float: ...


def key_lines(keys: Iterable[KeyRecord], domain: str) -> list[str]:
    """Records of keys, one by one for copying, as `dns records` shows them."""
    lines = []
    for one in keys:
        lines += ["", f"TXT {one.name}", f"   {one.text}"]
        if len(one.text) > STRING_OCTETS:
            lines += [
                "   where the provider's form takes no more than 255 characters a piece:",
                f"   {split_text(one.text)}",
            ]
        lines.append(f"   {form_line(DnsRecord(MUST, one.name, 'TXT', one.text, ''), domain)}")
    return lines


def after_rotation(domain: str) -> tuple[str, ...]:
    """What happens then."""
    return (
        "The old keys go on signing. The new ones take over a day after `mailappliance dns check` (or the daily look)",
        "has seen their records. Leave the old records where they are: two weeks later you hear that they may go.",
        f"when it is done: mailappliance dns check {domain}",
    )
