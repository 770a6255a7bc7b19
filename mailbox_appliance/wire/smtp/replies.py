"""Reading what an SMTP server answers: octets in, whole replies out, everything bounded (RFC 5321 §4.2, RFC 2034).

A reply is one or more lines, ``250-text`` but for the last, ``250 text`` or ``250``. Lines may end in a bare LF (old
servers do that). The code of the last line counts where lines differ. Text becomes printable: what is not is "?".
"""

from __future__ import annotations

import re

from mailbox_appliance.mail.reply import Reply

# RFC 5321 §4.5.3.1.5 allows 512 octets a line; real servers write more.
LINE_OCTETS = 4096
REPLY_LINES = 250
REPLY_OCTETS = 65_536

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?=[ \t]|$)")  # RFC 3463 §2
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class MalformedReply(Exception):
    """The server does not speak SMTP, or says too much; ``str()`` tells what was wrong."""


class ReplyParser:
    """Feed octets, take replies; at most one unfinished reply is kept."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []
        self._octets = 0

    def feed(self, data: bytes) -> None:
        """Add octets as they came."""
        self._buffer += data

    def clear(self) -> int:
        """Forget everything that was not taken yet; returns how many octets that were (STARTTLS, RFC 3207 §4.2)."""
        octets = len(self._buffer) + self._octets
        self._buffer, self._lines, self._octets = b"", [], 0
        return octets

    def next_reply(self) -> Reply | None:
        """The next whole reply, or None until more octets come. Raises MalformedReply."""
        start = 0
        buffer = self._buffer
        try:
            while (end := buffer.find(b"\n", start)) >= 0:
                line = buffer[start : end - 1] if end > start and buffer[end - 1] == 13 else buffer[start:end]
                start = end + 1
                reply = self._take_line(line)
                if reply is not None:
                    return reply
        finally:
            self._buffer = buffer[start:]
        if len(self._buffer) > LINE_OCTETS:
            raise MalformedReply(f"a reply line of more than {LINE_OCTETS} octets")
        return None

    def _take_line(self, line: bytes) -> Reply | None:
        if len(line) > LINE_OCTETS:
            raise MalformedReply(f"a reply line of more than {LINE_OCTETS} octets")
        match = _LINE.fullmatch(line)
        if match is None:
            raise MalformedReply(f"not a reply: {printable(line[:80])!r}")
        self._lines.append(match[3] or b"")
        self._octets += len(line)
        if len(self._lines) > REPLY_LINES or self._octets > REPLY_OCTETS:
            raise MalformedReply("a reply without end")
        if match[2] == b"-":
            return None
        lines, self._lines, self._octets = self._lines, [], 0
        return build_reply(int(match[1]), [printable(text) for text in lines])


def printable(text: bytes) -> str:
    """Text of a stranger made fit for journals and bounces: no control characters (tabs become blanks)."""
    return _UNPRINTABLE.sub("?", text.decode("utf-8", "replace").replace("\t", " ")).rstrip()


def build_reply(code: int, lines: list[str]) -> Reply:
    """Split the enhanced status code off the lines; one that contradicts ``code`` stays text (RFC 2034 §4)."""
    match = _ENHANCED.match(lines[0])
    if match is None or match[1] != str(code)[0]:
        return Reply(code, "", "\n".join(lines))
    enhanced = match[0]
    bare = [line[len(enhanced) :].lstrip() if line.startswith(enhanced) else line for line in lines]
    return Reply(code, enhanced, "\n".join(bare))
