"""Messages of our own making: a short text to one person, as octets (RFC 5322 §3.6, RFC 2045, RFC 3834 §5).

Nothing here knows where a letter goes; it is accepted like any other message.
"""

from __future__ import annotations

import re
from email.header import Header

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.dates import mail_date_time
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.values import dataclass

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# RFC 5322 §2.1.1: a line has at most 998 octets.
_LONGEST_LINE = 900
_LONGEST_WORD = 900
_LONGEST_NAME = 100  # characters; four octets each, in encoded words on one line with the address
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


@dataclass(frozen=True, slots=True)
class Letter:
    """``sender`` is the From field's address, ``display`` the name before it ("": none); ``text`` has LF line ends."""

    sender: Address
    to: Address
    subject: str
    text: str
    display: str = "Mail System"
    auto_submitted: str = "auto-generated"  # RFC 3834 §5; "auto-replied" for answers
    answers: str = ""  # the Message-ID this one speaks of, with its angle brackets


def one_line(text: str) -> str:
    """``text`` without line ends and other controls: nothing that is put into a field can begin another one."""
    return _CONTROLS.sub(" ", text).strip()


def encoded_field(name: str, text: str) -> str:
    """``name: text`` folded, in encoded words where it is not ASCII (RFC 2047); ends in LF."""
    text = one_line(text)[:_LONGEST_WORD]  # which cannot be folded when it has no blank (RFC 5322 §2.1.1)
    header = Header(text, None if text.isascii() else "utf-8", maxlinelen=76, header_name=name)
    return f"{name}: {header.encode(linesep=chr(10))}\n"


def mailbox(display: str, address: Address) -> str:
    """``Ann Example <ann@example.org>`` as a field has it (RFC 5322 §3.4); the address alone without a name."""
    name = one_line(display)[:_LONGEST_NAME].strip()
    if not name:
        return one_line(str(address))
    if not name.isascii():
        name = Header(name, "utf-8", maxlinelen=200).encode(linesep="")
    elif not _ATOMS.fullmatch(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{one_line(str(address))}>"


def mail_fields(letter: Letter, message_id: str, now: float) -> str:
    """Every field but those of MIME; ends in LF. ``message_id`` has its angle brackets."""
    fields = [
        f"Date: {mail_date_time(now)}\n",
        f"From: {mailbox(letter.display, letter.sender)}\n",
        f"To: {one_line(str(letter.to))}\n",
        encoded_field("Subject", letter.subject),
        f"Message-ID: {message_id}\n",
    ]
    if letter.answers:
        answers = one_line(letter.answers)[:_LONGEST_LINE]
        fields += [f"In-Reply-To: {answers}\n", f"References: {answers}\n"]
    fields.append(f"Auto-Submitted: {letter.auto_submitted}\n")
    return "".join(fields)


def body_text(text: str) -> tuple[bytes, str]:
    """The text's octets, each line of bearable length, and its Content-Transfer-Encoding."""
    lines = []
    for line in text.rstrip("\n").split("\n"):
        line = _CONTROLS.sub(lambda match: match[0] if match[0] == "\t" else "?", line)
        while len(line.encode("utf-8", "replace")) > _LONGEST_LINE:
            lines.append(line[: _LONGEST_LINE // 4])
            line = line[_LONGEST_LINE // 4 :]
        lines.append(line)
    octets = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    return octets, "7bit" if octets.isascii() else "8bit"


def compose(letter: Letter, message_id: str, now: float) -> Content:
    """The whole message as plain text."""
    body, encoding = body_text(letter.text)
    charset = "us-ascii" if encoding == "7bit" else "utf-8"
    header = (
        mail_fields(letter, message_id, now)
        + f"MIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
    ).encode("utf-8", "replace")
    return Content(header, body, header.count(b"\n") + body.count(b"\n"))
