"""Dovecot's file ``dovecot-acl``: one line for each identifier, its rights as the letters of RFC 4314.

    anyone lr
    user=bob@example.org lrswite
    -user=eve@example.org w

Lines of kinds we give no meaning to (``group=``, comments, named rights behind a colon) are kept as they are. As at
Dovecot the line of one person takes the place of the line of everybody; then all negative rights are taken away.
The owner has every right, whatever a line ``owner`` says.
"""

from __future__ import annotations

from dataclasses import replace

from mailbox_appliance.mail import rights as words
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass

FILE = "dovecot-acl"
_PERSON = "user="
_EVERYBODY = ("anyone", "authenticated")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. ``identifier`` as in the file, without the "-" of a ``negative`` one; ``rest`` is kept unread."""

    identifier: str
    rights: frozenset[str]
    negative: bool = False
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Acl:
    """All lines of a file; ``strange`` ones are written back as they were, after the others."""

    entries: tuple[Entry, ...] = ()
    strange: tuple[str, ...] = ()

    def rights_of(self, who: Address) -> frozenset[str]:
        """What somebody who is not the owner may do."""
        person = f"{_PERSON}{who}"
        granted: frozenset[str] | None = None
        for wanted in ((person,), _EVERYBODY):
            for entry in self.entries:
                if not entry.negative and entry.identifier.lower() in wanted:
                    granted = (granted or words.NONE) | entry.rights
            if granted is not None:
                break
        denied: set[str] = set()
        for entry in self.entries:
            if entry.negative and entry.identifier.lower() in (person, *_EVERYBODY):
                denied.update(entry.rights)
        return (granted or words.NONE).difference(denied)

    def people(self) -> tuple[str, ...]:
        """The addresses that have a line."""
        return tuple(
            entry.identifier.lower()[len(_PERSON) :]
            for entry in self.entries
            if entry.identifier.lower().startswith(_PERSON)
        )

    def without(self, person: str) -> Acl:
        """With no line of that address."""
        return self.with_entry(_PERSON + person, words.NONE).with_entry(_PERSON + person, words.NONE, negative=True)

    def of(self, identifier: str, *, negative: bool = False) -> frozenset[str]:
        """The rights of one line."""
        for entry in self.entries:
            if entry.identifier.lower() == identifier.lower() and entry.negative == negative:
                return entry.rights
        return words.NONE

    def with_entry(self, identifier: str, rights: frozenset[str], *, negative: bool = False) -> Acl:
        """With that line in the place of the former one; without it when there are no rights."""
        changed: list[Entry] = []
        found = False
        for entry in self.entries:
            if entry.identifier.lower() != identifier.lower() or entry.negative != negative:
                changed.append(entry)
            elif not found:
                found = True
                if rights or entry.rest:
                    changed.append(replace(entry, rights=rights))
        if not found and rights:
            changed.append(Entry(identifier, rights, negative))
        return replace(self, entries=tuple(changed))


NOBODY = Acl()


def in_file(identifier: str) -> tuple[str, bool]:
    """An identifier of IMAP's ("-bob@example.org", "anyone") as the file has it, and whether it is negative."""
    negative = identifier.startswith("-")
    text = identifier.removeprefix("-")
    return (text if text.lower() in _EVERYBODY else _PERSON + text.lower()), negative


def in_imap(entry: Entry) -> str:
    """The other way round; groups with "$" as Dovecot tells them."""
    text = entry.identifier
    if text.lower().startswith(_PERSON):
        text = text[len(_PERSON) :]
    elif text.lower().startswith("group="):
        text = "$" + text[len("group=") :]
    return "-" + text if entry.negative else text


def read_acl(octets: bytes | None) -> Acl:
    """Whatever stands in the file: a line that cannot be understood grants nothing."""
    entries: list[Entry] = []
    strange: list[str] = []
    for line in (octets or b"").decode("utf-8", "replace").splitlines():
        parted = _parted(line)
        if parted is None:
            if line.strip():
                strange.append(line)
            continue
        identifier, _, rest = parted
        letters, colon, named = rest.partition(":")
        rights = frozenset(letters.strip()) & words.ALL
        negative = identifier.startswith("-")
        entries.append(Entry(identifier.removeprefix("-"), rights, negative, colon + named if colon else ""))
    return Acl(tuple(entries), tuple(strange))


def _parted(line: str) -> tuple[str, str, str] | None:
    if not line.strip() or line.startswith("#"):
        return None
    if not line.startswith('"'):
        return line.partition(" ")
    text, at = "", 1
    while at < len(line) and line[at] != '"':
        at += line[at] == "\\"
        text += line[at : at + 1]
        at += 1
    return (text, " ", line[at + 1 :].strip()) if at < len(line) else None


def write_acl(acl: Acl) -> bytes | None:
    """The file's octets, None when nothing is left to say."""
    lines = []
    for entry in acl.entries:
        identifier = ("-" if entry.negative else "") + entry.identifier
        if any(c in identifier for c in ' "\\'):
            identifier = '"' + identifier.replace("\\", "\\\\").replace('"', '\\"') + '"'
        lines.append(f"{identifier} {words.spelled(entry.rights)}{' ' + entry.rest if entry.rest else ''}")
    lines.extend(acl.strange)
    return "".join([line + "\n" for line in lines]).encode("utf-8") if lines else None
