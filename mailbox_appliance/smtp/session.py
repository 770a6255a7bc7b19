"""One conversation: events of the machine come in, decisions are asked for, replies go out.

The session knows what is decided where (policy, recipients, login, transaction) and what the journal is told; the wire
beneath it is a Line, which tests replace. What it awaits from other stations is never cancelled: a message that is
being accepted when the connection breaks is accepted; only the reply is lost, and the peer will ask again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.ports.users import Principal
from mailbox_appliance.smtp import login, offer, patience, replies
from mailbox_appliance.smtp.devices import device_at
from mailbox_appliance.smtp.intake import Intake
from mailbox_appliance.smtp.line import ConnectionOver, IdleTooLong, Line, Stopping, TooSlow
from mailbox_appliance.smtp.pace import neighbourhood
from mailbox_appliance.smtp.parts import Parts, origin_of
from mailbox_appliance.smtp.recipients import rule_recipient
from mailbox_appliance.smtp.report import Report
from mailbox_appliance.smtp.sender import rule_sender
from mailbox_appliance.smtp.transaction import Border, Ending, Transaction
from mailbox_appliance.wire.mechanisms import mechanisms
from mailbox_appliance.wire.sasl import Proof
from mailbox_appliance.wire.smtp import answers, events, server

COMMAND_SLICE = 4096  # octets of commands between two looks at the clock
LONG_TURN = 0.002  # seconds after which others get their turn


class Session:
    """One peer's conversation on one service."""

    def __init__(self, line: Line, parts: Parts, client: Client, *, tls_available: bool = True) -> None:
        limits = parts.settings.limits
        self._line = line
        self._parts = parts
        self._limits = limits
        self._report = Report(parts.journal, client)
        self._origin = origin_of(parts.settings, client)
        self._border = Border(
            parts.settings, parts.directory, parts.acceptance, parts.checks, parts.signing, parts.lists
        )
        self._core = server.Server(offer.terms(parts, client, self._origin, tls_available=tls_available))
        self._principal: Principal | None = None
        self._proven: tuple[events.LogIn, login.Attempt] | None = None  # waits for the client's last word
        self._deal: Transaction | None = None
        self._unknown = self._put_off = 0  # recipients refused for good, and for now
        self._stay = patience.Stay(patience.room_for(limits, self._origin), limits.message_size)
        self._rest = b""  # octets received and not yet fed to the machine
        self._resumed = 0.0
        self.messages = 0

    # ---------------------------------------------------------------- the conversation

    async def converse(self) -> None:
        """From the greeting to the last word. Raises ConnectionOver when the peer leaves without QUIT."""
        core = self._core
        try:
            await self._greet()
            progress = True
            while True:
                event = core.next_event()
                if event is not None:
                    progress = True
                    await self._react(event)
                    continue
                if self._rest and not core.closed:
                    await self._feed()
                    continue
                progress = await self._flush() or progress
                if core.closed:
                    return
                core.burst_ends()
                if progress and self._stay.is_over and not core.in_content:
                    # Only now: whoever is to say something has his five minutes for it.
                    self._end(replies.TOO_LONG, "brought no message for too long")
                    return
                await self._listen(progress)
                progress = False
        except IdleTooLong:
            self._end(replies.IDLE, "said nothing for too long")
        except TooSlow:
            self._end(replies.TOO_SLOW, "sent content too slowly")
        except Stopping:
            core.say_last(replies.STOPPING)
            self._line.write(core.take_output())
        except ConnectionOver as over:
            self._report.interrupted(self._deal, str(over))
            raise
        finally:
            await self._drop()

    def _end(self, reply: Reply, reason: str) -> None:
        """The peer takes too long."""
        self._report.cut_short(self._deal, reason)
        self._core.say_last(reply)
        self._line.write(self._core.take_output())

    async def _listen(self, progress: bool) -> None:
        self._rest = await self._stay.listen(self._line, self._parts.clock, progress, self._core.in_content)
        self._resumed = self._parts.clock.seconds()

    async def _greet(self) -> None:
        parts, service = self._parts, self._core.terms.service
        if service.name not in ("lmtp", "link"):
            await self._keep_pace(neighbourhood(self._report.client.address))
        if service.implicit_tls:
            await self._secure()
        elif service.name == "smtp" and (silence := patience.before_banner(parts, self._report.client, self._origin)):
            await self._line.pause(silence)
            self._core.receive(self._line.pending())
        early = parts.acquaintances.may_talk_first(self._report.client.address, parts.clock.seconds())
        self._core.greet(self._welcome(), early=early)

    async def _keep_pace(self, who: object) -> None:
        seconds = patience.of_newcomer(self._parts, self._report.client, self._origin, who)
        if seconds:
            self._report.slowed_down(seconds)
            await self._line.pause(seconds)

    def _welcome(self) -> Reply:
        return Reply(220, "", f"{self._parts.settings.hostname} {'LMTP' if self._core.terms.service.lmtp else 'ESMTP'}")

    async def _feed(self) -> None:
        """Give the machine what came: content wholesale, commands in slices, so that no burst keeps others waiting."""
        rest = self._rest
        if self._core.in_content or len(rest) <= COMMAND_SLICE:
            self._core.receive(rest)
            self._rest = b""
            return
        self._core.receive(rest[:COMMAND_SLICE])
        self._rest = rest[COMMAND_SLICE:]
        if self._parts.clock.seconds() - self._resumed > LONG_TURN:
            await self._line.pause(0)
            self._resumed = self._parts.clock.seconds()

    async def _flush(self) -> bool:
        """Send what gathered; True when there was something."""
        octets = self._core.take_output()
        if not octets:
            return False
        self._line.write(octets)
        began = self._parts.clock.seconds()
        await self._line.writable()
        self._stay.waited(self._parts.clock.seconds() - began)
        return True

    async def _react(self, event: events.Event) -> None:
        try:
            await _REACTIONS[type(event)](self, event)
        except (ConnectionOver, IdleTooLong, Stopping, TooSlow):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends one command and not the session
            deal = self._deal
            self._parts.journal.broken("smtp", error, deal.trace if deal is not None else "")
            if self._core.owes:
                self._core.answer(replies.FAULT)
                if isinstance(event, events.Content) and event.message_ends:
                    await self._drop()
            elif deal is not None and deal.intake is not None:
                deal.intake.refusal = replies.FAULT

    # ---------------------------------------------------------------- reactions

    async def _hello(self, event: events.Hello) -> None:
        client = self._report.client = replace(self._report.client, helo=event.name, extended=event.extended)
        if event.extended and self._core.terms.pipeconnect:
            self._parts.acquaintances.offered(client.address, self._parts.clock.seconds())
        await self._drop()

    async def _reset(self, event: events.Reset) -> None:
        await self._drop()

    async def _start_tls(self, event: events.StartTls) -> None:
        core = self._core
        if self._rest or self._line.pending():
            # They came behind STARTTLS in a segment of their own; nothing said in clear may be listened to now.
            core.answer(answers.INJECTED)
            self._report.cut_short(self._deal, "sent octets behind STARTTLS")
            return
        core.answer(replies.TLS_GO_AHEAD)
        await self._flush()
        await self._secure()
        core.tls_started()

    async def _secure(self) -> None:
        version, cipher = await self._line.start_tls()
        self._report.client = replace(
            self._report.client, tls=version, cipher=cipher, helo="", extended=False, account=""
        )
        self._principal = None
        core = self._core
        if core.terms.service.offers_auth:
            channel = self._line.channel()
            scram_too = self._parts.log_in.offers_scram(str(self._report.client.address))
            core.bindings = channel.bindings
            offered = mechanisms(scram_too=scram_too, bindable=channel.is_bindable)
            core.terms = replace(core.terms, mechanisms=offered)
        await self._drop()
        self._report.tls_started()

    async def _log_in(self, event: events.LogIn) -> None:
        parts, client = self._parts, self._report.client
        attempt = await login.attempt(event.credentials, client, parts.log_in, parts.guard)
        if attempt.principal is not None and isinstance(event.credentials, Proof):
            self._proven = event, attempt
            self._core.prove(event.credentials.outcome)
            return
        await self._end_log_in(event, attempt)

    async def _give_keys(self, event: events.KeysWanted) -> None:
        self._core.keys(await self._parts.log_in.scram_keys(event.username))

    async def _confirmed(self, event: events.LogInConfirmed) -> None:
        assert self._proven is not None
        proven, self._proven = self._proven, None
        await self._end_log_in(*proven)

    async def _end_log_in(self, event: events.LogIn, attempt: login.Attempt) -> None:
        if attempt.principal is not None:
            self._principal = attempt.principal
            if attempt.principal.paired:  # as if it had come over the link
                self._origin = Origin.PAIRED
                self._report.client = replace(self._report.client, service="link")
            else:
                self._origin = Origin.AUTHENTICATED
                self._report.client = replace(self._report.client, account=str(attempt.principal.account))
            self._give_room()
        self._report.log_in(event, attempt)
        if attempt.wait:
            await self._line.pause(attempt.wait)
        if attempt.principal is not None and not attempt.principal.paired:
            await self._keep_pace(str(attempt.principal.account))
        self._core.answer(attempt.reply)

    def _give_room(self) -> None:
        """The peer is somebody else than before: it has that one's time, from the beginning."""
        room = patience.room_for(self._limits, self._origin)
        self._stay.begin_anew(room)
        self._core.terms = replace(self._core.terms, stalls=room.commands)

    async def _claim(self, event: events.Claim) -> None:
        """XCLIENT: from here on this is the client's conversation, with what its address may do and no more."""
        parts, before, claims = self._parts, self._report.client, event.claims
        await self._drop()
        address = claims.address or before.address
        client = replace(before, address=address, port=claims.port or before.port, helo=claims.helo, account="")
        device = device_at(parts.settings.devices, address)
        client = replace(client, device=device.name if device is not None else "")
        if claims.extended is not None:
            client = replace(client, extended=claims.extended)
        self._report.introduced(client)
        self._report.client = client
        self._origin = origin_of(parts.settings, client)
        self._give_room()
        self._core.answer(replies.BANNED if parts.guard.refuses(address, client.service, None) else self._welcome())

    async def _mail(self, event: events.Mail) -> None:
        await self._drop()
        now = self._parts.clock.seconds()
        asked, settings, address = event.arguments, self._parts.settings, self._report.client.address
        # Looked up again: the owner may have changed its rights since it connected.
        device = device_at(settings.devices, address) if self._origin is Origin.DEVICE else None
        if device is not None and device.send_as is not None:
            asked = replace(asked, reverse_path=device.send_as)
        deal = Transaction(new_trace_id(now), now, self._report.client, self._origin, asked, device)
        ruling = await rule_sender(self._parts, deal, self._principal)
        deal.sender = ruling.sender
        self._core.answer(ruling.reply or replies.SENDER_OK)
        if ruling.reply is None:
            self._deal = deal
        else:
            self._report.sender_refused(deal, ruling.reply, ruling.reason)

    async def _rcpt(self, event: events.Rcpt) -> None:
        deal, recipient, parts = self._deal, event.recipient, self._parts
        assert deal is not None
        ruling = await rule_recipient(parts, deal, self._principal, recipient)
        reply = ruling.reply
        if reply is None:
            deal.actions.add(ruling.action)
            deal.recipients[recipient] = None
            deal.taken.append(recipient)
            self._core.answer(replies.RECIPIENT_OK)
            return
        client = self._report.client
        if ruling.unknown and deal.origin in (Origin.WAN, Origin.LAN):
            parts.guard.failed(client.address, client.service, "", what="recipient")
        if reply.is_transient and deal.origin not in (Origin.LOCAL, Origin.PAIRED):
            self._put_off += 1
            if self._put_off > self._limits.recipients > 0:
                reply = replies.MANY_PUT_OFF
        if reply.is_permanent and deal.origin is not Origin.LOCAL:
            self._unknown += 1
            if self._unknown >= self._limits.unknown_recipients:
                reply = replies.MANY_UNKNOWN
            if ruling.unknown and (seconds := parts.guard.tarpit(client.address)):
                await self._line.pause(seconds)
        self._core.answer(reply)
        self._report.recipient_refused(deal, recipient, reply, ruling.reason)
        if reply in (replies.MANY_UNKNOWN, replies.MANY_PUT_OFF):
            self._report.cut_short(deal, "too many refused recipients")

    async def _begin(self, event: events.Begin) -> None:
        deal, parts = self._deal, self._parts
        assert deal is not None
        deal.client = self._report.client
        deal.each_answered = self._core.answers_each
        trace, journal = deal.trace, parts.journal
        deal.intake = Intake(
            trace,
            parts.settings.spool,
            self._limits,
            parts.workers,
            parts.budget,
            lambda error: journal.broken("smtp.intake", error, trace),
        )
        self._stay.content_begins()
        self._core.answer(replies.GO_AHEAD)

    async def _content(self, event: events.Content) -> None:
        deal = self._deal
        assert deal is not None and deal.intake is not None
        if event.octets:
            await deal.intake.take(event.octets, event.lines)
        if event.chunk_ends and event.flaw is None and deal.intake.refusal is None:
            self._core.answer(replies.CHUNK_OK)
        elif event.chunk_ends or event.message_ends:
            await self._finish(deal, event)

    async def _too_large(self, event: events.TooLarge) -> None:
        deal = self._deal
        assert deal is not None
        ending = Ending(event.reply, event.size, reason="BDAT announces more than a message may have")
        self._report.ended(deal, ending, self._parts.clock.seconds() - deal.began)
        self._stay.content_begins()
        await self._drop()

    async def _finish(self, deal: Transaction, event: events.Content) -> None:
        clock = self._parts.clock
        ending = await self._border.finish(deal, event.flaw, clock.seconds())
        if deal.each_answered and ending.receipts:
            replies = {receipt.recipient: receipt.reply for receipt in ending.receipts}
            self._core.answer_each([replies[recipient] for recipient in deal.taken], ending.reply)
        else:
            self._core.answer(ending.reply)
        now = clock.seconds()
        if ending.reply.is_positive:
            self.messages += 1
            self._put_off = 0
            self._stay.begin_anew(self._stay.room)
            if deal.device is not None:
                self._parts.days_work.add(deal.device.name, len(deal.recipients), now)
            if self._core.terms.pipeconnect:
                self._parts.acquaintances.behaved(self._report.client.address, now)
        self._report.ended(deal, ending, now - deal.began)
        await self._drop()

    async def _quit(self, event: events.Quit) -> None:
        await self._drop()

    async def _cut_off(self, event: events.CutOff) -> None:
        self._report.cut_short(self._deal, event.reason)
        if self._origin is Origin.WAN:
            client = self._report.client
            self._parts.acquaintances.forget(client.address)
            self._parts.guard.failed(client.address, client.service, "", what="protocol")

    async def _drop(self) -> None:
        """Forget the transaction."""
        if self._deal is not None:
            deal, self._deal = self._deal, None
            await deal.discard()


_REACTIONS: dict[type[events.Event], Callable[[Session, Any], Awaitable[None]]] = {
    events.Hello: Session._hello,
    events.Reset: Session._reset,
    events.StartTls: Session._start_tls,
    events.LogIn: Session._log_in,
    events.KeysWanted: Session._give_keys,
    events.LogInConfirmed: Session._confirmed,
    events.Claim: Session._claim,
    events.Mail: Session._mail,
    events.Rcpt: Session._rcpt,
    events.Begin: Session._begin,
    events.Content: Session._content,
    events.TooLarge: Session._too_large,
    events.Quit: Session._quit,
    events.CutOff: Session._cut_off,
}
