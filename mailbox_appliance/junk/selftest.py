"""Two letters that prove the filter is alive: one that everybody calls junk, one that nobody does."""

from __future__ import annotations

from mailbox_appliance.mail.message import Content

# The Generic Test for Unsolicited Bulk Email, a public test text every filter answers to.
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def _letter(header: bytes, body: bytes) -> Content:
    return Content(header, body, header.count(b"\n") + body.count(b"\n"))


JUNK = _letter(b"From: test@example.invalid\nTo: you@example.invalid\nSubject: test\n\n", GTUBE + b"\n")
PLAIN = _letter(
    b"From: Ann Example <ann@example.invalid>\nTo: Bob Example <bob@example.invalid>\n"
    b"Subject: Re: lunch tomorrow?\nMessage-ID: <2@mail.example.invalid>\nIn-Reply-To: <1@mail.example.invalid>\n"
    b"Date: Mon, 01 Jan 2001 10:00:00 +0000\n\n",
    b"Bob wrote:\n> shall we meet at one?\n\nYes, thanks, I think that works for me. See you there!\n\nAnn\n",
)
