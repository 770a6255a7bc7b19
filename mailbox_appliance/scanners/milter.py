"""Asking a milter: the whole session told after the fact, step by step; its answers become evidence and fields.

reject and tempfail decide, discard becomes Junk (nothing is ever lost in silence), quarantine weighs. Fields that it
adds go below our own results; what would be taken for ours is left out. Other changes are not offered.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any

from mailbox_appliance.mail.header import split_fields
from mailbox_appliance.mail.verdict import Evidence
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.scanners import Scanned
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.scanners.settings import ScannerSettings
from mailbox_appliance.scanners.talk import Talk, Trouble, body_pieces, connect
from mailbox_appliance.wire import milter

MOST_FIELDS = 40  # that one filter may add
LONGEST_FIELD = 8192
_NAME = re.compile(r"[!-9;-~]{1,76}")
_OURS = frozenset({"return-path", "delivered-to", "received", "from", "to", "cc", "bcc", "sender", "date", "subject",
                   "message-id", "reply-to", "content-type", "content-transfer-encoding", "mime-version"})  # fmt: skip
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NO_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


async def ask(parcel: Parcel, settings: ScannerSettings, reactor: Any, workers: Workers) -> Scanned:
    """Raises Trouble, and what the net raises."""
    talk = await connect(reactor, settings)
    try:
        return await _Session(talk, settings).run(parcel, workers)
    except milter.MilterWrong as error:
        raise Trouble(str(error)) from None
    finally:
        talk.leave()


class _Session:
    """One connection, one message."""

    def __init__(self, talk: Talk, settings: ScannerSettings) -> None:
        self._talk = talk
        self._settings = settings
        self._packets = milter.Packets()
        self._came: deque[milter.Packet] = deque()
        self._agreed = milter.Agreed(milter.VERSION, 0, 0)
        self._changes: list[milter.Change] = []

    async def _next(self) -> milter.Packet:
        while not self._came:
            octets = await self._talk.receive()
            if not octets:
                raise Trouble("the milter closed the connection")
            self._came.extend(self._packets.take(octets))
        return self._came.popleft()

    async def _say(self, step: milter.Step, octets: bytes, **macros: str) -> milter.Packet | None:
        """None: go on. A packet: the filter has decided."""
        if not self._agreed.sends(step):
            return None
        await self._talk.send(milter.macros(step, macros) + octets)
        if not self._agreed.answers(step):
            return None
        while True:
            answer = await self._next()
            change = milter.change_of(answer)
            if change is not None and len(self._changes) <= MOST_FIELDS:
                self._changes.append(change)
            if answer.is_final:
                break
        if answer.letter == milter.SHUTDOWN or answer.letter == milter.CONNECTION_FAILS:
            raise Trouble("the milter shuts down")
        return None if answer.letter == milter.CONTINUE else answer

    async def run(self, parcel: Parcel, workers: Workers) -> Scanned:
        await self._talk.send(milter.negotiate())
        self._agreed = milter.agreed(await self._next())
        decided = await self._envelope(parcel) or await self._content(parcel, workers)
        await self._talk.send(milter.packet(milter.QUIT))
        return self._scanned(decided)

    async def _envelope(self, parcel: Parcel) -> milter.Packet | None:
        client, envelope = parcel.client, parcel.envelope
        address = str(client.address) if client is not None else "127.0.0.1"
        shown = f"[{address}]" if ":" not in address else f"[IPv6:{address}]"
        mta = {"j": self._settings.hostname, "{daemon_name}": "mailappliance", "v": "mailappliance"}
        octets = milter.connect(shown, address, client.port if client is not None else 0)
        decided = await self._say(milter.CONNECT, octets, **mta)
        if decided is None:
            decided = await self._say(milter.HELO, milter.helo(client.helo if client is not None else ""))
        if decided is None:
            sender = f"<{envelope.reverse_path or ''}>"
            decided = await self._say(
                milter.MAIL, milter.mail(sender), **{"i": parcel.trace, "{mail_addr}": sender[1:-1]}
            )
        for one in envelope.recipients:
            if decided is not None:
                return decided
            # A filter that refuses one recipient refuses the message only when it is the only one.
            path = str(one.forward_path)
            found = await self._say(milter.RCPT, milter.rcpt(f"<{path}>"), **{"{rcpt_addr}": path})
            if found is not None and (found.letter in (milter.ACCEPT, milter.DISCARD) or len(envelope.recipients) == 1):
                decided = found
        if decided is None:
            decided = await self._say(milter.DATA, milter.packet(b"T"), i=parcel.trace)
        return decided

    async def _content(self, parcel: Parcel, workers: Workers) -> milter.Packet | None:
        for name, value in split_fields(parcel.content.header):
            decided = await self._say(milter.FIELD, milter.field(name, value.rstrip(b"\r\n"), self._agreed))
            if decided is not None:
                return decided
        decided = await self._say(milter.END_OF_HEADER, milter.packet(b"N"), i=parcel.trace)
        if decided is not None:
            return decided
        if self._agreed.sends(milter.BODY):
            async for piece in body_pieces(parcel.content, workers):
                for at in range(0, len(piece), milter.BODY_PIECE):
                    decided = await self._say(milter.BODY, milter.body(piece[at : at + milter.BODY_PIECE]))
                    if decided is not None and decided.letter != milter.SKIP:
                        return decided
                if decided is not None:
                    break
        return await self._say(milter.END, milter.packet(b"E"), i=parcel.trace)

    def _scanned(self, decided: milter.Packet | None) -> Scanned:
        name, weight = self._settings.name, self._settings.weight
        fields = added_fields([one for one in self._changes if one.name], self._settings.hostname)
        found = []
        for held in [one for one in self._changes if not one.name][:1]:
            reason = f"{name}: quarantine, {_NO_LINE.sub('?', held.value)[:100]}"
            found.append(Evidence("scanner", "quarantine", weight, reason))
        letter = decided.letter if decided is not None else milter.CONTINUE
        text = ""
        if decided is not None and letter == milter.REPLY:
            text = _NO_LINE.sub("?", milter.reply_text(decided))[:150]
            letter = milter.TEMPFAIL if text.startswith("4") else milter.REJECT
        words = {
            milter.REJECT: ("reject", "it refuses the message"),
            milter.TEMPFAIL: ("defer", "it wants the message later"),
            milter.DISCARD: ("discard", "it would throw the message away"),
        }
        result, reason = words.get(letter, ("ham", "nothing against it"))
        found.append(Evidence("scanner", result, reason=f"{name}: {text or reason}"))
        return Scanned(tuple(found), fields)


def added_fields(changes: list[milter.Change], hostname: str) -> bytes:
    """The fields as whole lines; those that only we may write are left out."""
    lines = []
    for change in changes[:MOST_FIELDS]:
        value = change.value.replace("\r\n", "\n").replace("\r", "\n")[:LONGEST_FIELD].strip()
        value = _CONTROLS.sub("", re.sub(r"\n+[ \t]*", "\n\t", value))
        name = change.name.lower()
        if not _NAME.fullmatch(change.name) or name in _OURS or name.startswith("x-mailappliance-"):
            continue
        if name in ("authentication-results", "received-spf") and hostname.lower() in value.lower():
            continue
        lines.append(f"{change.name}: {value}\n")
    return "".join(lines).encode("utf-8", "replace")
