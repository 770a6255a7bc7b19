"""What travels with a message over the link, in one header field that only the other half of the pair is believed.

X-Mailappliance-Link holds, as base64url of JSON: the message's id on the sending side, who brought it (address, HELO,
TLS) and what the checks found. The receiving side takes the field out and goes on as if it had seen all that itself;
from anybody else it is taken out unread. X-Mailappliance-Again says that the message may have come over before.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.mail.header import group_fields, remove_fields
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action, Evidence, Verdict
from mailbox_appliance.ports.delivery import ACCEPTED, Parcel

FIELD, AGAIN = "x-mailappliance-link", "x-mailappliance-again"
_NAME, _AGAIN_NAME = b"X-Mailappliance-Link", b"X-Mailappliance-Again"
_LONGEST = 250  # characters of a text
_WIDTH = 72
_CLIENT = ("service", "helo", "tls", "cipher")
_MOST_EVIDENCE = 64
_LONGEST_FIELDS = 16_384  # octets of what the checks put on top of the message
_SPEAKER = re.compile(rb"(?im)^(authentication-results:\s*)[^\s;]+")  # RFC 8601 §2.2: the authserv-id comes first


# What mail that has waited since before an update does not say.
_BEFORE: dict[str, Any] = {"evidence": [], "fields": "", "final": True, "rests": False, "author": "", "proven": False}


class NoFacts(ValueError):
    """The field is missing or damaged; str() says which."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``arrived`` in epoch seconds; ``again``: the sending side does not know whether it has come over already."""

    id: str
    origin: Origin
    arrived: float
    client: Client | None = None
    verdict: Verdict = ACCEPTED
    message_id: str = ""
    require_tls: bool = False
    again: bool = False


def facts_of(parcel: Parcel, now: float) -> Facts:
    """What the other side must know of a parcel."""
    return Facts(
        parcel.trace,
        parcel.origin,
        now,
        parcel.client,
        parcel.verdict,
        parcel.message_id,
        parcel.envelope.require_tls,
    )


def with_facts(content: Content, facts: Facts) -> Content:
    """The message with the field on top."""
    client = facts.client
    data: dict[str, Any] = {
        "id": facts.id,
        "origin": facts.origin.value,
        "arrived": facts.arrived,
        "verdict": _shown(facts.verdict),
        "message_id": facts.message_id[:_LONGEST],
        "require_tls": facts.require_tls,
    }
    if client is not None:
        data |= {name: getattr(client, name)[:_LONGEST] for name in _CLIENT}
        data |= {"address": str(client.address), "port": client.port, "extended": client.extended}
    text = base64.urlsafe_b64encode(json.dumps(data).encode()).decode("ascii")
    pieces = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return content.with_prefix(_NAME + b":" + "".join(f"\n {piece}" for piece in pieces).encode("ascii") + b"\n")


def _shown(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON, without the reply: whoever was to hear it has been answered."""
    fields = verdict.fields if len(verdict.fields) <= _LONGEST_FIELDS else b""
    return {
        "action": verdict.action.value,
        "reason": verdict.reason[:_LONGEST],
        "score": verdict.score,
        "evidence": [
            [one.check, one.result, one.weight, one.reason[:_LONGEST], one.remedy[:_LONGEST]]
            for one in verdict.evidence[:_MOST_EVIDENCE]
        ],
        "fields": fields.decode("latin-1"),
        "final": verdict.is_final,
        "rests": verdict.rests,
        "author": str(verdict.author) if verdict.author is not None else "",
        "proven": verdict.is_proven,
    }


def _read(data: dict[str, Any]) -> Verdict:
    """Raises ValueError, KeyError, TypeError."""
    return Verdict(
        Action(data["action"]),
        str(data["reason"])[:_LONGEST],
        None,
        tuple(_evidence(one) for one in data["evidence"][:_MOST_EVIDENCE]),
        float(data["score"]),
        str(data["fields"])[:_LONGEST_FIELDS].encode("latin-1"),
        bool(data["final"]),
        bool(data["rests"]),
        Address.parse(str(data["author"])) if data["author"] else None,
        bool(data["proven"]),
    )


def _evidence(data: Sequence[Any]) -> Evidence:
    check, result, weight, reason, remedy = data
    return Evidence(str(check), str(result), float(weight), str(reason)[:_LONGEST], str(remedy)[:_LONGEST])


def in_our_name(verdict: Verdict, content: Content, authserv_id: str) -> tuple[Verdict, Content]:
    """What the edge found out, said by the pair under one name (RFC 8601 §2.5), here the store's.

    So whoever reads Authentication-Results at the store (the filter, ARC seals, mail programs) trusts one name alone.
    """
    fields = _SPEAKER.sub(rb"\g<1>" + authserv_id.encode("ascii", "replace"), verdict.fields)
    if fields == verdict.fields or verdict.fields not in content.header:
        return verdict, content
    header = content.header.replace(verdict.fields, fields, 1)
    return replace(verdict, fields=fields), replace(content, header=header)


def once_more(content: Content) -> Content:
    """The message with the remark that it may have come over before."""
    return content.with_prefix(_AGAIN_NAME + b": yes\n")


def take_facts(content: Content) -> tuple[Facts, Content]:
    """The facts, and the message without them. Raises NoFacts."""
    groups = group_fields(content.header)
    found = groups.get(FIELD.encode("ascii"), [])
    if not found:
        raise NoFacts("it has no facts of the link")
    # The topmost one is the other half's: whatever lies below was in the message before.
    try:
        data = json.loads(base64.urlsafe_b64decode(b"".join(found[0].split())))
        client = None
        if "address" in data:
            client = Client(
                ip_address(data["address"]),
                int(data["port"]),
                extended=bool(data["extended"]),
                **{name: str(data[name])[:_LONGEST] for name in _CLIENT},
            )
        facts = Facts(
            str(data["id"])[:64],
            Origin(data["origin"]),
            float(data["arrived"]),
            client,
            _read(data["verdict"] if "verdict" in data else _BEFORE | data),
            str(data["message_id"])[:_LONGEST],
            bool(data["require_tls"]),
            again=AGAIN.encode("ascii") in groups,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoFacts(f"its facts of the link are damaged: {type(error).__name__}") from None
    header = remove_fields(content.header, lambda name, _: name in (FIELD, AGAIN))
    lines = content.lines - (content.header.count(b"\n") - header.count(b"\n"))
    return facts, replace(content, header=header, lines=lines)
