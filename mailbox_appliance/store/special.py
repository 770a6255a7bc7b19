"""Special folders: Sent, Drafts, Trash, Junk and Archive for everybody, and what clients flag so (RFC 6154).

``mailappliance-special`` in the Maildir has lines ``<attribute> TAB <mailbox in modified UTF-7>``. When it is there the
folders have been made once; what a user then deletes or renames stays so.
"""

from __future__ import annotations

import os

from mailbox_appliance.mail.mailbox import SpecialUse
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.store.durable import read_file, replace_file
from mailbox_appliance.store.paths import checked_name
from mailbox_appliance.wire.imap import utf7

NAME = "mailappliance-special"
FIRST = {
    "Sent": SpecialUse.SENT,
    "Drafts": SpecialUse.DRAFTS,
    "Trash": SpecialUse.TRASH,
    "Junk": SpecialUse.JUNK,
    "Archive": SpecialUse.ARCHIVE,
}
# Folders that other servers made for the same purpose: taken instead of a second one.
OTHER_NAMES = {
    SpecialUse.SENT: ("Sent Items", "Sent Messages", "Gesendet"),
    SpecialUse.DRAFTS: ("Entwürfe",),
    SpecialUse.TRASH: ("Deleted Items", "Deleted Messages", "Papierkorb"),
    SpecialUse.JUNK: ("Spam", "Junk E-mail"),
    SpecialUse.ARCHIVE: ("Archives", "Archiv"),
}
# \All and \Flagged would be virtual folders.
SETTABLE = frozenset({SpecialUse.SENT, SpecialUse.DRAFTS, SpecialUse.TRASH, SpecialUse.JUNK, SpecialUse.ARCHIVE})
_USES = {use.value: use for use in SpecialUse}


def parse(octets: bytes) -> dict[str, SpecialUse]:
    """Mailbox by name; what cannot be read is passed over."""
    found: dict[str, SpecialUse] = {}
    for line in octets.split(b"\n"):
        attribute, _, name = line.partition(b"\t")
        use = _USES.get(attribute.decode("ascii", "replace"))
        if use is None:
            continue
        try:
            found[checked_name(utf7.decode(name))] = use
        except (utf7.BadName, StoreError):
            continue
    return found


def read(root: str) -> dict[str, SpecialUse] | None:
    """The assignments, or None when nothing was ever assigned here."""
    octets = read_file(os.path.join(root, NAME), 65536)
    return None if octets is None else parse(octets)


def write(root: str, uses: dict[str, SpecialUse]) -> None:
    """Replace the file."""
    lines = [use.value.encode() + b"\t" + utf7.encode(name) + b"\n" for name, use in uses.items()]
    replace_file(os.path.join(root, NAME), b"".join(lines))


def choose(existing: list[str]) -> dict[str, SpecialUse]:
    """Which mailbox gets which use at the first start: one that is there already, else the one to be made."""
    chosen: dict[str, SpecialUse] = {}
    for name, use in FIRST.items():
        candidates = [name, *OTHER_NAMES[use]]
        chosen[next((other for other in candidates if other in existing), name)] = use
    return chosen
