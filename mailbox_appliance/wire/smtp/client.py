"""The client's side of SMTP as a machine without wires: octets of the server in, octets to send and events out.

::

    GREETING → HELLO ─(STARTTLS → HANDSHAKE → HELLO)→ (AUTH) → IDLE ⇄ ENVELOPE → DATA → CONTENT → FINAL → IDLE … QUIT

How it opens is told in ``client_opening``, how commands and replies take turns in ``client_turns``; here is one
transaction after the other. With PIPELINING MAIL, all RCPTs and DATA leave together. The content waits for all of their
replies, so that a message nobody wants is never sent: a server that asks for it all the same gets a lone dot (RFC 2920
§3.1). What came before TLS is forgotten (RFC 3207 §4.2). RFC 5321 §4.2 (replies), §4.3 (sequence); RFC 1870, 3461,
6152, 6531, 8689.

A server without 8BITMIME gets 8-bit content as it is: such servers are 8-bit clean in practice, while a conversion
(RFC 6152 §3) would break every DKIM signature.
"""

from __future__ import annotations

import functools

from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.smtp import client_checks as checks
from mailbox_appliance.wire.smtp import client_commands as commands
from mailbox_appliance.wire.smtp.client_events import (
    ContentDue,
    Credentials,
    Done,
    Event,
    HandshakeDue,
    Offers,
    Stage,
    StartTls,
    Transaction,
    Trouble,
)
from mailbox_appliance.wire.smtp.client_opening import Opening
from mailbox_appliance.wire.smtp.client_turns import Step
from mailbox_appliance.wire.smtp.replies import MalformedReply


class ClientCore(Opening):
    """One connection. Feed with ``receive``, ``lost``, ``timed_out``; after each call send what ``take`` gives."""

    def __init__(
        self, hello: str, *, starttls: StartTls = StartTls.IF_OFFERED, credentials: Credentials | None = None
    ) -> None:
        """``hello``: the name for EHLO (RFC 5321 §4.1.1.1). Raises UnsafeText when it holds control characters."""
        commands.command(hello)
        super().__init__(hello, starttls, credentials)
        self._accepted: list[tuple[int, Reply]] = []
        self._unclean = False
        self._data_said = False  # DATA left with the RCPTs
        self.verified = False  # the server has proved who it is; whoever holds the connection says so

    # ------------------------------------------------------------ the owner's calls

    def receive(self, data: bytes) -> list[Event]:
        """Octets from the server; returns what they mean."""
        if self.stage in (Stage.HANDSHAKE, Stage.CLOSED):
            return self._told()
        self._parser.feed(data)
        try:
            while not self._is(Stage.CLOSED) and (reply := self._parser.next_reply()) is not None:
                self._replied(reply)
                if self._is(Stage.HANDSHAKE):
                    # Whatever else came in clear is not the server's word (injection before TLS).
                    self._events.append(HandshakeDue(self._parser.clear()))
                    break
        except MalformedReply as error:
            self._break(Trouble.MALFORMED, Reply(451, "4.5.0", f"the server does not speak SMTP: {error}"))
        return self._told()

    def take(self) -> bytes:
        """Octets to send now."""
        self._pump()
        octets = b"".join(self._output)
        self._output.clear()
        return octets

    def tls_started(self) -> list[Event]:
        """The handshake is done: forget what was said in clear and say EHLO again (RFC 3207 §4.2)."""
        self.secure = True
        self.offers = Offers()
        self._parser.clear()
        if self.stage is Stage.HANDSHAKE:
            self._say_hello()
        return self._told()

    def begin(self, transaction: Transaction) -> list[Event]:
        """Send a message (only when IDLE). A message that cannot go at all is Done at once."""
        assert self.stage is Stage.IDLE, self.stage
        envelope, offers = transaction.envelope, self.offers
        self._transaction, self._accepted, self._content_sent = transaction, [], False
        self._outcomes = [None] * len(envelope.recipients)
        whole = checks.cannot_go(transaction, offers, verified=self.verified)
        utf8 = checks.wants_utf8(transaction, offers)
        lines: list[tuple[bytes, Step]] = []
        for index, recipient in enumerate(envelope.recipients):
            refused = whole
            if refused is None and not recipient.forward_path.is_ascii and "SMTPUTF8" not in offers:
                refused = checks.NO_UTF8
            if refused is None:
                try:
                    line = commands.rcpt_command(recipient, offers, smtputf8=utf8)
                    lines.append((line, functools.partial(self._rcpt_answered, index)))
                except commands.UnsafeText:
                    refused = checks.UNSAFE_RECIPIENT
            if refused is not None:
                self._outcomes[index] = refused
        try:
            mail = commands.mail_command(transaction, offers, smtputf8=utf8)
        except commands.UnsafeText:
            self._settle(checks.UNSAFE_SENDER)
            lines.clear()
        if not lines:
            self._finish()
            return self._told()
        self.stage = Stage.ENVELOPE
        if self._unclean:
            self._send(b"RSET\r\n", self._reset_first)
        self._send(mail, self._mail_answered)
        for line, step in lines:
            self._send(line, step)
        self._data_said = "PIPELINING" in offers and not transaction.probe
        if self._data_said:
            self._send(b"DATA\r\n", self._data_answered)
        return self._told()

    def content_sent(self) -> list[Event]:
        """The content and its dot line have been handed to the connection."""
        if self.stage is Stage.CONTENT:
            self.stage, self._content_sent = Stage.FINAL, True
        return self._told()

    def content_failed(self, reason: str) -> list[Event]:
        """The content cannot be read to its end: close the connection at once, without a dot line."""
        self._break(Trouble.LOST, Reply(451, "4.3.0", "the message could not be read from disk"), reason)
        return self._told()

    def quit(self) -> list[Event]:
        """Say goodbye; when the reply is in, ``stage`` is CLOSED."""
        if self.stage is not Stage.CLOSED:
            self.stage = Stage.QUIT
            self._unsent.clear()
            self._send(b"QUIT\r\n", self._quitted)
        return self._told()

    def lost(self, reason: str = "") -> list[Event]:
        """The connection is gone."""
        waiting = self.stage.value
        text = f"connection lost while waiting for {waiting}"
        self._break(Trouble.LOST, Reply(421, "4.4.2", text), f"{text}{': ' if reason else ''}{reason}")
        return self._told()

    def timed_out(self, seconds: float) -> list[Event]:
        """The server took too long over what ``stage`` says (RFC 5321 §4.5.3.2): the connection must be closed."""
        text = f"no answer within {seconds:.0f} s while waiting for {self.stage.value}"
        self._break(Trouble.SLOW, Reply(421, "4.4.2", text), text)
        return self._told()

    # ------------------------------------------------------------ one transaction

    def _reset_first(self, reply: Reply) -> None:
        if reply.code != 250:
            self._break_by(reply)
        self._unclean = False

    def _mail_answered(self, reply: Reply) -> None:
        if 200 <= reply.code < 300:
            self._unclean = True
            return
        if reply.code < 400:
            self._unexpected(reply)
            return
        self._settle(checks.by_server(reply))
        self._unsent.clear()
        self._all_answered()

    def _rcpt_answered(self, index: int, reply: Reply) -> None:
        if self._outcomes[index] is None:
            if 200 <= reply.code < 300:
                self._accepted.append((index, reply))
            elif reply.code < 400:
                self._unexpected(reply)
                return
            elif reply.code == 552 and reply.enhanced in ("", "5.5.3") and self._accepted:
                # RFC 5321 §4.5.3.1.10: some servers say 552 for "too many recipients"; that is transient.
                self._outcomes[index] = Outcome(Result.TRY_AGAIN, reply, remote=True)
            else:
                self._outcomes[index] = checks.by_server(reply)
        self._all_answered()

    def _all_answered(self) -> None:
        """After the last reply to MAIL and RCPT: DATA, if anybody wants the message and it has not been said."""
        if self._data_said:
            if len(self._expected) == 1:
                self.stage = Stage.DATA
            return
        if self._expected or self._unsent or self._transaction is None:
            return
        if self._accepted and not self._transaction.probe:
            self.stage = Stage.DATA
            self._send(b"DATA\r\n", self._data_answered)
            return
        for index, reply in self._accepted:  # a probe: accepted is all we wanted to know
            self._outcomes[index] = Outcome(Result.DELIVERED, reply, remote=True)
        self._finish()

    def _data_answered(self, reply: Reply) -> None:
        if not self._accepted:
            self._nobody_wants_it(reply)
        elif reply.code == 354:
            self.stage = Stage.CONTENT
            self._expected.append(self._content_answered)
            self._events.append(ContentDue())
        elif reply.code >= 400:
            self._settle(checks.by_server(reply))
            self._finish()
        else:
            self._unexpected(reply)

    def _nobody_wants_it(self, reply: Reply) -> None:
        """DATA had left before all recipients were refused. Most servers refuse it, too."""
        if reply.code == 354:
            self._output.append(b".\r\n")
            self._expected.append(self._dot_answered)
        elif reply.code >= 400:
            self._finish()
        else:
            self._unexpected(reply)

    def _dot_answered(self, reply: Reply) -> None:
        """Whatever it says to an empty message for nobody."""
        if reply.code >= 200 and not 300 <= reply.code < 400:
            self._finish()
        else:
            self._unexpected(reply)

    def _content_answered(self, reply: Reply) -> None:
        if self.stage is Stage.CONTENT:
            # The server did not wait for the end. A refusal counts; the connection is out of step.
            if reply.code >= 400:
                self._settle(checks.by_server(reply))
                self._break(Trouble.BUSY, reply, remote=True)
            else:
                self._unexpected(reply)
        elif 200 <= reply.code < 300:
            self._unclean = False
            self._settle(Outcome(Result.DELIVERED, reply, remote=True))
            self._finish()
        elif reply.code >= 400:
            self._settle(checks.by_server(reply))
            self._finish()
        else:
            self._unexpected(reply)

    def _finish(self) -> None:
        self.stage = Stage.IDLE
        self._transaction = None
        self._events.append(Done(tuple(outcome for outcome in self._outcomes if outcome is not None)))
