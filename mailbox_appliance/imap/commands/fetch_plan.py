"""What a FETCH asks, sorted by where it comes from: arrays, columns, files.

The response of one message is a template filled in order: UID first (some clients need it there), FLAGS, MODSEQ,
INTERNALDATE and RFC822.SIZE, all out of arrays, then columns, then sections.
"""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Column, Fields
from mailbox_appliance.wire.imap.commands import Attribute, Item, Nothing, Prerendered, Section
from mailbox_appliance.wire.imap.strings import string

Form = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Plan:
    """``template`` takes the message number, then UID … size as asked, then ``columns`` each put into its form."""

    uid: bool
    flags: bool
    modseq: bool
    date: bool
    size: bool
    columns: tuple[Column | Fields, ...]
    forms: tuple[Form, ...] | None  # None: all as they come
    sections: tuple[Section, ...]
    marks_seen: bool
    template: bytes
    nothing: bool  # are there attributes that are NIL for every message?
    attributes: tuple[Attribute, ...]
    uid_only: bool = False  # the UID stands where the message number stood (RFC 9586 §3.3)

    @property
    def with_flags(self) -> Plan:
        """The same with FLAGS, for a message that has just become \\Seen."""
        return make_plan((*self.attributes, Item.FLAGS), uid_only=self.uid_only)


def make_plan(attributes: tuple[Attribute, ...], *, uid_only: bool = False) -> Plan:
    """Sort what was asked."""
    columns: list[Column | Fields] = []
    labels: list[bytes] = []
    forms: list[Form] = []
    sections: list[Section] = []
    nothing: list[bytes] = []
    items: list[bytes] = []
    wanted = {item for item in attributes if isinstance(item, Item)}
    if Item.UID in wanted:
        items.append(b"UID %d")
    if Item.FLAGS in wanted:
        items.append(b"FLAGS (%b)")
    if Item.MODSEQ in wanted:
        items.append(b"MODSEQ (%d)")
    prerendered = {attribute.column for attribute in attributes if isinstance(attribute, Prerendered)}
    if Column.INTERNALDATE in prerendered:
        items.append(b"INTERNALDATE %b")
    if Column.SIZE in prerendered:
        items.append(b"RFC822.SIZE %d")
    for attribute in attributes:
        if isinstance(attribute, Prerendered) and attribute.column in (Column.INTERNALDATE, Column.SIZE):
            continue
        if isinstance(attribute, Prerendered):
            columns.append(attribute.column)
            labels.append(attribute.label)
            forms.append(_FORMS.get(attribute.column, _as_it_is))
        elif isinstance(attribute, Nothing):
            nothing.append(attribute.label + b" NIL")
        elif isinstance(attribute, Section):
            if attribute.text.startswith("HEADER.FIELDS") and not attribute.part:
                columns.append(Fields(attribute.fields, attribute.text.endswith("NOT")))
                labels.append(attribute.label)
                forms.append(_sliced(attribute.partial) if attribute.partial else literal)
            else:
                sections.append(attribute)
    items += [label.replace(b"%", b"%%") + b" %b" for label in labels]
    items += nothing
    return Plan(
        uid=Item.UID in wanted,
        flags=Item.FLAGS in wanted,
        modseq=Item.MODSEQ in wanted,
        date=Column.INTERNALDATE in prerendered,
        size=Column.SIZE in prerendered,
        columns=tuple(columns),
        forms=None if all(form is _as_it_is for form in forms) else tuple(forms),
        sections=tuple(sections),
        marks_seen=any(isinstance(a, Section) and not a.peek for a in attributes),
        template=(b"* %d UIDFETCH (" if uid_only else b"* %d FETCH (") + b" ".join(items) + b")\r\n",
        nothing=bool(nothing),
        attributes=attributes,
        uid_only=uid_only,
    )


def literal(octets: bytes) -> bytes:
    """A literal."""
    return b"{%d}\r\n%b" % (len(octets), octets)


def _as_it_is(octets: bytes) -> bytes:
    return octets


def _sliced(partial: tuple[int, int]) -> Form:
    offset, length = partial
    return lambda octets: literal(octets[offset : offset + length])


def _or_nil(octets: bytes) -> bytes:
    return octets or b"NIL"


_FORMS: dict[Column, Form] = {
    Column.PREVIEW: string,
    Column.SAVEDATE: _or_nil,
    Column.EMAILID: lambda octets: b"(%b)" % octets,
}
