"""What cannot be sent to a server that offers too little, found out before a word is said to it."""

from __future__ import annotations

from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.smtp.client_events import Offers, Transaction


def by_server(reply: Reply) -> Outcome:
    """The server's own refusal: 4yz is to be tried again, 5yz failed (RFC 5321 §4.2.1)."""
    return Outcome(Result.FAILED if reply.is_permanent else Result.TRY_AGAIN, reply, remote=True)


def by_us(result: Result, code: int, enhanced: str, text: str) -> Outcome:
    """An end that no server has spoken."""
    return Outcome(result, Reply(code, enhanced, text), reason=text)


# RFC 6531 §3.5: such an address or header cannot be said to this server.
NO_UTF8 = by_us(Result.FAILED, 553, "5.6.7", "the server cannot take addresses or headers outside ASCII (SMTPUTF8)")
UNSAFE_RECIPIENT = by_us(Result.FAILED, 553, "5.1.3", "the recipient's address cannot be written in a command")
UNSAFE_SENDER = by_us(Result.FAILED, 553, "5.1.7", "the sender's address cannot be written in a command")


def cannot_go(transaction: Transaction, offers: Offers, *, verified: bool) -> Outcome | None:
    """Why this server cannot take the message at all, whoever it is for; None when it can."""
    envelope = transaction.envelope
    if (limit := offers.size) and transaction.size > limit:
        text = f"the message has {transaction.size} octets, the server takes at most {limit}"
        return by_us(Result.FAILED, 552, "5.3.4", text)  # RFC 1870 §6.1
    if "SMTPUTF8" not in offers:
        if envelope.reverse_path is not None and not envelope.reverse_path.is_ascii:
            return NO_UTF8
        if envelope.smtputf8 and not transaction.header_is_ascii:
            return NO_UTF8
    if envelope.require_tls and not (verified and "REQUIRETLS" in offers):
        # RFC 8689 §4.2.1
        lacks = "does not offer it" if verified else "has not proved its name by TLS"
        return by_us(Result.FAILED, 550, "5.7.30", f"REQUIRETLS is needed, and the server {lacks}")
    return None


def wants_utf8(transaction: Transaction, offers: Offers) -> bool:
    """Say SMTPUTF8 only when the message needs it (RFC 6531 §3.4)."""
    if "SMTPUTF8" not in offers:
        return False
    envelope = transaction.envelope
    if envelope.smtputf8 and not transaction.header_is_ascii:
        return True
    if envelope.reverse_path is not None and not envelope.reverse_path.is_ascii:
        return True
    return not all(recipient.forward_path.is_ascii for recipient in envelope.recipients)
