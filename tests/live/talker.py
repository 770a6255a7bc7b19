"""A plain IMAP client that keeps every answer as values, so that two servers' answers can be compared."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

_ATOM = re.compile(rb"[^\s()\[\]\"{}]+(?:\[[^\]]*\])?(?:<\d+>)?")


@dataclass
class Answer:
    """Untagged responses in order, the tagged line's status and its text (with the response code)."""

    status: str = ""
    text: str = ""
    untagged: list[list[Any]] = field(default_factory=list)

    def of(self, word: str) -> list[list[Any]]:
        """Untagged responses of one kind: its words behind the name, the number first where there is one."""
        found = []
        for one in self.untagged:
            if one and one[0] == word:
                found.append(one[1:])
            elif len(one) > 1 and one[1] == word:
                found.append([one[0], *one[2:]])
        return found


def words(octets: bytes) -> list[Any]:
    """Atoms as str, strings as bytes, NIL as None, lists as lists, to the end."""
    at = 0
    stack: list[list[Any]] = [[]]
    while at < len(octets):
        byte = octets[at : at + 1]
        if byte in b" \r\n\t":
            at += 1
        elif byte in b"([" and not (byte == b"[" and stack[-1]):
            stack.append([])
            at += 1
        elif byte == b")":
            if len(stack) == 1:
                raise ValueError(f"one ) too many in {octets[:300]!r}")
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        elif byte == b'"':
            text = bytearray()
            at += 1
            while octets[at : at + 1] != b'"':
                if octets[at : at + 1] == b"\\":
                    at += 1
                text += octets[at : at + 1]
                at += 1
            at += 1
            stack[-1].append(bytes(text))
        elif byte == b"{" or octets[at : at + 2] == b"~{":
            end = octets.index(b"}\r\n", at)
            length = int(octets[at:end].lstrip(b"~{").rstrip(b"+"))
            stack[-1].append(octets[end + 3 : end + 3 + length])
            at = end + 3 + length
        else:
            match = _ATOM.match(octets, at)
            if match is None:
                at += 1
                continue
            word = match[0]
            if word.upper().startswith((b"BODY[", b"BINARY[")) and b"]" not in word:
                raise ValueError(f"odd section in {octets[:300]!r}")
            at = match.end()
            stack[-1].append(None if word.upper() == b"NIL" else word.decode("utf-8", "replace"))
    return stack[0]


class Talker:
    """One connection. ``note`` gathers what was said."""

    def __init__(self, port: int, user: str, password: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        raw = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket = context.wrap_socket(raw)
        self._file = self._socket.makefile("rb")
        self._tag = 0
        self._file.readline()
        answer = self.say(b'LOGIN "' + user.encode() + b'" "' + password.encode() + b'"')
        assert answer.status == "OK", answer

    def close(self) -> None:
        self._socket.close()

    def _line(self) -> bytes:
        """A whole response, literals included."""
        octets = b""
        while True:
            piece = self._file.readline()
            if not piece:
                raise ConnectionError("it hung up")
            octets += piece
            literal = re.search(rb"\{(\d+)\}\r\n$", piece)
            if literal is None:
                return octets
            octets += self._file.read(int(literal[1]))

    def say(self, command: bytes) -> Answer:
        """Literals in ``command`` must be non-synchronizing."""
        self._tag += 1
        tag = b"t%d" % self._tag
        self._socket.sendall(tag + b" " + command + b"\r\n")
        answer = Answer()
        while True:
            line = self._line()
            if line.startswith(tag + b" "):
                status, _, text = line[len(tag) + 1 :].rstrip(b"\r\n").partition(b" ")
                answer.status, answer.text = status.decode(), text.decode("utf-8", "replace")
                return answer
            if not line.startswith(b"* "):
                raise ValueError(f"{line[:200]!r}")
            body = line[2:]
            if re.match(rb"(?i)(OK|NO|BAD|BYE|PREAUTH) ", body):
                status, _, text = body.rstrip(b"\r\n").partition(b" ")
                answer.untagged.append([status.decode().upper(), text.decode("utf-8", "replace")])
                continue
            found = words(body)
            if found and isinstance(found[0], str) and found[0].isdecimal():
                found[0] = int(found[0])
                found[1] = found[1].upper()
            elif found:
                found[0] = found[0].upper()
            answer.untagged.append(found)
