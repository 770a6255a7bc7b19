"""SMTP's grammar by rule: what is read, what is refused, and that nothing else can happen."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.wire.smtp import client_commands, grammar, mistakes, parameters, paths

PATHS = [
    ("<ann@example.org>", "ann", "example.org"),
    ("<Ann.Other@EXAMPLE.org>", "Ann.Other", "example.org"),
    ("<a!#$%&'*+-/=?^_`{|}~@x.test>", "a!#$%&'*+-/=?^_`{|}~", "x.test"),
    ('<"ann"@x.test>', "ann", "x.test"),
    ('<"ann smith"@x.test>', "ann smith", "x.test"),
    (r'<"a\"b\\c"@x.test>', 'a"b\\c', "x.test"),
    ('<"a@b"@x.test>', "a@b", "x.test"),
    ('<"<>"@x.test>', "<>", "x.test"),
    ("<ann@[192.0.2.1]>", "ann", "[192.0.2.1]"),
    ("<ann@[IPv6:2001:db8::1]>", "ann", "[IPv6:2001:db8::1]"),
    ("<@a.test,@b.test:ann@x.test>", "ann", "x.test"),
    ("<@[192.0.2.1]:ann@x.test>", "ann", "x.test"),
    ("<jürgen@müller.test>", "jürgen", "xn--mller-kva.test"),
    ("<ann@x.test.>", "ann", "x.test"),
    ("<" + "a" * 64 + "@x.test>", "a" * 64, "x.test"),
]
NO_PATHS = [
    "",
    "ann@x.test",
    "<ann@x.test",
    "<ann>",
    "<@x.test>",
    "<ann@>",
    "<ann@@x.test>",
    "<ann@x@y.test>",
    "<.ann@x.test>",
    "<ann.@x.test>",
    "<a..b@x.test>",
    "<a b@x.test>",
    "<ann@x .test>",
    "<ann@x..test>",
    "<ann@-x.test>",
    "<ann@[300.0.2.1]>",
    "<ann@[IPv6:zz]>",
    "<ann@[x-tag:data]>",
    "<ann@[]>",
    '<"ann@x.test>',
    '<"a"b@x.test>',
    '<""@x.test>',
    "<@a.test:>",
    "<@a.test ann@x.test>",
    "<<ann@x.test>>",
    "<ann\\@y@x.test>",
    "<" + "a" * 65 + "@x.test>",
    "<ann@" + "a." * 130 + "test>",
    "<|/bin/sh@x.test",
]


class PathTests(SynchronousTestCase):
    """RFC 5321 §4.1.2."""

    def test_paths(self) -> None:
        """What is a path, and what it means."""
        for text, local, domain in PATHS:
            self.assertEqual(paths.parse_path(text + " X"), (Address(local, domain), " X"), text)

    def test_no_paths(self) -> None:
        """What is none is refused with 501."""
        for text in NO_PATHS:
            with self.assertRaises(mistakes.GrammarError) as caught:
                paths.parse_path(text)
            self.assertEqual(caught.exception.reply.code, 501, text)

    def test_special_paths(self) -> None:
        """The null reverse path and the bare postmaster."""
        self.assertEqual(paths.parse_reverse_path("<> X"), (None, " X"))
        self.assertEqual(paths.parse_forward_path("<POSTmaster>")[0], Address("postmaster", ""))
        self.assertEqual(paths.show_path(Address("postmaster", "")), "<postmaster>")
        self.assertEqual(paths.show_path(None), "<>")
        self.assertRaises(mistakes.GrammarError, paths.parse_forward_path, "<>")
        self.assertRaises(mistakes.GrammarError, paths.parse_reverse_path, "<postmaster>")

    @settings(max_examples=200)
    @given(st.text(st.characters(min_codepoint=0x20, blacklist_categories=("Cc", "Cs")), min_size=1, max_size=60))
    def test_what_is_said_is_read(self, local: str) -> None:
        """Any local part an Address can hold survives being said and read."""
        try:
            address = Address.of(local, "x.test")
        except ValueError:
            return
        self.assertEqual(paths.parse_path(paths.show_path(address)), (address, ""))


class ParameterTests(SynchronousTestCase):
    """Parameters of MAIL and RCPT."""

    def test_xtext(self) -> None:
        """RFC 3461 §4."""
        self.assertEqual(parameters.xtext_decode("ann+2Bshop+3D"), "ann+shop=")
        for bad in ("a+2b", "a+", "a+2", "a=b", "a b", "a+00", "a+0D+0A", "+FF"):
            self.assertRaises(mistakes.GrammarError, parameters.xtext_decode, bad)

    @settings(max_examples=200)
    @given(st.text(st.characters(min_codepoint=0x20, blacklist_categories=("Cc", "Cs")), max_size=80))
    def test_xtext_comes_back(self, text: str) -> None:
        """What is encoded decodes to itself, and is safe in between."""
        encoded = client_commands.xtext(text.encode("utf-8"))
        self.assertTrue(encoded.isascii() and " " not in encoded)
        self.assertEqual(parameters.xtext_decode(encoded), text)

    def test_mail(self) -> None:
        """All that MAIL may ask."""
        offered = frozenset({"SIZE", "8BITMIME", "SMTPUTF8", "DSN"})
        arguments = grammar.parse_mail("FROM:<a@b.test> size=10 BODY=8bitmime RET=hdrs ENVID=x+2By SMTPUTF8", offered)
        self.assertEqual(arguments, grammar.MailArguments(Address("a", "b.test"), 10, True, True, "HDRS", "x+y"))
        self.assertRaises(mistakes.GrammarError, grammar.parse_mail, "FROM:<a@b.test> SIZE=10", frozenset())
        self.assertRaises(mistakes.GrammarError, grammar.parse_mail, "FROM <a@b.test>", offered)
        self.assertRaises(mistakes.GrammarError, grammar.parse_mail, "TO:<a@b.test>", offered)

    @settings(max_examples=300)
    @given(st.text(max_size=200))
    def test_nothing_else_is_raised(self, text: str) -> None:
        """Every reader answers or says GrammarError, whatever it is given."""
        offered = frozenset(row[0] for row in parameters.MAIL_PARAMETERS.values())
        for start in ("", "FROM:<a@b.test> ", "FROM:", "TO:<a@b.test> ", "TO:"):
            for read in (
                lambda t: grammar.parse_mail(t, offered),
                lambda t: grammar.parse_rcpt(t, offered, True),
                grammar.parse_bdat,
                grammar.parse_auth,
                grammar.parse_hello,
                parameters.xtext_decode,
            ):
                try:
                    read(start + text)
                except mistakes.GrammarError as error:
                    self.assertGreaterEqual(error.reply.code, 500)

    def test_hello_is_made_safe(self) -> None:
        """Only safe characters are kept of a peer's name."""
        self.assertEqual(grammar.parse_hello("mx.x.test"), "mx.x.test")
        self.assertEqual(grammar.parse_hello("[IPv6:2001:db8::1]"), "[IPv6:2001:db8::1]")
        self.assertEqual(grammar.parse_hello("a(b)c\u00e9;d e"), "a?b?c??d")
        self.assertRaises(mistakes.GrammarError, grammar.parse_hello, " ")
        self.assertRaises(mistakes.GrammarError, grammar.parse_hello, "a" * 256)

    def test_linear(self) -> None:
        """The longest lines that a server lets through are read at once."""
        for text in ("<" + "a" * 12000, "<" + "a." * 6000 + "@", '<"' + "\\a" * 6000, "<" + "@a," * 4000, "<@a" * 4000):
            self.assertRaises(mistakes.GrammarError, paths.parse_path, text)
