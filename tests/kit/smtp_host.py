"""A mail host that does what a test says: answers by script, keeps what it was sent, drops where it is told to."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.protocol import Protocol


@dataclass
class SmtpHost:
    """``answers``: verb → reply ("550 5.1.1 no"), "drop" (close), or "silent"; RCPT also by address; "." is the end of
    content. ``offers`` are EHLO's keywords; ``tls`` a server-side connection creator, also for ``implicit`` TLS."""

    answers: dict[str, str] = field(default_factory=dict)
    offers: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 0")
    tls: Any = None
    implicit: bool = False
    login: tuple[str, str] | None = None
    behind_starttls: bytes = b""
    commands: list[str] = field(default_factory=list)
    mails: list[tuple[str, tuple[str, ...], bytes]] = field(default_factory=list)
    connections: int = 0

    def __call__(self) -> SmtpTalk:
        self.connections += 1
        return SmtpTalk(self)


class SmtpTalk(Protocol):
    """One connection of a SmtpHost."""

    def __init__(self, host: SmtpHost) -> None:
        self.host = host
        self.buffer = b""
        self.content: list[bytes] | None = None
        self.secure = False
        self.silent = False  # after a command it does not answer it answers no other one
        self.sender = ""
        self.recipients: list[str] = []

    def connectionMade(self) -> None:
        if self.host.implicit:
            self.secure = True
            self.transport.startTLS(self.host.tls)  # type: ignore[union-attr]
        self.answer("greeting", "220 mx.test ESMTP")

    def say(self, text: str) -> None:
        assert self.transport is not None
        self.transport.write(text.encode() + b"\r\n")

    def answer(self, verb: str, usual: str) -> bool:
        """Say what the script says; True when it was a good answer and the connection goes on."""
        assert self.transport is not None
        reply = self.host.answers.get(verb, usual)
        if reply == "drop":
            self.transport.loseConnection()
            return False
        if reply == "silent":
            self.silent = True
        if self.silent:
            return False
        self.say(reply)
        return reply[:1] in "23"

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        while self.buffer:
            if self.content is not None:
                if not self.take_content():
                    return
                continue
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                return
            self.buffer = rest
            self.command(line.decode())

    def take_content(self) -> bool:
        assert self.content is not None
        if self.buffer.startswith(b".\r\n") and (not self.content or self.content[-1].endswith(b"\r\n")):
            content, self.content, self.buffer = b"".join(self.content), None, self.buffer[3:]
            self.finish(content)
            return True
        end = self.buffer.find(b"\r\n.\r\n")
        if end < 0:
            keep = min(4, len(self.buffer))
            self.content.append(self.buffer[: len(self.buffer) - keep])
            self.content = [b"".join(self.content)] if len(self.content) > 1000 else self.content
            self.buffer = self.buffer[len(self.buffer) - keep :]
            return False
        content = b"".join([*self.content, self.buffer[: end + 2]])
        self.content, self.buffer = None, self.buffer[end + 5 :]
        self.finish(content)
        return True

    def finish(self, content: bytes) -> None:
        if self.answer(".", "250 2.0.0 kept") and self.recipients:
            lines = content.split(b"\r\n")
            clean = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
            self.host.mails.append((self.sender, tuple(self.recipients), clean))
        self.sender, self.recipients = "", []

    def command(self, line: str) -> None:
        self.host.commands.append(line)
        verb = line.split(" ")[0].split(":")[0].upper()
        if verb == "EHLO":
            offers = list(self.host.offers)
            if self.host.tls is not None and not self.secure:
                offers.append("STARTTLS")
            if self.host.login is not None and (self.secure or self.host.tls is None):
                offers.append("AUTH PLAIN LOGIN")
            words = ["mx.test", *offers]
            usual = "\r\n".join(f"250{'-' if n < len(words) - 1 else ' '}{word}" for n, word in enumerate(words))
            self.answer("EHLO", usual)
        elif verb == "STARTTLS":
            if self.answer("STARTTLS", "220 go"):
                assert self.transport is not None
                if self.host.behind_starttls:
                    self.transport.write(self.host.behind_starttls)
                self.secure, self.buffer = True, b""
                self.transport.startTLS(self.host.tls)  # type: ignore[attr-defined]
        elif verb == "AUTH":
            user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")[1:]
            self.host.commands[-1] = "AUTH PLAIN …"
            good = (user, password) == self.host.login
            self.answer("AUTH", "235 2.7.0 welcome" if good else "535 5.7.8 wrong user or password")
        elif verb == "MAIL":
            if self.answer("MAIL", "250 2.1.0 ok"):
                self.sender = line[10:].partition(">")[0].lstrip("<")
        elif verb == "RCPT":
            address = line[8:].partition(">")[0].lstrip("<")
            if self.answer(address if address in self.host.answers else "RCPT", "250 2.1.5 ok"):
                self.recipients.append(address)
        elif verb == "DATA":
            if self.answer("DATA", "354 go" if self.recipients else "554 5.5.1 no valid recipients"):
                self.content = []
        elif verb == "RSET":
            self.sender, self.recipients = "", []
            self.answer("RSET", "250 2.0.0 forgotten")
        elif verb == "QUIT":
            if self.answer("QUIT", "221 2.0.0 bye"):
                assert self.transport is not None
                self.transport.loseConnection()
        else:
            self.answer(verb, "250 hello" if verb == "HELO" else "500 what")
