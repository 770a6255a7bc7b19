"""What a message looks like before its words are read: who it says it is from, its fields, its parts.

Read are only fields whose meaning is the same everywhere. Left out, because they tell of the road or the day rather
than of the message: Received, Delivered-To, Return-Path, List-*, X-* (but priority), Sender, Errors-To, Precedence,
the names of mail programs, the value of Date, the host of a Message-ID, and the names in To and Cc.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from mailbox_appliance.junk.urls import registered
from mailbox_appliance.mail.addresses import Mailbox, addresses_of
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.header import unfold
from mailbox_appliance.mail.mime_scan import Node

MOST_PARTS = 64  # of which the shape is told

_PRESENT = (
    (b"reply-to", b"has reply-to"),
    (b"cc", b"has cc"),
    (b"bcc", b"has bcc"),
    (b"x-priority", b"has priority"),
    (b"importance", b"has priority"),
    (b"organization", b"has organization"),
    (b"mime-version", b"has mime"),
    (b"apparently-to", b"has apparently-to"),
)
_NEEDED = (
    (b"from", b"no from"),
    (b"to", b"no to"),
    (b"date", b"no date"),
    (b"message-id", b"no message-id"),
    (b"subject", b"no subject"),
)
_LIST_TAG = re.compile(r"\[[^\]\s]{1,24}(?: [^\]\s]{1,12})?\]")
_WRITTEN = re.compile(
    rb"^(from|to|subject|date|message-id|mime-version|content-type|content-transfer-encoding|reply-to|cc|x-priority)"
    rb"[ \t]*:",
    re.MULTILINE | re.IGNORECASE,
)
_SHAPED = re.compile(rb"[A-Za-z0-9]+")
_DATE_SHAPE = re.compile(
    rb"(\w{3},)?\s*\d{1,2}[ -]\w{3}[ -]\d{2,4}\s+\d{1,2}:\d{2}(:\d{2})?\s*([+-]\d{3,5}|[A-Za-z]{1,5})?\s*(\()?"
)
_RECEIVED_FROM = re.compile(
    rb"\bfrom\s+(?:\(?helo[= ])?([^\s()]{1,200})(?:\s+\((?:[^()@]*@)?(?:helo[= ]?)?([^\s()\[\]]{1,200})?)?",
    re.IGNORECASE,
)
_DIGITS = re.compile(rb"[0-9]")
_RANDOM_TAIL = re.compile(
    r"\s{4,}\S+\s*$|\s[\[({]?[a-z0-9]*(?:[0-9][a-z]+[0-9]|[bcdfghjklmnpqrstvwxz]{6})[a-z0-9]*[\])}]?\s*$"
)
_RISKY = frozenset("exe scr pif com bat cmd vbs js jse wsf hta lnk iso img jar msi ps1 xlsm docm html htm svg".split())

Fields = dict[bytes, list[bytes]]


def _value(fields: Fields, name: bytes) -> bytes:
    values = fields.get(name)
    return unfold(values[0][:2000]).strip() if values else b""


def _one(value: bytes) -> Mailbox | None:
    for mailbox in addresses_of(value):
        if mailbox.is_whole:
            return mailbox
    return None


def subject_of(fields: Fields) -> str:
    """The subject as people read it, without the tags of mailing lists."""
    return _LIST_TAG.sub(" ", decode_words(_value(fields, b"subject")))[:400]


def header_tokens(fields: Fields, subject: str, header: bytes) -> list[bytes]:
    """Facts about the header block."""
    out = [fact for name, fact in _PRESENT if name in fields]
    out += [fact for name, fact in _NEEDED if name not in fields]
    is_reply = b"in-reply-to" in fields or b"references" in fields
    if is_reply:
        out.append(b"answers")
    sender = _one(_value(fields, b"from"))
    _sender_tokens(fields, sender, out)
    _recipient_tokens(fields, sender, out)
    _message_id_tokens(fields, sender, out)
    _order_tokens(header, out)
    _date_tokens(_value(fields, b"date"), out)
    home = registered(sender.domain.lower()[:80]) if sender is not None and sender.domain else b""
    _road_tokens(fields, home, out)
    bounce = _one(_value(fields, b"return-path"))
    if bounce is not None and bounce.domain and home:
        out.append(b"bounces home" if registered(bounce.domain.lower()) == home else b"bounces elsewhere")
    for name in (b"from", b"subject", b"message-id", b"to", b"date"):
        if len(fields.get(name, ())) > 1:
            out.append(b"two " + name)
    _subject_tokens(subject, is_reply, _value(fields, b"subject"), out)
    priority = _value(fields, b"x-priority")[:1]
    if priority:
        out.append(b"priority " + priority)
    return out


def _sender_tokens(fields: Fields, sender: Mailbox | None, out: list[bytes]) -> None:
    if sender is None or sender.local is None or sender.domain is None:
        out.append(b"from nobody")
        return
    domain = sender.domain.lower()[:80]
    local = sender.local.lower()[:64]
    out += (
        b"from " + registered(domain),
        b"sender " + local + b"@" + domain,
        b"from tld " + domain.rpartition(b".")[2],
    )
    digits = len(_DIGITS.findall(local))
    if digits:
        out.append(b"from digits %d" % min(digits, 4))
        if not local[-1:].isdigit():
            out.append(b"from digits inside")
    if not sender.name:
        out.append(b"from without name")
    else:
        name = decode_words(sender.name)
        if "@" in name:
            out.append(b"from name is address")
        if name.isupper() and len(name) > 5:
            out.append(b"from name shouts")
        if not name.isascii():
            out.append(b"from name foreign")
        if name and name == name.lower() and " " not in name.strip():
            out.append(b"from name small")
    reply = _one(_value(fields, b"reply-to"))
    if reply is not None and reply.domain is not None and registered(reply.domain.lower()) != registered(domain):
        out.append(b"reply elsewhere")


def _recipient_tokens(fields: Fields, sender: Mailbox | None, out: list[bytes]) -> None:
    value = _value(fields, b"to")
    found = [mailbox for mailbox in addresses_of(value) if mailbox.is_whole]
    if b"to" in fields and not found:
        out.append(b"to nobody")
    count = len(found)
    out.append(b"recipients %d" % min(count.bit_length(), 5))
    if count and sender is not None:
        if any(mailbox.local == sender.local and mailbox.domain == sender.domain for mailbox in found):
            out.append(b"to oneself")
    if found and not any(mailbox.name for mailbox in found):
        out.append(b"to without name")
    elif (
        found
        and found[0].name
        and found[0].local
        and found[0].name.lower()
        in (
            found[0].local.lower(),
            found[0].local.lower() + b"@" + (found[0].domain or b"").lower(),
        )
    ):
        out.append(b"to name is address")


def _message_id_tokens(fields: Fields, sender: Mailbox | None, out: list[bytes]) -> None:
    value = _value(fields, b"message-id")
    if not value:
        return
    local, at, host = value.strip(b"<>").rpartition(b"@")
    if not at or b" " in value:
        out.append(b"message-id odd")
        return
    host = host.lower()
    out += _message_id_shape(local)
    if b"." not in host:
        out.append(b"message-id host without dot")
    elif sender is not None and sender.domain and registered(host) == registered(sender.domain.lower()):
        out.append(b"message-id of sender")


def _order_tokens(header: bytes, out: list[bytes]) -> None:
    """How its writer spells and orders the fields that every program writes: what forges one program by another."""
    names = _WRITTEN.findall(header)[:12]
    out += [b"spelt " + name for name in names]
    lower = [name.lower() for name in names]
    out += [b"order %b %b" % pair for pair in itertools.pairwise(lower)]


def _message_id_shape(local: bytes) -> list[bytes]:
    shape = _SHAPED.sub(_run_shape, local[:80])
    return [b"message-id " + shape[:24], b"message-id length %d" % (len(local) // 8)]


def _run_shape(match: re.Match[bytes]) -> bytes:
    run = match[0]
    if run.isdigit():
        return b"9"
    if run.isalpha():
        return b"A" if run.isupper() else b"a"
    return b"x"


def _date_tokens(value: bytes, out: list[bytes]) -> None:
    """How a date is written, never which."""
    shape = _DATE_SHAPE.match(value)
    if shape is None:
        if value:
            out.append(b"date odd")
        return
    day, seconds, zone, comment = shape.groups()
    if not day:
        out.append(b"date without weekday")
    if not seconds:
        out.append(b"date without seconds")
    if not zone:
        out.append(b"date without zone")
    elif zone.isalpha():
        out.append(b"date zone in letters")
    elif zone[3:4] not in b"03" or zone[4:] not in (b"0", b""):
        out.append(b"date zone odd")
    if comment:
        out.append(b"date with comment")


def _road_tokens(fields: Fields, home: bytes, out: list[bytes]) -> None:
    """How the message came, without naming any host: only whether the names agree with one another."""
    stops = [unfold(value[:600]) for value in fields.get(b"received", ())[:20]]
    named = mismatch = numbers = 0
    is_home = False
    for stop in stops:
        match = _RECEIVED_FROM.search(stop)
        if match is None:
            continue
        helo, found = match[1].lower(), (match[2] or b"").lower()
        if b"127.0.0.1" in stop or helo.startswith(b"localhost"):
            continue
        named += 1
        if found and b"." in found and registered(found) != registered(helo):
            mismatch += 1
        if b"." not in helo or helo.strip(b"[]").replace(b".", b"").isdigit():
            numbers += 1
        if home and home in (registered(helo), registered(found)):
            is_home = True
    if home and named:
        out.append(b"road from home" if is_home else b"road from elsewhere")
    if mismatch:
        out.append(b"road names differ")
    if numbers:
        out.append(b"road without names")


def home_of(fields: Fields) -> bytes:
    """The registered name in From, b"" without one."""
    sender = _one(_value(fields, b"from"))
    return registered(sender.domain.lower()[:80]) if sender is not None and sender.domain else b""


def home_tokens(home: bytes, facts: Iterable[bytes]) -> list[bytes]:
    """Do the links lead to where the sender says to be from?"""
    hosts = [fact[5:] for fact in facts if fact.startswith(b"host ")]
    if not hosts or not home:
        return []
    here = hosts.count(home)
    if not here:
        label = home.partition(b".")[0]
        if len(label) > 3 and any(label in host for host in hosts):
            return [b"links to its like"]
        return [b"links elsewhere"]
    return [b"links home", b"links only home" if here == len(hosts) else b"links home and elsewhere"]


def _subject_tokens(subject: str, is_reply: bool, raw: bytes, out: list[bytes]) -> None:
    text = subject.strip()
    start = text[:4].lower()
    if start.startswith(("re:", "aw:", "sv:")):
        out.append(b"re: answers" if is_reply else b"re: answers nothing")
    elif is_reply:
        out.append(b"answers without re:")
    if start.startswith(("fw:", "fwd:", "wg:")):
        out.append(b"forwarded")
    letters = sum(map(str.isalpha, text))
    if letters > 7:
        capitals = sum(map(str.isupper, text)) * 4 // letters
        if capitals:
            out.append(b"subject capitals %d" % capitals)
    for sign in "!?$%*,":
        if sign in text:
            out.append(b"subject " + sign.encode())
    if text.endswith("!"):
        out.append(b"subject ends !")
    if _RANDOM_TAIL.search(subject.lower()):
        out.append(b"subject random tail")
    if b"=?" in raw:
        charset = raw.partition(b"=?")[2].partition(b"?")[0].lower()[:20]
        out.append(b"subject charset " + charset)
        if subject.isascii():
            out.append(b"subject coded needlessly")
    elif not raw.isascii():
        out.append(b"subject raw octets")
    if not text:
        out.append(b"subject empty")


def part_tokens(root: Node) -> list[bytes]:
    """Facts about the parts: their types, charsets, encodings, names of attachments."""
    out: set[bytes] = set()
    waiting = [root]
    shape: list[str] = []
    seen = 0
    while waiting and seen < MOST_PARTS:
        node = waiting.pop()
        seen += 1
        kind = f"{node.type}/{node.subtype}"[:60]
        shape.append(kind)
        out.add(b"part " + kind.encode("utf-8", "replace"))
        if node.type == "text":
            _text_tokens(node, out)
        if node.disposition is not None or node.type in ("application", "image", "audio", "video"):
            _attachment_tokens(node, out)
        waiting += reversed(node.children)
    if len(shape) > 1:
        out.add(b"parts " + ",".join(shape[:5]).encode("utf-8", "replace"))
        out.add(b"parts %d" % min(len(shape).bit_length(), 6))
    else:
        out.add(b"only " + shape[0].encode("utf-8", "replace"))
    return list(out)


def _text_tokens(node: Node, out: set[bytes]) -> None:
    charset = ""
    for name, value in node.parameters:
        if name == "charset":
            charset = value.lower()[:24]
    subtype = node.subtype[:20]
    out.add(f"{subtype} {charset or 'no charset'}".encode("utf-8", "replace"))
    if node.encoding != "7bit":
        out.add(f"{subtype} {node.encoding[:20]}".encode("utf-8", "replace"))


def _attachment_tokens(node: Node, out: set[bytes]) -> None:
    names: Iterable[tuple[str, str]] = node.parameters
    if node.disposition is not None:
        out.add(b"disposition " + node.disposition[0][:12].encode("utf-8", "replace"))
        names = (*node.disposition[1], *names)
    for name, value in names:
        if name in ("filename", "name"):
            ending = value.rpartition(".")[2].lower()[:8] if "." in value else "none"
            out.add(b"file " + ending.encode("utf-8", "replace"))
            if ending in _RISKY:
                out.add(b"risky file")
            if value.count(".") > 1:
                out.add(b"file two endings")
            break


# Facts that say more together than alone: a link to another house is nothing, one in a letter from nobody is much.
_TELLING = (
    b"links ", b"road ", b"bounces", b"message-id of", b"reply elsewhere", b"answers", b"from digits inside", b"urls ",
    b"only ", b"parts ", b"from without", b"re: ", b"to without", b"recipients", b"subject ends", b"subject random",
    b"foreign", b"address host", b"text length",
)  # fmt: skip


def combined(*lists: Iterable[bytes]) -> list[bytes]:
    """Pairs of the facts that tell most together."""
    facts = sorted([fact for facts in lists for fact in facts if fact.startswith(_TELLING)])[:24]
    return [b"%b + %b" % pair for pair in itertools.combinations(facts, 2)]
