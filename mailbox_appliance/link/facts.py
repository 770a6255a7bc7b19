"""What travels with a message over the link, in one header field that only the other half of the pair is believed.

X-Mailappliance-Link holds, as base64url of JSON: the message's id on the sending side, who brought it (address, HELO,
TLS) and what the checks found. The receiving side takes the field out and goes on as if it had seen all that itself;
from anybody else it is taken out unread. X-Mailappliance-Again says that the message may have come over before.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.mail.header import group_fields, remove_fields
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Action, Verdict
from mailbox_appliance.ports.delivery import Parcel

FIELD, AGAIN = "x-mailappliance-link", "x-mailappliance-again"
_NAME, _AGAIN_NAME = b"X-Mailappliance-Link", b"X-Mailappliance-Again"
_LONGEST = 250  # signs of a text
_WIDTH = 72
_CLIENT = ("service", "helo", "tls", "cipher")


class NoFacts(ValueError):
    """The field is missing or damaged; str() says which."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``arrived`` in epoch seconds; ``again``: the sending side does not know whether it has come over already."""

    id: str
    origin: Origin
    arrived: float
    client: Client | None = None
    action: Action = Action.ACCEPT
    reason: str = ""
    score: float = 0.0
    message_id: str = ""
    require_tls: bool = False
    again: bool = False

    @property
    def verdict(self) -> Verdict:
        """As the edge gave it."""
        return Verdict(self.action, self.reason, score=self.score)


def facts_of(parcel: Parcel, now: float) -> Facts:
    """What the other side must know of a parcel."""
    return Facts(
        parcel.trace,
        parcel.origin,
        now,
        parcel.client,
        parcel.verdict.action,
        parcel.verdict.reason,
        parcel.verdict.score,
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
        "action": facts.action.value,
        "reason": facts.reason[:_LONGEST],
        "score": facts.score,
        "message_id": facts.message_id[:_LONGEST],
        "require_tls": facts.require_tls,
    }
    if client is not None:
        data |= {name: getattr(client, name)[:_LONGEST] for name in _CLIENT}
        data |= {"address": str(client.address), "port": client.port, "extended": client.extended}
    text = base64.urlsafe_b64encode(json.dumps(data).encode()).decode("ascii")
    pieces = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return content.with_prefix(_NAME + b":" + "".join(f"\n {piece}" for piece in pieces).encode("ascii") + b"\n")


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
            Action(data["action"]),
            str(data["reason"])[:_LONGEST],
            float(data["score"]),
            str(data["message_id"])[:_LONGEST],
            bool(data["require_tls"]),
            again=AGAIN.encode("ascii") in groups,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise NoFacts(f"its facts of the link are damaged: {type(error).__name__}") from None
    header = remove_fields(content.header, lambda name, _: name in (FIELD, AGAIN))
    lines = content.lines - (content.header.count(b"\n") - header.count(b"\n"))
    return facts, replace(content, header=header, lines=lines)
