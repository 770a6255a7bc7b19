"""Address lists: what the RFC allows, what people write, and what nobody should."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address_reader import Reader
from mailbox_appliance.mail.addresses import GROUP_END, MOST_ADDRESSES, Mailbox, addresses_of

M = Mailbox
# field value, addresses (display name, route, local part, domain)
TABLE: tuple[tuple[bytes, list[Mailbox]], ...] = (
    (b"", []),
    (b" \r\n ", []),
    (b"a@b.example", [M(None, None, b"a", b"b.example")]),
    (b"Ann B. <a@b>", [M(b"Ann B.", None, b"a", b"b")]),
    (b'"B, C" <a@b>, d@e', [M(b"B, C", None, b"a", b"b"), M(None, None, b"d", b"e")]),
    (b'"a \\"q\\" \\\\" <a@b>', [M(b'a "q" \\', None, b"a", b"b")]),
    (b"a@b (Ann (really) B)", [M(b"Ann (really) B", None, b"a", b"b")]),
    (b"(x) a (y) @ (z) b (Last)", [M(b"Last", None, b"a", b"b")]),
    (b"Ann\r\n  Bell <a@b>", [M(b"Ann Bell", None, b"a", b"b")]),
    # RFC 5322 A.1.2, A.1.3
    (
        b'Joe Q. Public <john.q.public@example.com>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
        [
            M(b"Joe Q. Public", None, b"john.q.public", b"example.com"),
            M(b'Giant; "Big" Box', None, b"sysservices", b"example.net"),
        ],
    ),
    (
        b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
        [
            M(None, None, b"A Group", None),
            M(b"Ed Jones", None, b"c", b"a.test"),
            M(None, None, b"joe", b"where.test"),
            M(b"John", None, b"jdoe", b"one.test"),
            GROUP_END,
        ],
    ),
    (b"Undisclosed recipients:;", [M(None, None, b"Undisclosed recipients", None), GROUP_END]),
    # RFC 5322 A.5
    (
        b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
        [M(b"Pete", None, b"pete", b"silly.test")],
    ),
    # RFC 5322 A.6.1: obsolete
    (
        b"Mary Smith <@node.test,@b.test:mary@example.net>, , jdoe@test  . example",
        [M(b"Mary Smith", b"@node.test,@b.test", b"mary", b"example.net")],
    ),
    (b'"john doe"@[192.0.2.1]', [M(None, None, b"john doe", b"[192.0.2.1]")]),
    (b"=?utf-8?Q?J=C3=BCrgen?= <j@x>", [M(b"=?utf-8?Q?J=C3=BCrgen?=", None, b"j", b"x")]),
    (b"B\xfccher <b@x>", [M(b"B\xfccher", None, b"b", b"x")]),
    # What is broken says so.
    (b"ann", [M(None, None, b"ann", b"MISSING_DOMAIN")]),
    (b"ann bob", [M(b"ann bob", None, b"MISSING_MAILBOX", b"MISSING_DOMAIN")]),
    (b"Ann <a@b", [M(b"Ann", None, b"a", b"SYNTAX_ERROR")]),
    (b"<>", [M(None, None, b"MISSING_MAILBOX", b"MISSING_DOMAIN")]),
    (b"@x", [M(None, None, b"MISSING_MAILBOX", b"x")]),
    (b"a..b.@x", [M(None, None, b"a..b.", b"x")]),
)


class AddressesTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Each row reads as written; what follows an empty element is what could still be read."""
        for value, expected in TABLE:
            self.assertEqual(addresses_of(value)[: len(expected)], expected, value)
            if b", ," not in value:
                self.assertEqual(len(addresses_of(value)), len(expected), value)

    def test_is_whole(self) -> None:
        """Only an address one could write to is whole."""
        self.assertTrue(addresses_of(b"Ann <a@b>")[0].is_whole)
        for value in (b"ann", b"@x", b"Ann <a@b", b"g:;"):
            self.assertFalse(any(mailbox.is_whole for mailbox in addresses_of(value)), value)

    def test_bounded(self) -> None:
        """Ten thousand addresses and no more."""
        self.assertEqual(len(addresses_of(b"a@b," * 20_000)), MOST_ADDRESSES)
        self.assertLessEqual(len(addresses_of(b"(c)a@b," * 20_000)), MOST_ADDRESSES)

    SOUP = st.lists(
        st.sampled_from(
            [
                *rb"""a @ b.c < > , ; : " \ ( ) . [ ] "x" (c) Ann =?q? a@b <a@b>""".split(),
                b" ",
                b"\r\n ",
                b"\x00",
                b"\xe4",
            ]
        ),
        max_size=14,
    ).map(b"".join)

    @given(SOUP)
    @settings(max_examples=300, deadline=None)
    def test_never_raises(self, value: bytes) -> None:
        """Any octets give some list; a group that begins also ends."""
        found = addresses_of(value)
        self.assertLessEqual(len(found), len(value) + 2)
        begun = sum(m.domain is None and m.local is not None for m in found)
        self.assertEqual(begun, sum(m == GROUP_END for m in found))

    @given(SOUP)
    @settings(max_examples=300, deadline=None)
    def test_both_readers_agree(self, value: bytes) -> None:
        """The quick pattern and the reader give the same list."""
        self.assertEqual(addresses_of(value), Reader(value).address_list())
