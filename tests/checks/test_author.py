"""The checks' reader of From and the one at the door never name two different authors."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.author import author_of
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.header import group_fields
from mailbox_appliance.mailauth.canonical import HeaderBlock
from mailbox_appliance.smtp.author import AuthorError
from mailbox_appliance.smtp.author import author_of as author_at_the_door
from tests.checks.test_forgery import FROMS


def both(value: str) -> tuple[Address | None, Address | None]:
    """What the two readers say; None is "nobody plainly"."""
    header = f"From: {value}\nTo: x@y.test\n\n".encode("utf-8", "surrogateescape")
    try:
        door: Address | None = author_at_the_door(group_fields(header).get(b"from", []))
    except AuthorError:
        door = None
    return door, author_of(HeaderBlock(header))


PIECES = st.sampled_from(
    [
        *(
            "a@b.test",
            "c@d.test",
            "<",
            ">",
            "<a@b.test>",
            '"',
            "(",
            ")",
            ",",
            ";",
            ":",
            " ",
            "\n ",
            "\\",
            "@",
            ".",
            "Eve",
        ),
        *(
            "=?utf-8?q?x=40y?=",
            "ü",
            "Eve, Ann",
            '"Eve"',
            "(x)",
            "@e.test:",
            "\t",
            "<c@d.test>",
            "x",
            '"a@b.test"@c.test',
        ),
    ]
)


class AuthorTests(SynchronousTestCase):
    """One author, or none."""

    def test_usual_forms(self) -> None:
        """What honest programs write is read by both, and alike."""
        for value in (
            "eve@victim.test",
            "Eve <eve@victim.test>",
            '"Eve, of Victim" <eve@victim.test>',
            "Doe, Eve <eve@victim.test>",
            "=?utf-8?q?Eve_=C3=BC?= <eve@victim.test>",
            "Eve (at work) <eve@victim.test>",
            "eve@victim.test (Eve)",
            "<eve@victim.test>",
            '"eve@victim.test" <eve@victim.test>',
            "eve@victim.test <eve@victim.test>",
            "Eve\n <eve@victim.test>",
            "Dr. Eve J. Victim <eve@victim.test>",
            "Eve <EVE@Victim.Test>",
            "Ünsal <eve@victim.test>",
            "Eve [Sales] <eve@victim.test>",
            "Eve <eve+x@victim.test>",
            "<eve@victim.test> (Eve)",
            "Eve Victim eve@victim.test",
            '"Eve <3" <eve@victim.test>',
            '"eve" <"eve"@victim.test>',
        ):
            door, inside = both(value)
            self.assertIsNotNone(door, value)
            self.assertEqual(door, inside, value)

    def test_battery(self) -> None:
        """Every forgery: the same author or none."""
        for name, value in FROMS.items():
            door, inside = both(value)
            if door is not None and inside is not None and name != "folded in the address":
                self.assertEqual(door.folded(), inside.folded(), name)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(PIECES, max_size=8))
    def test_any(self, pieces: list[str]) -> None:
        """Whatever is put together: the same author or none."""
        door, inside = both("".join(pieces))
        if door is not None and inside is not None:
            self.assertEqual(door.folded(), inside.folded())
