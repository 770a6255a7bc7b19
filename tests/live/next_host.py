"""A next host for the live tests: it takes everything but mail for ``nobody``, and keeps what it was given."""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Taken:
    """One message as it came; ``return_path`` is what MAIL FROM said, without the brackets."""

    return_path: str
    recipients: tuple[str, ...]
    text: bytes


class _Session(socketserver.StreamRequestHandler):
    server: NextHost

    def handle(self) -> None:
        return_path, recipients = "", []
        self.wfile.write(b"220 next.example ESMTP\r\n")
        while line := self.rfile.readline():
            verb, path = line[:4].upper(), line.decode().partition("<")[2].partition(">")[0]
            reply = b"250 next.example\r\n"
            if verb == b"MAIL":
                return_path, recipients = path, []
            elif verb == b"RCPT" and path.startswith("nobody@"):
                reply = b"550 5.1.1 no such user\r\n"
            elif verb == b"RCPT":
                recipients.append(path)
            elif verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (text := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(text)
                self.server.taken.append(Taken(return_path, tuple(recipients), b"".join(lines)))
                reply = b"250 2.0.0 taken\r\n"
            elif verb == b"QUIT":
                reply = b"221 bye\r\n"
            self.wfile.write(reply)
            if verb == b"QUIT":
                return


class NextHost(socketserver.ThreadingTCPServer):
    """Listens on a free port of 127.0.0.1 from the beginning; ``close`` ends it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.taken: list[Taken] = []
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
