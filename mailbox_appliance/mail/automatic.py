"""Is a message a person's letter to a person? What machines and lists say of themselves (RFC 3834 §2)."""

from __future__ import annotations

from mailbox_appliance.mail import header as header_block

OF_LISTS = ("list-id", "list-post", "list-help", "list-subscribe", "list-unsubscribe", "list-owner", "list-archive")


def made_by_machine(header: bytes) -> str:
    """Why it is not a person's, in words; '' when nothing says so. Mailing lists are another matter."""
    for value in header_block.every(header, "auto-submitted"):
        if value.split(b";")[0].split(b"(")[0].strip().lower() != b"no":
            return "it was sent by a machine (Auto-Submitted)"
    for value in header_block.every(header, "precedence"):
        if value.strip().lower() in (b"bulk", b"list", b"junk"):
            return "it went to many (Precedence)"
    kind = (header_block.first(header, "content-type") or b"").lower()
    if kind.startswith((b"multipart/report", b"message/disposition-notification", b"message/delivery-status")):
        return "it is a report"
    return ""


def came_by_list(header: bytes) -> str:
    """The field that only mailing lists have, '' when there is none (RFC 2369, RFC 2919)."""
    return next((name.title() for name in OF_LISTS if header_block.count(header, name)), "")


def automatic_mail(header: bytes) -> str:
    """Why nobody should answer by machine, in words; '' when nothing speaks against it."""
    machine = made_by_machine(header)
    if machine:
        return machine
    for value in header_block.every(header, "x-auto-response-suppress"):
        if {word.strip().lower() for word in value.split(b",")} & {b"all", b"oof", b"autoreply"}:
            return "its sender wants no answer by a machine"
    field = came_by_list(header)
    return f"it came by a mailing list ({field})" if field else ""
