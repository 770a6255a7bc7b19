"""The command lines a client sends, and the reading of EHLO's reply (RFC 5321 §4.1.1, RFC 3461 §4, RFC 6531 §3)."""

from __future__ import annotations

import base64
import re

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.smtp.client_events import Credentials, Offers, Transaction

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_XTEXT_UNSAFE = re.compile(rb"[^!-*,-<>-~]")  # RFC 3461 §4: xchar is "!".."~" but "+" and "="
_KEYWORD = re.compile(r"[A-Z0-9][A-Z0-9-]*")


class UnsafeText(ValueError):
    """The text would break out of its command line; it is never sent."""


def command(text: str) -> bytes:
    """One command line. Raises UnsafeText for control characters: CR and LF are only ours (RFC 5321 §2.3.8)."""
    try:
        line = text.encode("utf-8")
    except UnicodeEncodeError:
        raise UnsafeText("not a text") from None
    if _CONTROL.search(line):
        raise UnsafeText("control characters in a command")
    return line + b"\r\n"


def xtext(octets: bytes) -> str:
    """RFC 3461 §4."""
    return _XTEXT_UNSAFE.sub(lambda found: b"+%02X" % found[0][0], octets).decode("ascii")


def read_offers(reply: Reply) -> Offers:
    """The lines after the first of an EHLO reply (RFC 5321 §4.1.1.1); ``AUTH=LOGIN`` of old servers counts too."""
    keywords: dict[str, str] = {}
    for line in reply.text.split("\n")[1:]:
        word, _, rest = line.strip().partition(" ")
        if word.upper().startswith("AUTH="):
            word, rest = "AUTH", f"{word[5:]} {rest}"
        word = word.upper()
        if not _KEYWORD.fullmatch(word):
            continue
        keywords[word] = f"{keywords['AUTH']} {rest}" if word == "AUTH" and "AUTH" in keywords else rest.strip()
    return Offers(keywords, True)


def mail_command(transaction: Transaction, offers: Offers, *, smtputf8: bool) -> bytes:
    """MAIL with the parameters that were offered. Raises UnsafeText."""
    envelope = transaction.envelope
    words = [f"MAIL FROM:{_path(envelope.reverse_path)}"]
    if "SIZE" in offers and transaction.size:
        words.append(f"SIZE={transaction.size}")
    if "8BITMIME" in offers and (transaction.eight_bit or smtputf8):
        words.append("BODY=8BITMIME")
    if smtputf8:
        words.append("SMTPUTF8")
    if envelope.require_tls and "REQUIRETLS" in offers:
        words.append("REQUIRETLS")
    if "DSN" in offers:
        if envelope.ret in ("FULL", "HDRS"):
            words.append(f"RET={envelope.ret}")
        if envelope.envid:
            words.append(f"ENVID={xtext(envelope.envid.encode('utf-8', 'replace'))[:100]}")
    return command(" ".join(words))


def rcpt_command(recipient: Recipient, offers: Offers, *, smtputf8: bool) -> bytes:
    """RCPT, with NOTIFY and ORCPT where DSN is offered. Raises UnsafeText."""
    words = [f"RCPT TO:{_path(recipient.forward_path)}"]
    if "DSN" in offers:
        if recipient.notify:
            words.append(f"NOTIFY={','.join(sorted(recipient.notify))}")
        if recipient.original:
            words.append(f"ORCPT={_original(recipient.original, smtputf8=smtputf8)}")
    return command(" ".join(words))


def _path(address: Address | None) -> str:
    return "<>" if address is None else f"<{address}>"


def _original(text: str, *, smtputf8: bool) -> str:
    """``rfc822;ann@example.org`` in xtext; a non-ASCII one in the utf-8 form of RFC 6533 §3."""
    kind, _, address = text.partition(";")
    if address.isascii():
        return f"{kind};{xtext(address.encode('ascii'))}"
    escaped = "".join(
        c if "!" <= c <= "~" and c not in "+=\\" else f"\\x{{{ord(c):X}}}" if not ("\ud800" <= c <= "\udfff") else "?"
        for c in address
    )
    return f"utf-8;{escaped}"


def auth_plain(credentials: Credentials) -> bytes:
    """RFC 4616 with an initial response (RFC 4954 §4)."""
    return b"AUTH PLAIN " + plain_response(credentials)


def plain_response(credentials: Credentials) -> bytes:
    """The base64 of authzid NUL authcid NUL password, as a line."""
    return base64_line(f"\0{credentials.user}\0{credentials.password}")


def base64_line(text: str) -> bytes:
    """One line of a SASL exchange."""
    return base64.b64encode(text.encode("utf-8", "surrogateescape")) + b"\r\n"
