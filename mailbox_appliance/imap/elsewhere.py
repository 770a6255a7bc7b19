"""NOTIFY (RFC 5465): a session hears of mailboxes that it has not selected, and of the selected one without asking.

Each mailbox in question is held open and watched; what happens there is a STATUS, told between commands and in IDLE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailbox_appliance.imap.bulletin import TreeChange
from mailbox_appliance.imap.commands.fetch import say_selection
from mailbox_appliance.imap.session import Session
from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR, MailboxInfo
from mailbox_appliance.ports.sharing import is_elsewhere
from mailbox_appliance.ports.store import Mailbox, StoreError
from mailbox_appliance.wire.imap import notify as events
from mailbox_appliance.wire.imap import responses
from mailbox_appliance.wire.imap.notify import Group, Notify

MOST_WATCHED = 200


class TooMany(Exception):
    """More mailboxes than one session may watch."""


class _Lookout:
    """Watches one mailbox."""

    def __init__(self, name: str, wanted: frozenset[str], note: Callable[[str], None]) -> None:
        self.name = name
        self.wanted = wanted
        self.mailbox: Mailbox | None = None
        self._note = note

    def arrived(self, count: int) -> None:
        if events.NEW in self.wanted:
            self._note(self.name)

    def expunged(self, uids: Sequence[int], modseq: int) -> None:
        if events.GONE in self.wanted:
            self._note(self.name)

    def flags_changed(self, uids: Sequence[int], modseq: int, by: object) -> None:
        if events.FLAGS in self.wanted:
            self._note(self.name)

    def keywords_changed(self) -> None: ...

    def vanished(self, text: str) -> None:
        self.mailbox = None

    def leave(self) -> None:
        mailbox, self.mailbox = self.mailbox, None
        if mailbox is not None:
            mailbox.release(self)


class Elsewhere:
    """One session's NOTIFY."""

    def __init__(self, session: Session, wanted: Notify) -> None:
        self._session = session
        self._groups = wanted.groups
        self._selected = next((group for group in wanted.groups if group.scope.startswith("SELECTED")), None)
        self._lookouts: dict[str, _Lookout] = {}
        self._pending: set[str] = set()
        self._tree: list[TreeChange] = []

    async def begin(self, *, status: bool) -> None:
        """Open and watch; with ``status`` tell how all of them stand. Raises TooMany."""
        session = self._session
        assert session.account is not None
        session.house.bulletin.listen(session.account, self._tree_changed)
        await self._look_around()
        for name in sorted(self._lookouts) if status else ():
            if not self._is_selected(name):
                await self._say_status(name)
                await session.room()

    def end(self) -> None:
        """Watch no longer."""
        if self._session.account is not None:
            self._session.house.bulletin.leave(self._session.account, self._tree_changed)
        for lookout in self._lookouts.values():
            lookout.leave()
        self._lookouts.clear()

    # ------------------------------------------------------------ what happens

    def _note(self, name: str) -> None:
        self._pending.add(name)
        self._session.wake()

    def _tree_changed(self, change: TreeChange) -> None:
        if len(self._tree) < MOST_WATCHED:
            self._tree.append(change)
        self._session.wake()

    async def tell(self, session: Session) -> None:
        """Say what has happened; called between commands and in IDLE."""
        if session.selected is not None and self._selected is not None:
            await self._tell_selected(session, self._selected)
        tree, self._tree = self._tree, []
        for change in tree:
            self._tell_tree(session, change)
        if tree:
            try:
                await self._look_around()
            except TooMany:  # RFC 5465 §5.9
                session.say(responses.condition(b"OK", "These are too many mailboxes.", b"NOTIFICATIONOVERFLOW"))
                session.notify_ends()
                return
        pending, self._pending = sorted(self._pending), set()
        for name in pending:
            if not self._is_selected(name) and name in self._lookouts:
                await self._say_status(name)
                await session.room()

    async def _tell_selected(self, session: Session, group: Group) -> None:
        box = session.box
        before = box.tracker.last_uid
        await box.tell(session.outlet, expunges=group.scope == "SELECTED" and events.GONE in group.events)
        if group.fetch and box.tracker.last_uid > before:
            count = box.tracker.count
            first = next(place for place in range(count + 1) if place == count or box.tracker.uids[place] > before)
            await say_selection(session, group.fetch, [(first, count)])

    def _tell_tree(self, session: Session, change: TreeChange) -> None:
        event = events.NAME if change.subscribed is None else events.SUBSCRIPTION
        info = MailboxInfo(change.name, subscribed=True)
        if not any(event in group.events and _covers(group, info) for group in self._groups):
            return
        attributes = ["\\NonExistent"] if change.gone else ["\\Subscribed"] if change.subscribed else []
        extra = b' ("OLDNAME" (%b))' % session.name(change.old) if change.old else b""
        session.say(responses.list_line(b"LIST", attributes, session.name(change.name), extra))

    def _is_selected(self, name: str) -> bool:
        selected = self._session.selected
        return selected is not None and selected.mailbox.name == name

    async def _say_status(self, name: str) -> None:
        try:
            state = await self._session.store.status(name, sized=False)
        except StoreError:
            return
        items: list[tuple[str, object]] = [
            ("MESSAGES", state.messages),
            ("UIDNEXT", state.uidnext),
            ("UIDVALIDITY", state.uidvalidity),
        ]
        if events.FLAGS in self._lookouts[name].wanted:
            items.append(("UNSEEN", state.unseen))
            items.append(("HIGHESTMODSEQ", state.highest_modseq))
        self._session.say(responses.status_line(self._session.name(name), items))

    async def _look_around(self) -> None:
        """Watch what is to be watched, now that the tree is as it is. Raises TooMany."""
        wanted: dict[str, frozenset[str]] = {}
        for info in await self._session.store.mailboxes():
            if info.exists and info.selectable:
                for group in self._groups:
                    if _covers(group, info):
                        wanted[info.name] = wanted.get(info.name, frozenset()) | group.events
        wanted = {name: kinds for name, kinds in wanted.items() if kinds & {events.NEW, events.FLAGS}}
        if len(wanted) > MOST_WATCHED:
            raise TooMany
        for name in set(self._lookouts) - set(wanted):
            self._lookouts.pop(name).leave()
        for name, kinds in wanted.items():
            known = self._lookouts.get(name)
            if known is not None and known.mailbox is not None:
                continue
            lookout = self._lookouts[name] = _Lookout(name, kinds, self._note)
            try:
                lookout.mailbox = await self._session.store.open(name, lookout, read_only=True)
            except StoreError:
                del self._lookouts[name]


def _covers(group: Group, info: MailboxInfo) -> bool:
    """Is the mailbox one of the group's? What is delivered to is INBOX (RFC 5465 §6.3)."""
    match group.scope:
        case "PERSONAL":
            return not is_elsewhere(info.name)
        case "INBOXES":
            return info.name == INBOX
        case "SUBSCRIBED":
            return info.subscribed
        case "MAILBOXES":
            return info.name in group.names
        case "SUBTREE":
            return any(info.name == name or info.name.startswith(name + SEPARATOR) for name in group.names)
    return False
