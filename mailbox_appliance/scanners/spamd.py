"""Asking SpamAssassin: one connection a message, SYMBOLS, its score in our points."""

from __future__ import annotations

import re
from typing import Any

from mailbox_appliance.mail.dates import mail_date_time
from mailbox_appliance.mail.verdict import Evidence
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.scanners import Scanned
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.scanners.settings import ScannerSettings
from mailbox_appliance.scanners.talk import Trouble, connect, whole
from mailbox_appliance.wire import spamd

_PLAIN = re.compile(r"[^\w.@+:\[\]=-]")
MOST = 1 << 20  # octets of a message; spamc's own limit is half of it, for it is slow


def figure(score: float, threshold: float, weight: float) -> float:
    """The scanner's score in our points: its threshold is ``weight``, twice of it the most."""
    share = score / threshold if threshold > 0 else float(score > 0)
    return round(weight * max(-0.4, min(2.0, share)), 2)


def opinion(name: str, score: float, threshold: float, weight: float, rules: tuple[str, ...]) -> Evidence:
    """For the verdict, with the rules that say most about why."""
    result = "spam" if score >= threshold else "ham"
    reason = f"{name}: {score:g} of {threshold:g}"
    if rules:
        reason += f" ({', '.join(rules[:8])})"
    return Evidence("scanner", result, figure(score, threshold, weight), reason[:250])


def trace_fields(parcel: Parcel, settings: ScannerSettings, now: float) -> bytes:
    """Who brought the message, as SpamAssassin reads it: it judges the host of the topmost Received."""
    client = parcel.client
    helo = _PLAIN.sub("?", client.helo[:200]) if client is not None else "localhost"
    address = str(client.address) if client is not None else "127.0.0.1"
    shown = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    path = _PLAIN.sub("?", str(parcel.envelope.reverse_path or ""))
    return (
        f"Return-Path: <{path}>\r\n"
        f"Received: from {helo} ({helo} {shown})\r\n\tby {settings.hostname} with ESMTP id {parcel.trace};\r\n"
        f"\t{mail_date_time(now)}\r\n"
    ).encode("utf-8", "replace")


async def ask(parcel: Parcel, settings: ScannerSettings, reactor: Any, workers: Workers) -> Scanned:
    """Raises Trouble, and what the net raises."""
    if parcel.content.wire_size > MOST:
        return Scanned((Evidence("scanner", "skipped", reason=f"{settings.name}: larger than {MOST >> 20} MB"),))
    message = trace_fields(parcel, settings, reactor.seconds()) + await whole(parcel.content, workers)
    talk = await connect(reactor, settings)
    try:
        await talk.send(spamd.request(len(message)) + message)
        answer = b""
        while len(answer) <= spamd.LARGEST_ANSWER and (came := await talk.receive()):
            answer += came
        try:
            found = spamd.read_answer(answer)
        except spamd.NoAnswer as error:
            raise Trouble(str(error)) from None
    finally:
        talk.leave()
    return Scanned((opinion(settings.name, found.score, found.threshold, settings.weight, found.rules),))
