"""How a client's conversation opens: greeting, EHLO, STARTTLS, log-in; then it is ready for transactions.

::

    GREETING → HELLO ─(STARTTLS → HANDSHAKE → HELLO)→ (AUTH) → IDLE

RFC 5321 §3.1, §3.2 (session initiation), RFC 3207 §4 (STARTTLS), RFC 4954 §4 (AUTH).
"""

from __future__ import annotations

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.smtp import client_commands as commands
from mailbox_appliance.wire.smtp.client_events import Credentials, Offers, Ready, Stage, StartTls, Trouble
from mailbox_appliance.wire.smtp.client_turns import Turns


class Opening(Turns):
    """From the greeting to Ready, or to a Refusal that says what stood in the way."""

    def __init__(self, hello: str, starttls: StartTls, credentials: Credentials | None) -> None:
        super().__init__(self._greeted)
        self._hello = hello
        self._starttls = starttls
        self._credentials = credentials
        self.greeting = ""
        self.secure = False
        self.tls_refused = ""  # why STARTTLS was offered but came to nothing

    def _greeted(self, reply: Reply) -> None:
        self.greeting = reply.text
        if reply.code == 220:
            self._say_hello()
        else:
            self._refuse(Trouble.GREETING, reply)

    def _say_hello(self) -> None:
        self.stage = Stage.HELLO
        self._send(commands.command(f"EHLO {self._hello}"), self._ehlo_answered)

    def _ehlo_answered(self, reply: Reply) -> None:
        if reply.code == 250:
            self.offers = commands.read_offers(reply)
            self._go_on()
        elif reply.is_permanent and self._credentials is None and self._may_be_clear():
            # RFC 5321 §3.2: a server that knows no EHLO gets HELO.
            self._send(commands.command(f"HELO {self._hello}"), self._helo_answered)
        else:
            self._refuse(Trouble.HELLO, reply)

    def _helo_answered(self, reply: Reply) -> None:
        if reply.code == 250:
            self.offers = Offers()
            self._go_on()
        else:
            self._refuse(Trouble.HELLO, reply)

    def _may_be_clear(self) -> bool:
        return self.secure or self._starttls is not StartTls.ALWAYS

    def _go_on(self) -> None:
        if not self.secure and self._starttls is not StartTls.NEVER and not self.tls_refused:
            if "STARTTLS" in self.offers:
                self.stage = Stage.STARTTLS
                self._send(b"STARTTLS\r\n", self._starttls_answered)
                return
            if self._starttls is StartTls.ALWAYS:
                reply = Reply(454, "4.7.0", "the server offers no STARTTLS, and without it nothing is sent")
                self._refuse(Trouble.NO_TLS, reply, remote=False)
                return
        if self._credentials is None:
            self._ready()
            return
        self.stage = Stage.AUTH
        mechanisms = self.offers.mechanisms
        if "PLAIN" in mechanisms:
            self._send(commands.auth_plain(self._credentials), self._plain_answered)
        elif "LOGIN" in mechanisms:
            self._send(b"AUTH LOGIN\r\n", self._login_asks_user)
        else:
            offered = " ".join(mechanisms) or "none"
            text = f"the server offers no log-in by PLAIN or LOGIN (it offers {offered})"
            self._refuse(Trouble.NO_AUTH, Reply(454, "4.7.0", text), remote=False)

    def _starttls_answered(self, reply: Reply) -> None:
        if reply.code == 220:
            self.stage = Stage.HANDSHAKE
        elif self._starttls is StartTls.ALWAYS:
            self._refuse(Trouble.NO_TLS, reply)
        else:
            self.tls_refused = str(reply)
            self._go_on()

    def _plain_answered(self, reply: Reply) -> None:
        if reply.code == 334 and self._credentials is not None:
            # A server that overlooked the initial response asks for it.
            self._send(commands.plain_response(self._credentials), self._auth_answered)
        else:
            self._auth_answered(reply)

    def _login_asks_user(self, reply: Reply) -> None:
        if reply.code == 334 and self._credentials is not None:
            self._send(commands.base64_line(self._credentials.user), self._login_asks_password)
        else:
            self._auth_answered(reply)

    def _login_asks_password(self, reply: Reply) -> None:
        if reply.code == 334 and self._credentials is not None:
            self._send(commands.base64_line(self._credentials.password), self._auth_answered)
        else:
            self._auth_answered(reply)

    def _auth_answered(self, reply: Reply) -> None:
        if reply.code == 235:
            self._ready()
        elif reply.code >= 400:
            self._refuse(Trouble.AUTH, reply)
        else:
            self._unexpected(reply)

    def _ready(self) -> None:
        self.stage = Stage.IDLE
        self._events.append(Ready(self.offers))
