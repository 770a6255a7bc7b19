"""Copies for our own mailboxes: one file for all who share its header block, a hard link for each of them.

Final delivery puts Return-Path on top (RFC 5321 §4.4); it is the same for all, so all share one file. What is true of
one person only (junk) becomes a keyword of his copy, never a field. Captured mail names its recipients on top, so it
has a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailbox_appliance.delivery.routing import Target
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.rounds import Write
from mailbox_appliance.ports.store import Depot, Place, Problem, StoreError


@dataclass(frozen=True, slots=True)
class Copy:
    """A place taken for a target, with the content that goes there."""

    target: Target
    place: Place
    content: Content


@dataclass(frozen=True, slots=True)
class NoPlace:
    """The store would not take it now. ``full`` is the account's quota; else ``text`` says what is wrong."""

    target: Target
    full: bool
    text: str


class LocalCopies:
    """Takes places in the depot and makes the round's writes of them."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot

    async def place(
        self, content: Content, reverse_path: Address | None, targets: Iterable[Target], addressed: Sequence[Address]
    ) -> tuple[list[Copy], list[NoPlace]]:
        """A place for each target. ``addressed`` are the recipients that captured mail names."""
        copies: list[Copy] = []
        refused: list[NoPlace] = []
        common = content.with_prefix(return_path(reverse_path))
        for target in targets:
            final = common
            if target.why == "captured":
                final = common.with_prefix(_captured_for(addressed))
            try:
                place = await self._depot.place(target.account, target.mailbox, final, target.flags)
            except StoreError as error:
                refused.append(NoPlace(target, error.problem is Problem.OVER_QUOTA, str(error)))
            except BaseException:
                self.abandon(copies)
                raise
            else:
                copies.append(Copy(target, place, final))
        return copies, refused

    def arrived(self, copies: Iterable[Copy]) -> None:
        """They are durable."""
        for copy in copies:
            self._depot.arrived(copy.place, copy.content)

    def abandon(self, copies: Iterable[Copy]) -> None:
        """They will not be."""
        for copy in copies:
            self._depot.abandoned(copy.place, copy.content)


def writes(copies: Sequence[Copy]) -> tuple[Write, ...]:
    """One file for each distinct content, linked to every place it goes."""
    shared: dict[int, list[Copy]] = {}
    for copy in copies:
        shared.setdefault(id(copy.content), []).append(copy)
    return tuple(
        Write(same[0].content, same[0].place.first, tuple(copy.place.final for copy in same))
        for same in shared.values()
    )


def return_path(reverse_path: Address | None) -> bytes:
    """The field that final delivery adds; the null path is ``<>``."""
    return f"Return-Path: <{reverse_path or ''}>\n".encode("utf-8", "replace")


def _captured_for(addressed: Sequence[Address]) -> bytes:
    return b"".join(f"X-Captured-For: {address}\n".encode("utf-8", "replace") for address in addressed)
