"""Base subject and the other keys that SORT and THREAD compare (RFC 5256 §2, RFC 5957)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mailbox_appliance.mail.addresses import Mailbox, addresses_of
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.header import unfold
from mailbox_appliance.mail.text import casemap

MOST_REFERENCES = 200
_LONGEST_SUBJECT = 2000

_BLANKS = re.compile(r"[ \t\r\n]+")
_TRAILER = re.compile(r"(?:\(fwd\)|[ \t])+$", re.IGNORECASE)
# subj-leader without its blob: "re:", "fw [x] :", "fwd:".
_REFWD = re.compile(r"(?:re|fwd?)[ \t]*(?:\[[^\[\]]*\][ \t]*)?:", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*\][ \t]*")
_FWD = re.compile(r"\[fwd:(.*)\]$", re.IGNORECASE | re.DOTALL)


def base_subject(subject: str) -> tuple[str, bool]:
    """The base subject of decoded text, casemapped, and whether it was a reply or forward (§2.1)."""
    text = _BLANKS.sub(" ", subject[:_LONGEST_SUBJECT]).strip(" ")
    is_reply = False
    for _ in range(_LONGEST_SUBJECT):
        before = text
        trimmed = _TRAILER.sub("", text)  # (2) subj-trailer
        if "(fwd)" in text[len(trimmed) :].lower():
            is_reply = True
        text = trimmed
        while True:  # (3) subj-leader, (4) blobs that leave something
            stripped = text.lstrip(" ")
            last_blob = blobs_end = 0
            while blob := _BLOB.match(stripped, blobs_end):
                last_blob, blobs_end = blob.span()
            if refwd := _REFWD.match(stripped, blobs_end):
                text, is_reply = stripped[refwd.end() :], True
                continue
            # One blob after the other goes, but for the last when nothing stands behind it.
            text = stripped[blobs_end:] if stripped[blobs_end:].strip(" ") else stripped[last_blob:]
            break
        wrapped = _FWD.match(text)  # (6)
        if wrapped is not None:
            text, is_reply = wrapped[1].strip(" "), True
            continue
        if text == before:
            break
    return casemap(text), is_reply


_MESSAGE_ID = re.compile(rb"<([^<>\s\"]*@[^<>\s]*|\"[^\"<>]*\"@[^<>\s]*)>")
_FOLD = re.compile(rb"[ \t\r\n]+")


def message_ids(value: bytes) -> list[bytes]:
    """The ids in Message-ID, In-Reply-To or References, without angle brackets, at most MOST_REFERENCES."""
    found = [octets.replace(b'"', b"") if b'"' in octets else octets for octets in _MESSAGE_ID.findall(value)]
    return found if len(found) <= MOST_REFERENCES else found[:1] + found[1 - MOST_REFERENCES :]


def references_of(fields: Mapping[bytes, list[bytes]]) -> tuple[bytes, ...]:
    """References, or the first id of In-Reply-To when there are none (RFC 5256 §3, REFERENCES, step 1)."""
    for value in fields.get(b"references", ()):
        found = message_ids(value)
        if found:
            return tuple(found)
    for value in fields.get(b"in-reply-to", ()):
        found = message_ids(value)
        if found:
            return (found[0],)
    return ()


def mailbox_key(mailboxes: list[Mailbox]) -> str:
    """What SORT FROM, TO and CC compare: the first address's local part (RFC 5256 §3), casemapped."""
    for mailbox in mailboxes:
        if mailbox.local:
            return casemap(mailbox.local.decode("utf-8", "replace"))
    return ""


def display_key(mailboxes: list[Mailbox]) -> str:
    """What SORT DISPLAYFROM and DISPLAYTO compare: the decoded name, else local@domain (RFC 5957 §3)."""
    for mailbox in mailboxes:
        name, _, local, domain = mailbox
        if name:
            return casemap(decode_words(unfold(name)).strip())
        if local is not None:
            address = local if domain is None else local + b"@" + domain
            return casemap(address.decode("utf-8", "replace"))
    return ""


def first_list(values: list[bytes] | None) -> list[Mailbox]:
    """The addresses of the first of several fields."""
    return addresses_of(values[0]) if values else []
