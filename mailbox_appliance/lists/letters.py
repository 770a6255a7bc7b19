"""What a list writes in its own name: short letters, each with what to do next."""

from __future__ import annotations

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.letter import Letter, one_line
from mailbox_appliance.ports.lists import MailingList


def _letter(one: MailingList, to: Address, subject: str, text: str) -> Letter:
    return Letter(one.part("owner"), to, subject, text, display=_plain(one.title), auto_submitted="auto-replied")


def _plain(title: str) -> str:
    """A display name that needs no quotes; anything else is left out, the address says enough."""
    return title if title.isascii() and all(c.isalnum() or c == " " for c in title) else ""


def ask(one: MailingList, to: Address, purpose: str) -> Letter:
    """Is it really you?"""
    wish = "join" if purpose == "join" else "leave"
    return _letter(
        one,
        to,
        f"Do you want to {wish} {one.title}?",
        f"Somebody, hopefully you, has asked to {wish} the mailing list\n\n  {one.address} ({one.title})\n\n"
        f"with the address {to}.\n\n"
        f"To {wish} the list, reply to this message; what you write does not matter.\n"
        "If you did not ask for it, do nothing: without a reply nothing happens.\n"
        "This message is good for a week.\n",
    )


def welcome(one: MailingList, to: Address) -> Letter:
    """He is in."""
    write = "" if one.posting == "moderators" else f"To write to all members: {one.address}\n"
    return _letter(
        one,
        to,
        f"Welcome to {one.title}",
        f"You are a member of the mailing list {one.address} now.\n\n{write}"
        f"To leave: write to {one.part('unsubscribe')}\nWho runs it: {one.part('owner')}\n",
    )


def goodbye(one: MailingList, to: Address) -> Letter:
    """He is out."""
    text = f"You are no member of the mailing list {one.address} any more.\nTo come back: {one.part('subscribe')}\n"
    return _letter(one, to, f"You have left {one.title}", text)


def help_text(one: MailingList, to: Address) -> Letter:
    """What addresses there are."""
    return _letter(
        one,
        to,
        f"How {one.title} works",
        f"{one.address} is a mailing list.\n\n"
        f"To join:          write to {one.part('subscribe')}\n"
        f"To leave:         write to {one.part('unsubscribe')}\n"
        f"Who runs it:      {one.part('owner')}\n\n"
        "What you write in those messages does not matter.\n",
    )


def closed(one: MailingList, to: Address) -> Letter:
    """Only the owner lets people in."""
    text = f"The owner of {one.address} adds its members: write to {one.part('owner')}.\n"
    return _letter(one, to, f"{one.title} is a closed list", text)


def to_moderator(one: MailingList, to: Address, author: str, subject: str, why: str, reject: Address) -> Letter:
    """A post waits; the post itself is attached."""
    return _letter(
        one,
        to,
        f"{one.title}: {author} wants to write" + (f": {subject}" if subject else ""),
        f"{author} has written to {one.address}; {why}.\n\n"
        "To let it through, reply to this message; what you write does not matter.\n"
        f"To throw it away, write to {reject}\n"
        "After two weeks without a word it is thrown away.\n",
    )


def rejected(one: MailingList, to: Address, subject: str) -> Letter:
    """To a member whose post was thrown away."""
    what = f' "{one_line(subject)}"' if subject else ""
    text = (
        f"A moderator of {one.address} has decided not to pass on your message{what}.\nQuestions: {one.part('owner')}\n"
    )
    return _letter(one, to, f"{one.title}: your message was not passed on", text)


def paused(one: MailingList, to: Address, member: Address, bounces: int) -> Letter:
    """To the owner: somebody cannot be reached."""
    return _letter(
        one,
        to,
        f"{one.title}: {member} cannot be reached",
        f"Mail of the list {one.address} to {member} came back {bounces} times. He gets no more of it for now.\n\n"
        f"When his address works again:  mailappliance lists resume {one.address} {member}\n"
        f"When it never will:            mailappliance lists unsubscribe {one.address} {member}\n",
    )
