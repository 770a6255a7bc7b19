"""One connection to the next host: the client core joined to a Twisted transport, with a timer for every wait.

The timer runs per whole reply, so a server that drips octets gains nothing (RFC 5321 §4.5.3.2 gives the times).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IHandshakeListener, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.relay.cargo import CargoLost, slices
from mailbox_appliance.relay.settings import Timeouts
from mailbox_appliance.relay.tls import Handshake, TlsResult, tls_fault
from mailbox_appliance.wire.smtp.client import ClientCore
from mailbox_appliance.wire.smtp.client_events import (
    ContentDue,
    Credentials,
    Done,
    Event,
    HandshakeDue,
    Ready,
    Refusal,
    Stage,
    StartTls,
    Transaction,
    Trouble,
)
from mailbox_appliance.wire.smtp.stuffing import Stuffing

if TYPE_CHECKING:
    from collections.abc import Callable


class SessionTrouble(Exception):
    """No session, or none any more. ``reply`` is the server's when ``remote``; ``reason`` is for the owner."""

    def __init__(
        self, trouble: Trouble, reply: Reply, reason: str = "", *, remote: bool = False, kind: str = ""
    ) -> None:
        """``kind``: the fault of TLS in a word, for reports (RFC 8460 §4.3)."""
        super().__init__(reason or str(reply))
        self.kind = kind
        self.trouble = trouble
        self.reply = reply
        self.reason = reason
        self.remote = remote


@dataclass(frozen=True, slots=True)
class Terms:
    """How a session is to be opened. ``handshake`` None: without TLS. ``must_verify``: or nothing is said.

    ``downgraded`` says why this is the second try, in clear.
    """

    hello: str
    starttls: StartTls = StartTls.NEVER
    implicit: bool = False
    must_verify: bool = False
    handshake: Handshake | None = None
    credentials: Credentials | None = None
    downgraded: str = ""


@implementer(IHandshakeListener, IPushProducer)
class Session(Protocol):
    """``ready`` fires when transactions may begin, or fails with SessionTrouble; then ``send`` one after the other."""

    def __init__(self, clock: Clock, workers: Workers, terms: Terms, timeouts: Timeouts) -> None:
        self._clock = clock
        self._workers = workers
        self.terms = terms
        self._patience = _patience(timeouts)
        self.core = ClientCore(terms.hello, starttls=terms.starttls, credentials=terms.credentials)
        self.ready: Deferred[None] = Deferred(lambda _: self.abort())
        self.tls: TlsResult | None = None
        self.messages = 0
        self.closed = False
        self.on_close: Callable[[Session], None] | None = None
        self._handshaking = False
        self._waiter: Deferred[Done] | None = None
        self._content: Content | None = None
        self._pump: Deferred[None] | None = None
        self._gate: Deferred[None] | None = None
        self._timer: Timer | None = None
        self._waits_for: tuple[Stage, int] | None = None

    @property
    def is_idle(self) -> bool:
        """Open and waiting for a message."""
        return not self.closed and self.core.stage is Stage.IDLE

    @property
    def tls_text(self) -> str:
        """For Outcome.tls: "TLSv1.3 verified", or "" for clear."""
        return str(self.tls) if self.tls else ""

    # ------------------------------------------------------------ what the owner asks

    @property
    def downgraded(self) -> str:
        """Why mail goes in clear though the host offers TLS; "" when it does not."""
        return self.terms.downgraded or self.core.tls_refused

    def send(self, transaction: Transaction, content: Content | None = None) -> Deferred[Done]:
        """Send one message (only when idle). Cancelling closes the connection; the message is then undecided."""
        waiter: Deferred[Done] = Deferred(lambda _: self.abort())
        self._waiter, self._content = waiter, content
        self.messages += 1
        self._act(self.core.begin(transaction))
        return waiter

    def quit(self) -> None:
        """Say goodbye and close; does not wait longer than the time-out for QUIT."""
        if not self.closed:
            self._act(self.core.quit())

    def abort(self) -> None:
        """Close at once, whatever is going on."""
        self._stop_timer()
        if not self.closed and self.transport is not None:
            cast(ITCPTransport, self.transport).abortConnection()

    # ------------------------------------------------------------ what Twisted tells

    def connectionMade(self) -> None:
        transport = cast(ITCPTransport, self.transport)
        transport.setTcpNoDelay(True)
        if self.terms.implicit:
            self._start_tls()
        self._restart_timer()

    def dataReceived(self, data: bytes) -> None:
        if not self._handshaking and not self.closed:
            self._act(self.core.receive(data))

    def handshakeCompleted(self) -> None:
        assert self.terms.handshake is not None
        self._handshaking = False
        self.tls = self.terms.handshake.result()
        if self.terms.must_verify and not self.tls.verified:
            self._distrust(self.tls.fault, self.tls.kind)
            self.abort()
            return
        self.core.verified = self.tls.verified
        self._act(self.core.tls_started())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed = True
        self._stop_timer()
        self._open_gate()
        words = "" if reason.check(ConnectionDone) else tls_fault(cast(BaseException, reason.value))
        if self._handshaking:
            fault = self.terms.handshake.chain_fault if self.terms.handshake else ""
            if fault and self.terms.must_verify:
                self._distrust(fault)
            text = f"the TLS handshake failed: {words or 'the other side closed the connection'}"
            self._fail(SessionTrouble(Trouble.HANDSHAKE, Reply(454, "4.7.0", text), text))
        self._tell(self.core.lost(words))
        self._fail(SessionTrouble(Trouble.LOST, Reply(421, "4.4.2", "connection closed"), "connection closed"))
        if self.on_close is not None:
            self.on_close(self)

    # ------------------------------------------------------------ events of the core

    def _act(self, events: list[Event]) -> None:
        octets = self.core.take()
        if octets and self.transport is not None:
            self.transport.write(octets)
        self._tell(events)
        if self.core.stage is Stage.CLOSED and not self.closed and self.transport is not None:
            self.transport.loseConnection()
            if self._waits_for is None or self._waits_for[0] is not Stage.CLOSED:
                self._restart_timer()
        elif (self.core.stage, self.core.replies) != self._waits_for:
            self._restart_timer()

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Ready):
                if not self.ready.called:
                    self.ready.callback(None)
            elif isinstance(event, HandshakeDue):
                self._start_tls()
            elif isinstance(event, ContentDue):
                self._pump = Deferred.fromCoroutine(self._send_content())
                self._pump.addErrback(self._pump_failed)
            elif isinstance(event, Refusal):
                trouble = SessionTrouble(event.trouble, event.reply, event.reason, remote=event.remote)
                self._fail(trouble)
            elif isinstance(event, Done):
                self._stop_pump()
                waiter, self._waiter = self._waiter, None
                if event.broken and not self.closed:
                    self.abort()
                if waiter is not None and not waiter.called:
                    waiter.callback(event)

    def _fail(self, trouble: SessionTrouble) -> None:
        if not self.ready.called:
            self.ready.errback(trouble)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.called:
            waiter.errback(trouble)

    def _distrust(self, fault: str, kind: str = "certificate-not-trusted") -> None:
        text = f"the certificate is not good: {fault}"
        self._fail(SessionTrouble(Trouble.CERTIFICATE, Reply(454, "4.7.5", text), text, kind=kind))

    def _start_tls(self) -> None:
        assert self.terms.handshake is not None
        self._handshaking = True
        # The certificate belongs to the name in the handshake; Twisted calls handshakeCompleted when it is over.
        cast(ITCPTransport, self.transport).startTLS(self.terms.handshake)  # type: ignore[attr-defined]

    # ------------------------------------------------------------ content

    async def _send_content(self) -> None:
        stuffing = Stuffing()
        content = self._content
        assert content is not None
        pieces = slices(content, self._workers)
        transport = cast(IConsumer, self.transport)
        transport.registerProducer(self, True)
        try:
            held = b""
            async for piece in pieces:
                if held:
                    await self._write(held)
                held = stuffing.chunk(piece)
            await self._write(held + stuffing.end())
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]
            transport.unregisterProducer()
            self._open_gate()  # nobody resumes us any more, and the next message must not wait for it
        self._act(self.core.content_sent())

    async def _write(self, octets: bytes) -> None:
        while self._gate is not None:
            await self._gate
        if self.closed:
            raise CancelledError
        assert self.transport is not None
        self.transport.write(octets)
        self._restart_timer()

    def _pump_failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            text = str(failure.value) if failure.check(CargoLost) else f"unexpected: {type(failure.value).__name__}"
            self._act(self.core.content_failed(f"the message cannot be read: {text}"))
            self.abort()

    def _stop_pump(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None and not pump.called:
            pump.cancel()

    def pauseProducing(self) -> None:
        if self._gate is None:
            self._gate = Deferred()

    def resumeProducing(self) -> None:
        self._open_gate()

    def stopProducing(self) -> None:
        self._open_gate()

    def _open_gate(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None and not gate.called:
            gate.callback(None)

    # ------------------------------------------------------------ the timer

    def _seconds(self) -> float | None:
        """How long the present wait may last; None while idle, when the pool keeps the time."""
        return self._patience.get(Stage.HANDSHAKE if self._handshaking else self.core.stage)

    def _restart_timer(self) -> None:
        self._stop_timer()
        self._waits_for = (self.core.stage, self.core.replies)
        seconds = self._seconds()
        if seconds is not None and not self.closed:
            self._timer = self._clock.callLater(seconds, self._timed_out, seconds)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _timed_out(self, seconds: float) -> None:
        self._timer = None
        if self._handshaking:
            text = f"the TLS handshake was not done within {seconds:.0f} s"
            self._fail(SessionTrouble(Trouble.HANDSHAKE, Reply(454, "4.7.0", text), text))
        self._tell(self.core.timed_out(seconds))
        self.abort()


@functools.lru_cache(maxsize=16)
def _patience(times: Timeouts) -> dict[Stage, float]:
    """Seconds for each wait (RFC 5321 §4.5.3.2); there is none while idle."""
    seconds = {
        Stage.GREETING: times.greeting,
        Stage.HELLO: times.hello,
        Stage.STARTTLS: times.hello,
        Stage.HANDSHAKE: times.handshake,
        Stage.AUTH: times.auth,
        Stage.ENVELOPE: times.envelope,
        Stage.DATA: times.data,
        Stage.CONTENT: times.block,
        Stage.FINAL: times.final,
        Stage.QUIT: times.quit,
        Stage.CLOSED: times.quit,
    }
    return {stage: wait * times.scale for stage, wait in seconds.items()}
