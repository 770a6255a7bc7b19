"""Asking rspamd: POST /checkv2 with what we know of the peer, its score in our points (rspamd's protocol documents)."""

from __future__ import annotations

import json
import math
from typing import Any

from mailbox_appliance.mail.verdict import Evidence
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.scanners import Scanned
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.scanners.settings import ScannerSettings
from mailbox_appliance.scanners.spamd import MOST, opinion
from mailbox_appliance.scanners.talk import Trouble, connect, whole

LARGEST_ANSWER = 1 << 20


async def ask(parcel: Parcel, settings: ScannerSettings, reactor: Any, workers: Workers) -> Scanned:
    """Raises Trouble, and what the net raises."""
    if parcel.content.wire_size > MOST:
        return Scanned((Evidence("scanner", "skipped", reason=f"{settings.name}: larger than {MOST >> 20} MB"),))
    message = await whole(parcel.content, workers)
    talk = await connect(reactor, settings)
    try:
        # HTTP/1.0: the answer ends with the connection and is never chunked.
        await talk.send(_request(parcel, settings, len(message)) + message)
        answer = b""
        while len(answer) <= LARGEST_ANSWER and (came := await talk.receive()):
            answer += came
    finally:
        talk.leave()
    return Scanned(read_answer(answer, settings))


def _request(parcel: Parcel, settings: ScannerSettings, length: int) -> bytes:
    client, envelope = parcel.client, parcel.envelope
    fields = [("Host", settings.host or "localhost"), ("Content-Length", str(length)), ("Connection", "close")]
    if client is not None:
        fields += [("IP", str(client.address)), ("Helo", client.helo)]
    fields.append(("From", f"<{envelope.reverse_path or ''}>"))
    fields += [("Rcpt", f"<{one.forward_path}>") for one in envelope.recipients[:100]]
    fields += [("Queue-Id", parcel.trace), ("MTA-Name", settings.hostname)]
    lines = [f"{name}: {_line(value)}" for name, value in fields]
    return ("\r\n".join(["POST /checkv2 HTTP/1.0", *lines]) + "\r\n\r\n").encode("utf-8", "replace")


def _line(value: str) -> str:
    """Nobody writes a line of his own into the request."""
    return "".join(one if one.isprintable() else "?" for one in value[:500])


def read_answer(octets: bytes, settings: ScannerSettings) -> tuple[Evidence, ...]:
    """Raises Trouble."""
    head, empty, body = octets.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if not empty or len(status) < 2 or not status[0].startswith(b"HTTP/1."):
        raise Trouble(f"rspamd answered {octets[:60]!r}")
    if status[1] != b"200":
        raise Trouble(f"rspamd answered {status[1][:10].decode('ascii', 'replace')}")
    try:
        found = json.loads(body)
        score, action = float(found["score"]), str(found.get("action", ""))
        thresholds = found.get("thresholds") or {}
        threshold = float(thresholds.get("add header") or found.get("required_score") or 0.0)
        symbols = found.get("symbols") or {}
        rules = sorted(
            (str(name) for name, about in symbols.items() if float(about.get("score") or 0.0) > 0),
            key=lambda name: -float(symbols[name]["score"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise Trouble(f"rspamd's answer cannot be read: {type(error).__name__}") from None
    if not (math.isfinite(score) and math.isfinite(threshold)):
        raise Trouble("rspamd's answer has no score")
    if action == "soft reject":
        return (Evidence("scanner", "defer", reason=f"{settings.name}: soft reject"),)
    if action == "reject":
        score = max(score, 2 * threshold)
    return (opinion(settings.name, score, threshold, settings.weight, tuple(_line(rule[:60]) for rule in rules)),)
