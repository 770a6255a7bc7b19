"""Each recipient becomes a mailbox, an address outside, or nothing (docs/mail-flow.md).

=========================== ===============================================
the directory says           the message
=========================== ===============================================
a mailbox                    goes into it: INBOX, a folder named after the subaddress, or Junk
elsewhere (an alias)         is forwarded, unless it is junk or has been here too often
back to a sender (SRS)       goes on to him, with the null path, when it is a bounce
not ours                     goes out through the queue; when nothing may leave, into ``Captured``
unknown                      550 5.1.1
=========================== ===============================================

An account that several recipients lead to gets one copy. Forwards leave under our own name (delivery/forwarding).
What comes to a throw-away address from another domain than the one it was given to carries the keyword $Leak.
"""

from __future__ import annotations

import re
from dataclasses import replace

from mailbox_appliance.delivery.forwarding import is_marked
from mailbox_appliance.mail import header as header_block
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.mailbox import INBOX
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action, Personal
from mailbox_appliance.ports.checks import PersonalChecks
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.store import StoreError, Stores
from mailbox_appliance.ports.users import (
    AtList,
    BackTo,
    Directory,
    Elsewhere,
    LocalMailbox,
    NotOurs,
    Throwaways,
    Unknown,
)

JUNK, JUNK_KEYWORD = "Junk", "$Junk"
REJECTS = "Rejects"
LEAK_KEYWORD = "$Leak"
MARKS = frozenset({JUNK_KEYWORD, LEAK_KEYWORD})  # of a copy that waits for room
CAPTURED = "Captured"
NO_SUCH_USER = Reply(550, "5.1.1", "No such user here")
NOBODY_BEHIND_IT = Reply(550, "5.1.1", "Nobody reads mail to this address")
LOOP = Reply(554, "5.4.6", "The message has been here too often: a mail loop")
ONLY_BOUNCES = Reply(550, "5.7.1", "Only bounces are taken for this address")
NOT_FORWARDED = Reply(550, "5.7.1", "The message looks like junk and is not forwarded")


@dataclass(frozen=True, slots=True)
class Target:
    """One copy for one mailbox. ``why`` tells what chose the folder."""

    account: Address
    mailbox: str
    flags: frozenset[str] = frozenset()
    why: str = ""

    @property
    def key(self) -> tuple[Address, str]:
        """Targets with one key are one copy: an account gets a message once, whichever way it was addressed."""
        return self.account, self.why if self.why in ("captured", "archive") else ""


@dataclass(frozen=True, slots=True)
class Routed:
    """Where one recipient's mail goes; nowhere at all when ``refusal`` is set."""

    recipient: Recipient
    targets: tuple[Target, ...] = ()
    outside: tuple[Recipient, ...] = ()
    forwards: bool = False
    returns: bool = False  # a bounce for what we had forwarded
    lists: tuple[AtList, ...] = ()  # which take it, or say why not
    expanded: bool = False  # to many, some outside: the sender's wish for success is answered here
    refusal: Reply | None = None
    unwanted: Personal | None = None  # refused; ``targets`` is for when he cannot be answered alone
    leak: tuple[str, str] | None = None  # the domain that wrote to a throw-away address, and the one it was given to


@dataclass(frozen=True, slots=True)
class RoutingSettings:
    """``hostname`` is how we sign Received fields. ``capture``: nothing leaves the machine."""

    hostname: str
    capture: bool = False
    most_received: int = 50
    most_visits: int = 6  # Received fields of ours in a message that is to be forwarded


class Routing:
    """Asks the directory, and for subaddresses the store."""

    def __init__(
        self,
        directory: Directory,
        stores: Stores,
        settings: RoutingSettings,
        throwaways: Throwaways | None = None,
        persons: PersonalChecks | None = None,
    ) -> None:
        self._persons = persons
        self._directory = directory
        self._throwaways = throwaways
        self._stores = stores
        self._settings = settings
        self._by_us = re.compile(
            rb"\bby\s+" + re.escape(settings.hostname.encode("ascii", "replace")) + rb"(?![a-z0-9.\-])", re.IGNORECASE
        )

    async def route(self, parcel: Parcel, recipient: Recipient) -> Routed:
        """One recipient of ``parcel``."""
        resolution = await self._directory.resolve(recipient.forward_path)
        if isinstance(resolution, NotOurs):
            return await self._outside(parcel, recipient, (recipient,), forwards=False)
        if isinstance(resolution, Unknown):
            refusal = replace(NO_SUCH_USER, text=resolution.text) if resolution.text else NO_SUCH_USER
            return Routed(recipient, refusal=refusal)
        targets: list[Target] = []
        elsewhere: list[Recipient] = []
        lists: list[AtList] = []
        expanded = len(resolution.destinations) > 1 and "SUCCESS" in recipient.notify
        unwanted: list[Personal] = []
        for destination in resolution.destinations:
            if isinstance(destination, LocalMailbox) and recipient.marks:
                targets.append(await self._marked(recipient.marks, destination))
            elif isinstance(destination, LocalMailbox):
                personal = await self._judge(parcel, destination.account)
                if personal.verdict.action in (Action.REJECT, Action.DEFER):
                    unwanted.append(personal)
                    targets.append(await self._target(personal.otherwise, destination))
                else:
                    targets.append(await self._target(personal.verdict.action, destination))
            elif isinstance(destination, Elsewhere):
                elsewhere.append(_forwarded(recipient, destination.address, expanded))
            elif isinstance(destination, BackTo):
                return await self._returned(parcel, recipient, destination.address)
            elif isinstance(destination, AtList):
                lists.append(destination)
        if elsewhere:
            outside = await self._outside(parcel, recipient, tuple(elsewhere), forwards=True)
            if not targets:
                return replace(outside, lists=tuple(lists), expanded=expanded and bool(outside.outside))
            targets += outside.targets
            forwards = bool(outside.outside)
            return Routed(
                recipient, tuple(targets), outside.outside, forwards, lists=tuple(lists), expanded=expanded and forwards
            )
        if not targets and not lists:
            return Routed(recipient, refusal=NOBODY_BEHIND_IT)
        if unwanted and len(unwanted) == len(targets) and not lists:
            # With several behind one address the mildest answer is given: later beats never.
            mildest = min(unwanted, key=lambda one: one.verdict.action is Action.REJECT)
            return Routed(recipient, tuple(targets), unwanted=mildest)
        if resolution.via == "throwaway" and self._throwaways is not None and not recipient.marks:
            sender = sender_domain(parcel)
            is_junk = any(target.why == "junk" for target in targets)
            given_to = await self._throwaways.met(recipient.forward_path, sender, trusted=not is_junk)
            if given_to:
                tagged = tuple(replace(target, flags=target.flags | {LEAK_KEYWORD}) for target in targets)
                return Routed(recipient, tagged, leak=(sender, given_to))
        return Routed(recipient, tuple(targets), lists=tuple(lists))

    async def _judge(self, parcel: Parcel, account: Address | None) -> Personal:
        """What ``account`` makes of the verdict, where it is not final."""
        verdict = parcel.verdict
        if self._persons is None or verdict.is_final:
            return Personal(verdict)
        return await self._persons.examine_for(parcel, account)

    async def for_lists(self, parcel: Parcel) -> Parcel:
        """As it is for nobody in particular: what is not wanted then is junk to a list."""
        personal = await self._judge(parcel, None)
        if personal.verdict.action is Action.ACCEPT:
            return parcel
        return replace(parcel, verdict=replace(parcel.verdict, action=Action.JUNK))

    async def _target(self, action: Action, destination: LocalMailbox) -> Target:
        if action is Action.JUNK:
            return Target(destination.account, JUNK, frozenset({JUNK_KEYWORD}), "junk")
        if destination.detail:
            folder = await self._folder(destination)
            if folder:
                return Target(destination.account, folder, why="tag")
        return Target(destination.account, INBOX)

    async def _marked(self, marks: frozenset[str], destination: LocalMailbox) -> Target:
        """A copy that has waited for room: what was decided when it came still holds."""
        target = await self._target(Action.JUNK if JUNK_KEYWORD in marks else Action.ACCEPT, destination)
        return replace(target, flags=target.flags | (marks & MARKS))

    async def _folder(self, destination: LocalMailbox) -> str:
        """The account's folder of the subaddress's name; a stranger chooses no folder with a use of its own."""
        wanted = destination.detail.casefold()
        try:
            store = await self._stores.of(destination.account)
            for info in await store.mailboxes():
                if info.name.casefold() == wanted:
                    takes = info.selectable and info.exists and info.special_use is None and info.name != INBOX
                    return info.name if takes else ""
        except StoreError:
            pass  # What is wrong with the store is found when the message is put into INBOX.
        return ""

    async def _outside(
        self, parcel: Parcel, recipient: Recipient, outside: tuple[Recipient, ...], *, forwards: bool
    ) -> Routed:
        if forwards:
            personal = await self._judge(parcel, None)
            if personal.verdict.action is not Action.ACCEPT:
                return Routed(recipient, refusal=NOT_FORWARDED)
            if self._loops(parcel) or is_marked(parcel.content.header, recipient.forward_path):
                return Routed(recipient, refusal=LOOP)
        if self._settings.capture:
            account = await self._keeper(parcel, recipient)
            if account is None:
                return Routed(recipient, refusal=NO_SUCH_USER)
            return Routed(recipient, (Target(account, CAPTURED, why="captured"),))
        return Routed(recipient, outside=outside, forwards=forwards)

    async def _returned(self, parcel: Parcel, recipient: Recipient, sender: Address) -> Routed:
        """A bounce on its way back; whoever else writes to such an address was refused at RCPT, or is here."""
        if parcel.envelope.reverse_path is not None:
            return Routed(recipient, refusal=ONLY_BOUNCES)
        if self._loops(parcel):
            return Routed(recipient, refusal=LOOP)
        back = Recipient(sender, frozenset({"NEVER"}))
        routed = await self._outside(parcel, recipient, (back,), forwards=True)
        return replace(routed, forwards=False, returns=bool(routed.outside))

    def _loops(self, parcel: Parcel) -> bool:
        """RFC 5321 §6.3. Delivered-To is taken out at the border, so our own Received fields are what is counted."""
        received = header_block.every(parcel.content.header, "received")
        if len(received) > self._settings.most_received:
            return True
        return sum(1 for value in received if self._by_us.search(value)) > self._settings.most_visits

    async def _keeper(self, parcel: Parcel, recipient: Recipient) -> Address | None:
        """Whose ``Captured`` it is: the sender's, else the owner's of the domain that forwards, else anybody's."""
        if parcel.client is not None and parcel.client.account:
            return Address.parse(parcel.client.account)
        if parcel.envelope.reverse_path is not None:
            resolution = await self._directory.resolve(parcel.envelope.reverse_path)
            for destination in getattr(resolution, "destinations", ()):
                if isinstance(destination, LocalMailbox):
                    return destination.account
        owner = await self._directory.owner(recipient.forward_path.domain)
        if owner is not None:
            return owner
        return next(iter(await self._directory.accounts()), None)


def _forwarded(recipient: Recipient, address: Address, expanded: bool) -> Recipient:
    """RFC 3461 §5.2.7.1: the alias is passed through silently; ORCPT keeps the address that was written to.

    Of an alias with many targets (§5.2.7.2) we tell "expanded" ourselves, so nobody behind it tells of success.
    """
    notify = recipient.notify
    if expanded:
        notify = notify - {"SUCCESS"} or frozenset({"NEVER"})
    return Recipient(address, notify, recipient.original or f"rfc822;{recipient.forward_path}")


def sender_domain(parcel: Parcel) -> str:
    """Whose mail this is, as its reader sees it: the domain in From, else the reverse path's; '' when neither tells."""
    for mailbox in header_block.from_addresses(parcel.content.header):
        if mailbox.is_whole and mailbox.domain is not None:
            return mailbox.domain.decode("ascii", "replace").strip(".").lower()
    return parcel.envelope.reverse_path.domain if parcel.envelope.reverse_path is not None else ""
