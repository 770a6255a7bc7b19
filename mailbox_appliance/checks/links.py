"""Links that are not what they seem: the worst one of a message counts, once.

========= ===============================================================================================
inside    the page lies in the link itself (data:), so no list knows it
homograph a host in letters that look like a firm's name or like ours, or of two alphabets
brand     a firm's name in a host that is not the firm's
disguised the words show one address, the link leads to another
userinfo  a false host before @: https://bank.example@evil.example/
locked    it leads to an archive whose password stands in the letter: the lock is for whoever looks on the way
program   it leads to something that runs
marked    the reader's own address behind #: pages that ask for a password use it, nobody else does
number    an IP address instead of a name
short     nobody can see where it leads
========= ===============================================================================================

Where a newsletter's words show a third party's address over its own click counter nothing is said, unless that third
party is a firm whose name forgers borrow.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

from mailbox_appliance.checks.brands import brand_in_host, brand_named, is_of, is_spelt, label_of
from mailbox_appliance.checks.readable import Link, names_a_key
from mailbox_appliance.mail.address import AddressError, domain_to_ascii, domain_to_unicode
from mailbox_appliance.mail.lookalike import mixes_scripts, skeleton
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Evidence

_ORDER = ("inside", "homograph", "locked", "marked", "brand", "userinfo", "disguised", "number", "program", "short")
_AUTHORITY = re.compile(r"^[ \t]*(?:https?:)?[/\\]{2,}([^/?#\\]{1,500})", re.IGNORECASE)
_WITHIN = re.compile(r"^\s*data\s*:\s*(?!image/)", re.IGNORECASE)
_SHOWN_HOST = re.compile(
    r"(?:^|\s)(?:https?://(?:[^\s/@]{1,60}@)?|www\.)((?:[\w-]{1,63}\.){1,5}[a-zA-Z]{2,24})(?:[/:?#]|\s|$)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\]|0x[0-9a-f]{6,8}|\d{8,10}", re.IGNORECASE)
_PORT = re.compile(r":\d+$")
_RUNS = re.compile(
    r"\.(?:exe|scr|msi|msix|appx|js|jse|vbs|hta|lnk|iso|img|vhd|vhdx|bat|cmd|ps1|apk|jar|dmg)(?:[?#]|$)", re.IGNORECASE
)
_ARCHIVE = re.compile(r"\.(?:zip|rar|7z|tgz|gz|cab|ace)(?:[?#]|$)", re.IGNORECASE)
_SHORTENERS = frozenset(
    "bit.ly tinyurl.com t.ly is.gd v.gd ow.ly cutt.ly rebrand.ly rb.gy shorturl.at s.id tiny.cc bl.ink t2m.io "
    "lnkd.in qrco.de short.io shorte.st adf.ly goo.su urlz.fr u.to clck.ru kutt.it".split()
)

Registered = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom the letter is for and from: ``recipients`` as addresses in lower case; ``kin`` are registered names of
    whoever sends it (author, reverse path, HELO); ``ours`` are our own domains."""

    recipients: tuple[str, ...]
    kin: frozenset[str]
    ours: frozenset[str]
    registered: Registered


def check_links(links: Iterable[Link], text: str, reader: Reader) -> list[Evidence]:
    """One piece of evidence for the worst link; ``text`` is what is seen of the letter."""
    found: dict[str, str] = {}
    for link in links:
        for result, reason in judge_link(link, text, reader):
            found.setdefault(result, reason)
    for result in _ORDER:
        if result in found:
            return [Evidence("link", result, reason=found[result][:250], remedy="the letter without that link")]
    return []


def judge_link(link: Link, text: str, reader: Reader) -> Iterator[tuple[str, str]]:
    """Everything that is wrong with one link."""
    if _WITHIN.match(link.target):
        yield "inside", "a link carries its page within itself"
        return
    match = _AUTHORITY.match(link.target)
    if match is None:
        return
    user, at, place = unquote(match[1]).rpartition("@")
    host = place.rpartition(":")[0] if _PORT.search(place) else place
    if _NUMBER.fullmatch(host):
        yield "number", f"a link leads to {host[:60]}, an address instead of a name"
        return
    try:
        host = domain_to_ascii(host.strip("."))
    except AddressError:
        return
    home = reader.registered(host)
    if at and "." in user:
        yield "userinfo", f"a link shows {user[:80]} and leads to {home}"
    if home not in reader.ours:
        yield from _false_name(host, home, reader)
        yield from _false_words(link, home, reader)
        yield from _marked(link.target, home, reader)
    path = link.target.partition("//")[2].partition("/")[2]
    if _RUNS.search(path):
        yield "program", f"a link to a program at {home}"
    elif _ARCHIVE.search(path) and home not in reader.ours and names_a_key(text):
        yield "locked", f"a link to an archive at {home}, and its password in the letter"
    if host in _SHORTENERS:
        yield "short", f"{host} hides where the link leads"


def _false_name(host: str, home: str, reader: Reader) -> Iterator[tuple[str, str]]:
    shown = domain_to_unicode(host)
    brand = brand_in_host(shown, home)
    if mixes_scripts(shown):
        yield "homograph", f"a link leads to {shown[:80]} ({home}), in letters of two alphabets"
    elif brand and not is_spelt(brand, shown):
        yield "homograph", f"a link leads to {shown[:80]} ({home}), which looks like {brand}"
    elif brand and home not in reader.kin:
        yield "brand", f"a link leads to {host[:80]}, which bears the name of {brand} and is not theirs"
    else:
        for one in reader.ours:
            if len(label_of(one)) > 3 and skeleton(domain_to_unicode(home)) == skeleton(domain_to_unicode(one)):
                yield "homograph", f"a link leads to {home}, which looks like {one}"


def _false_words(link: Link, home: str, reader: Reader) -> Iterator[tuple[str, str]]:
    match = _SHOWN_HOST.search(link.shown)
    if match is None:
        return
    shown = reader.registered(match[1].lower().removeprefix("www."))
    if shown == home:
        return
    brand = brand_named(label_of(shown))
    is_firm = bool(brand) and is_of(brand, shown, shown)
    is_foreign = shown not in reader.kin and (home not in reader.kin or (is_firm and not is_of(brand, home, home)))
    if shown in reader.ours or is_foreign:
        yield "disguised", f"the words show {shown}, the link leads to {home}"


def _marked(target: str, home: str, reader: Reader) -> Iterator[tuple[str, str]]:
    fragment = unquote(target.partition("#")[2]).lower()
    if len(fragment) < 6 or home in reader.kin:
        return
    plain = fragment + " " + _decoded(target.partition("#")[2])
    if any(one in plain for one in reader.recipients):
        yield "marked", f"a link to {home} bears the reader's own address behind #"


def _decoded(fragment: str) -> str:
    word = fragment.strip("?=/&")[:300]
    try:
        return base64.b64decode(word + "=" * (-len(word) % 4)).decode("ascii").lower()
    except (binascii.Error, ValueError):
        return ""
