"""A raw peer on a blocking socket: says octets exactly as a test wants them, and reads whole replies."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from types import TracebackType
from typing import Self


def trusting() -> ssl.SSLContext:
    """A client context that trusts every certificate: for tests that are about something else."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Peer:
    """One connection. ``source`` is the address to come from; every wait ends after ``patience`` seconds."""

    def __init__(
        self, port: int, *, host: str = "127.0.0.1", tls: bool = False, source: str = "", patience: float = 20
    ):
        self.socket: socket.socket = socket.create_connection((host, port), patience, (source, 0) if source else None)
        self._rest = b""
        if tls:
            self.start_tls()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start_tls(self) -> None:
        """Shake hands now."""
        self.socket = trusting().wrap_socket(self.socket)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, octets: bytes) -> None:
        """Exactly these; nothing happens when the server has hung up already."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.socket.sendall(octets)

    def line(self) -> bytes:
        """The next line with its end; b"" when the server has hung up."""
        while b"\n" not in self._rest:
            try:
                octets = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
                octets = b""
            if not octets:
                line, self._rest = self._rest, b""
                return line
            self._rest += octets
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"

    def rest(self) -> bytes:
        """Everything until the server hangs up."""
        lines = []
        while line := self.line():
            lines.append(line)
        return b"".join(lines)

    def silent_for(self, seconds: float) -> bool:
        """True when nothing comes within that time."""
        if self._rest:
            return False
        patience = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self._rest = self.socket.recv(65536)
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(patience)

    # ------------------------------------------------------------ SMTP

    def reply(self) -> str:
        """The next whole SMTP reply; "" when the server has hung up."""
        lines = []
        while True:
            line = self.line()
            lines.append(line)
            if not line or line[3:4] != b"-":
                return b"".join(lines).decode().rstrip("\r\n")

    def say(self, line: str | bytes) -> str:
        """One command, one reply."""
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def hello(self) -> str:
        """The greeting and EHLO."""
        self.reply()
        return self.say("EHLO peer.example")

    def envelope(self, sender: str, *recipients: str) -> str:
        """MAIL and RCPT; the last reply."""
        reply = self.say(f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            reply = self.say(f"RCPT TO:<{recipient}>")
        return reply

    def data(self, content: bytes) -> str:
        """DATA with content whose lines end in CRLF; the last reply."""
        go = self.say("DATA")
        if not go.startswith("354"):
            return go
        self.send(content + b".\r\n")
        return self.reply()

    def auth_plain(self, user: str, password: str) -> str:
        """AUTH PLAIN with an initial response."""
        return self.say("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())

    # ------------------------------------------------------------ IMAP

    def ask(self, command: str | bytes, tag: str = "a") -> list[bytes]:
        """One IMAP command: all lines to the tagged one, or to the end of the connection."""
        self.send(tag.encode() + b" " + (command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.answer(tag)

    def answer(self, tag: str = "a") -> list[bytes]:
        """Lines to the tagged one, or to the end of the connection."""
        lines = []
        while line := self.line():
            lines.append(line)
            if line.startswith(tag.encode() + b" "):
                break
        return lines
