"""Who a message says it is from: one address, or a refusal; never a guess between two."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.author import author_of as checks_author_of
from mailbox_appliance.mailauth.canonical import HeaderBlock
from mailbox_appliance.smtp.author import AuthorError, author_of

ONE = {
    "ann@x.test": "ann@x.test",
    "<ann@x.test>": "ann@x.test",
    "Ann <ann@X.test>": "ann@x.test",
    "Ann B. Smith <ann@x.test>": "ann@x.test",
    '"Smith, Ann" <ann@x.test>': "ann@x.test",
    "Smith, Ann <ann@x.test>": "ann@x.test",
    '"ann@bank.test" <ann@x.test>': "ann@x.test",
    "ann@x.test <ann@x.test>": "ann@x.test",
    "ann@x.test (Ann (the first) Smith)": "ann@x.test",
    "(a@b.test) ann@x.test": "ann@x.test",
    "=?utf-8?q?J=C3=BCrgen?= <j@x.test>": "j@x.test",
    "Jürgen <j@x.test>": "j@x.test",
    "<j@müller.test>": "j@xn--mller-kva.test",
    '"ann smith"@x.test': '"ann smith"@x.test',
    r'"a\"b" <ann@x.test>': "ann@x.test",
    "Group: ann@x.test;": "ann@x.test",
    "ann@x.test,": "ann@x.test",
    "Ann Smith ann@x.test": "ann@x.test",
    "Ann\n <ann@x.test>": "ann@x.test",
    "Mail Delivery System <MAILER-DAEMON@x.test>": "MAILER-DAEMON@x.test",
    '"" <ann@x.test>': "ann@x.test",
    '"A" "B" <ann@x.test>': "ann@x.test",
    '"x" <"q s"@x.test>': '"q s"@x.test',
}
NOT_ONE = [
    "",
    "Ann",
    "<>",
    "Ann <>",
    "Group:;",
    "a@x.test, b@x.test",
    "<a@x.test>, <b@y.test>",
    "<a@x.test> <b@y.test>",
    "a@x.test <b@y.test>",
    "<a@x.test> b@y.test",
    "Group: a@x.test, b@y.test;",
    "<@a.test,@b.test:c@x.test>",
    "<@a.test:c@x.test>",
    "a@x.test@y.test",
    "<a@x.test@y.test>",
    "a@x.test\\, b@y.test",
    "<a@x.test",
    "a@x.test>",
    "<<a@x.test>>",
    '"Ann <ann@x.test>',
    "Ann (comment <ann@x.test>",
    "<a b@x.test>",
    "<a@x test>",
    "<a@>",
    "<@x.test>",
    "a@[x",
    "<a(b)c@x.test> d@y.test",
    '"a"@x.test, "b"@y.test',
    "a@\x1a.test",
    "\x1a@x.test",
    '"a"b@x.test',
    "eve@victim\n .test",
    "eve@victim .test",
    "eve@victim (c) .test",
    "eve@victim (c).test",
    "Eve eve@victim . test",
    "eve. x@victim.test",
    "x@victim.test Eve",
    "Group: eve@victim .test;",
]


class AuthorTests(SynchronousTestCase):
    """RFC 5322 §3.6.2, read with suspicion."""

    def test_one(self) -> None:
        """One address, whatever stands around it."""
        for text, address in ONE.items():
            self.assertEqual(str(author_of([text.encode()])), address, text)

    def test_not_one(self) -> None:
        """None, several, or a riddle."""
        for text in NOT_ONE:
            self.assertRaises(AuthorError, author_of, [text.encode()])
        self.assertRaises(AuthorError, author_of, [])
        self.assertRaises(AuthorError, author_of, [b"a@x.test", b"a@x.test"])

    @settings(max_examples=300)
    @given(st.lists(st.sampled_from([*'<>()",:;@\\. \t\nab', "a@x.test", "b@y.test", '"q"']), max_size=14))
    def test_never_two(self, shreds: list[str]) -> None:
        """Where two different addresses stand bare, no single one is ever reported; nothing else is raised."""
        text = "".join(shreds)
        try:
            author = author_of([text.encode()])
        except AuthorError:
            return
        if not set(text) & set('"(\\'):
            found = [name for name in ("a@x.test", "b@y.test") if name in text]
            self.assertLessEqual(len(found), 1, (text, author))

    @settings(max_examples=300)
    @given(
        st.lists(st.sampled_from([*'<>"(),: \t', "\n ", "a@x.test", "a@x", ".test", "y.", "Eve", '"q"']), max_size=8)
    )
    def test_two_readers(self, shreds: list[str]) -> None:
        """The door and the checks never find two different authors in one field."""
        value = "".join(shreds).encode()
        try:
            author = author_of([value])
        except AuthorError:
            return
        block = HeaderBlock(b"From: " + value + b"\n\n")
        if len(block.all(b"from")) == 1:
            self.assertIn(checks_author_of(block), (None, author), value)

    def test_linear(self) -> None:
        """A header block full of trouble takes no time to speak of."""
        for text in ("(" * 200_000, '"' + "\\" * 200_000, "<" * 200_000, "a" * 200_000, "a@" * 100_000, "a " * 100_000):
            self.assertRaises(AuthorError, author_of, [text.encode()])
