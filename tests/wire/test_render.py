"""What FETCH says of a message: envelopes, structures, sections, header fields, previews."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import SkipTest

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.mime_scan import LARGEST_HEADER, find_parts, scan, to_crlf
from mailbox_appliance.wire.imap.columns import render_one
from mailbox_appliance.wire.imap.keys import read_sort_keys, read_thread_keys
from mailbox_appliance.wire.imap.preview import PREVIEW_CHARACTERS
from mailbox_appliance.wire.imap.render import (
    filter_header,
    part_at,
    render_body,
    render_bodystructure,
    render_envelope,
    render_internaldate,
    section,
)
from mailbox_appliance.wire.imap.strings import field_string, human_string, nstring, string
from tests.kit.malformed import LARGE, MALFORMED

_ATOM = re.compile(rb"NIL|\d+")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")


KINDS = ("envelope", "body", "bodystructure", "preview")


def parse(octets: bytes, at: int = 0) -> tuple[Any, int]:
    """One value of the IMAP grammar: lists as tuples, strings as bytes, NIL as None. Raises ValueError."""
    if octets[at : at + 1] == b"(":
        values = []
        at += 1
        while octets[at : at + 1] != b")":
            if values and octets[at : at + 1] == b" ":
                at += 1
            value, at = parse(octets, at)
            values.append(value)
        return tuple(values), at + 1
    if match := _QUOTED.match(octets, at):
        return re.sub(rb"\\(.)", rb"\1", match[1]), match.end()
    if match := _LITERAL.match(octets, at):
        end = match.end() + int(match[1])
        if len(octets) < end or b"\0" in octets[match.end() : end]:
            raise ValueError("literal")
        return octets[match.end() : end], end
    if match := _ATOM.match(octets, at):
        return (None if match[0] == b"NIL" else int(match[0])), match.end()
    raise ValueError(octets[at : at + 40])


def value_of(octets: bytes) -> Any:
    value, end = parse(octets)
    if end != len(octets):
        raise ValueError(octets[end:])
    return value


def is_envelope(value: Any) -> bool:
    """RFC 3501 §9: ten values, six of them lists of four-string addresses or NIL."""
    return (
        len(value) == 10
        and all(item is None or isinstance(item, bytes) for item in (*value[:2], *value[8:]))
        and all(
            field is None or all(len(one) == 4 and all(x is None or isinstance(x, bytes) for x in one) for one in field)
            for field in value[2:8]
        )
    )


def is_body(value: Any, *, extended: bool) -> bool:
    """RFC 3501 §9: body."""

    def is_parameters(item: Any) -> bool:
        return item is None or (len(item) % 2 == 0 and len(item) > 0 and all(isinstance(x, bytes) for x in item))

    def is_extension(items: Any) -> bool:
        disposition, language, location = items
        return (
            (disposition is None or (isinstance(disposition[0], bytes) and is_parameters(disposition[1])))
            and (language is None or all(isinstance(x, bytes) for x in language))
            and (location is None or isinstance(location, bytes))
        )

    if isinstance(value[0], tuple):
        parts = [item for item in value if isinstance(item, tuple)]
        count = next(index for index, item in enumerate(value) if isinstance(item, bytes))
        rest = value[count + 1 :]
        return all(is_body(part, extended=extended) for part in parts[:count]) and (
            (is_parameters(rest[0]) and is_extension(rest[1:])) if extended else not rest
        )
    type_, subtype, parameters, content_id, description, encoding, octets, *rest = value
    good = all(isinstance(item, bytes) for item in (type_, subtype, encoding)) and isinstance(octets, int)
    good = (
        good and is_parameters(parameters) and all(x is None or isinstance(x, bytes) for x in (content_id, description))
    )
    if type_ == b"text":
        good = good and isinstance(rest.pop(0), int)
    elif (type_, subtype) == (b"message", b"rfc822"):
        envelope, body, lines, *rest = rest
        good = good and is_envelope(envelope) and is_body(body, extended=extended) and isinstance(lines, int)
    if extended:
        return good and (rest[0] is None or isinstance(rest[0], bytes)) and is_extension(rest[1:])
    return good and not rest


class StringTests(SynchronousTestCase):
    def test_strings(self) -> None:
        """Quoted where the grammar allows it, else literal, never a NUL."""
        for value, said in (
            (b"", b'""'),
            (b"a b", b'"a b"'),
            (b'a"b\\', b'"a\\"b\\\\"'),
            (b'"""""', b'{5}\r\n"""""'),
            (b"gr\xfc\xdf", b"{4}\r\ngr\xfc\xdf"),
            (b"a\r\nb", b"{4}\r\na\r\nb"),
            (b"a\0b", b"{5}\r\na\xef\xbf\xbdb"),
        ):
            self.assertEqual(string(value), said)
        self.assertEqual(nstring(None), b"NIL")
        self.assertEqual(field_string(b"a\r\n b\nc\r\n"), b'"a b c"')
        self.assertEqual(human_string(b" a \t b\r\n  c "), b'"a b c"')

    @given(st.binary(max_size=60))
    @settings(max_examples=200, deadline=None)
    def test_any_octets(self, octets: bytes) -> None:
        """Any octets come back through the grammar, but for NUL."""
        self.assertEqual(value_of(string(octets)), octets.replace(b"\0", b"\xef\xbf\xbd"))


class EnvelopeTests(SynchronousTestCase):
    def test_rfc_3501(self) -> None:
        """The example of RFC 3501 §8."""
        header = (
            b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
            b"Subject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n"
            b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
            b"Message-Id: <B27397-0100000@cac.washington.edu>\r\nMIME-Version: 1.0\r\n\r\n"
        )
        gray = b'(("Terry Gray" NIL "gray" "cac.washington.edu"))'
        self.assertEqual(
            render_envelope(header),
            b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" '
            + gray
            + b" "
            + gray
            + b" "
            + gray
            + b' ((NIL NIL "imap" "cac.washington.edu")) '
            b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
            b'"<B27397-0100000@cac.washington.edu>")',
        )

    def test_rules(self) -> None:
        """Sender and Reply-To default to From, empty ones too; several From are one list; the last Subject counts."""
        value = value_of(render_envelope(b"From: a@x\nFrom: b@y\nSender:\nReply-To: c@z\nSubject: 1\nSubject: 2\n\n"))
        self.assertEqual(len(value[2]), 2)
        self.assertEqual(value[3], value[2])
        self.assertEqual(value[4], ((None, None, b"c", b"z"),))
        self.assertEqual(value[1], b"2")
        self.assertEqual(render_envelope(b"\n"), b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")
        group = value_of(render_envelope(b"To: G: a@x;\n\n"))[5]
        self.assertEqual(group, ((None, None, b"G", None), (None, None, b"a", b"x"), (None, None, None, None)))
        self.assertEqual(render_envelope(b"To: a@x\n\nTo: b@y\n"), render_envelope(b"To: a@x\r\n\r\n"))

    def test_internaldate(self) -> None:
        """RFC 3501 §9 date-time: quotes, and a day of two places."""
        self.assertEqual(render_internaldate(0), b'" 1-Jan-1970 00:00:00 +0000"')
        self.assertEqual(render_internaldate(837595405, -420), b'"17-Jul-1996 02:23:25 -0700"')


class StructureTests(SynchronousTestCase):
    def both(self, octets: bytes) -> tuple[bytes, bytes]:
        wire = to_crlf(octets)
        part = scan(wire)
        return render_body(part, wire), render_bodystructure(part, wire)

    def test_plain(self) -> None:
        """A message without MIME is text/plain; us-ascii (RFC 2045 §5.2)."""
        body, structure = self.both(b"From: a@b\n\nhello\nworld\n")
        self.assertEqual(body, b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 14 2)')
        self.assertEqual(structure, body[:-1] + b" NIL NIL NIL NIL)")

    def test_multipart(self) -> None:
        """Parts, boundary, disposition; an empty multipart has one empty text part."""
        octets = (
            b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\nx\n--b\nContent-Type: image/png; name="a b"\n'
            b"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=x\n\nAAAA\n--b--\n"
        )
        _, structure = self.both(octets)
        self.assertEqual(
            structure,
            b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)'
            b'("image" "png" ("name" "a b") NIL NIL "base64" 4 NIL ("attachment" ("filename" "x")) NIL NIL) '
            b'"mixed" ("boundary" "b") NIL NIL NIL)',
        )
        body, structure = self.both(b"Content-Type: multipart/mixed\n\n")
        self.assertEqual(body, b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")')
        self.assertTrue(is_body(value_of(structure), extended=True))

    def test_message(self) -> None:
        """An enclosed message brings its envelope, its body and its lines."""
        body, _ = self.both(b"Content-Type: message/rfc822\n\nSubject: in\n\nx\ny\n")
        self.assertEqual(
            body,
            b'("message" "rfc822" NIL NIL NIL "7bit" 21 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) '
            b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 2) 4)',
        )

    def test_malformed_is_grammatical(self) -> None:
        """Whatever the message, what is said of it fits the grammar, and one pass says what the single ones say."""
        for name, octets in (*MALFORMED, *((name, make()) for name, make in LARGE)):
            made = render_one(octets, KINDS)
            wire = to_crlf(octets)
            part = scan(wire)
            self.assertTrue(is_envelope(value_of(made["envelope"])), name)
            self.assertTrue(is_body(value_of(made["body"]), extended=False), name)
            self.assertTrue(is_body(value_of(made["bodystructure"]), extended=True), name)
            self.assertEqual(made["body"], render_body(part, wire), name)
            self.assertEqual(made["bodystructure"], render_bodystructure(part, wire), name)
            if part.body <= LARGEST_HEADER:
                self.assertEqual(made["envelope"], render_envelope(wire), name)
            root = find_parts(octets, crlf=True)
            self.assertEqual((root.end, root.body), (len(wire), part.body), name)
            self.assertLessEqual(len(made["preview"].decode("utf-8")), PREVIEW_CHARACTERS, name)
            self.assertNotIn(b"\n", made["preview"], name)

    SOUP = st.lists(
        st.sampled_from(
            (
                'From: |To: |Subject: |Date: |Content-Type: |Content-Disposition: |text/plain|; |boundary=b|=|"|\\|('
                "|)|<|>|@|,|:|a|b.c|\xe4|\n|\n\n|\n |--b\n|--b--\n|multipart/mixed|message/rfc822|\0|\r|NIL|{3}|=?utf-8?q?x?="
            )
            .encode("latin-1")
            .split(b"|")
        ),
        max_size=40,
    ).map(b"".join)

    @given(SOUP)
    @settings(max_examples=300, deadline=None)
    def test_any_soup_is_grammatical(self, octets: bytes) -> None:
        """The same for any soup of fields and boundaries."""
        made = render_one(octets, KINDS)
        self.assertTrue(is_envelope(value_of(made["envelope"])))
        self.assertTrue(is_body(value_of(made["body"]), extended=False))
        self.assertTrue(is_body(value_of(made["bodystructure"]), extended=True))
        self.assertEqual(find_parts(octets, crlf=True).end, len(to_crlf(octets)))


class SectionTests(SynchronousTestCase):
    MESSAGE = to_crlf(
        b"Subject: outer\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n"
        b"--b\nContent-Type: message/rfc822\n\nSubject: inner\n\ntwo\n"
        b"--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nthree\n--c--\n--b--\n"
    )

    def get(self, octets: bytes, path: tuple[int, ...], what: str = "") -> bytes | None:
        found = section(scan(octets), path, what)
        return None if found is None else octets[found[0] : found[1]]

    def test_sections(self) -> None:
        """RFC 3501 §6.4.5, number by number."""
        rows: tuple[tuple[tuple[int, ...], str, bytes | None], ...] = (
            ((1,), "", b"one"),
            ((1,), "MIME", b"\r\n"),
            ((1,), "TEXT", None),
            ((1,), "HEADER", None),
            ((2,), "", b"Subject: inner\r\n\r\ntwo"),
            ((2,), "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
            ((2,), "HEADER", b"Subject: inner\r\n\r\n"),
            ((2,), "TEXT", b"two"),
            ((2, 1), "", b"two"),
            ((2, 2), "", None),
            ((2, 1, 1), "", None),
            ((3, 1), "", b"three"),
            ((3, 1), "MIME", b"\r\n"),
            ((3, 2), "", None),
            ((4,), "", None),
            ((0,), "", None),
            ((1, 1), "", None),
            ((), "MIME", None),
        )
        for path, what, expected in rows:
            self.assertEqual(self.get(self.MESSAGE, path, what), expected, (path, what))
        self.assertEqual(self.get(self.MESSAGE, ()), self.MESSAGE)
        end = header_end(self.MESSAGE)
        self.assertEqual(self.get(self.MESSAGE, (), "HEADER"), self.MESSAGE[:end])
        self.assertEqual(self.get(self.MESSAGE, (), "TEXT"), self.MESSAGE[end:])

    def test_single_part(self) -> None:
        """A message without parts has its body as part 1."""
        octets = b"Subject: x\r\n\r\nhello"
        self.assertEqual(self.get(octets, (1,)), b"hello")
        self.assertIsNone(self.get(octets, (2,)))
        self.assertIsNone(self.get(octets, (1, 1)))

    def test_every_part_has_a_place(self) -> None:
        """No path, however odd, leads outside of the message."""
        for name, octets in MALFORMED:
            wire = to_crlf(octets)
            part = scan(wire)
            for path in ((), (1,), (2,), (1, 1), (1, 2), (2, 1), (1, 1, 1)):
                for what in ("", "HEADER", "TEXT", "MIME"):
                    found = section(part, path, what)
                    if found is not None:
                        self.assertTrue(0 <= found[0] <= found[1] <= len(wire), name)
            self.assertIs(part_at(part, ()), part)


def slow_filter(header: bytes, names: frozenset[str], exclude: bool) -> bytes:
    """HEADER.FIELDS line by line, as the RFC tells it."""
    lines = header[: header_end(header)].replace(b"\r\n", b"\n").split(b"\n")
    fields: list[list[bytes]] = []
    ended = False
    for line in lines[:-1] if lines[-1] == b"" else lines:
        if line == b"":
            ended = True
            break
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1].append(line)
        else:
            fields.append([line])
    kept = []
    for field in fields:
        name, colon, _ = field[0].partition(b":")
        listed = (
            bool(colon) and name.rstrip(b" \t").lower().decode("latin-1") in names and name[:1] not in (b" ", b"\t")
        )
        if listed != exclude:
            kept += field
    out = b"".join(line + b"\r\n" for line in kept)
    return out if exclude and not ended else out + b"\r\n"


class FilterTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Names in any case, folds with their field, CRLF and the empty line."""
        header = b"From: a\nSUBJECT: b\n c\nX-From: d\nSubject : e\n\nSubject: body\n"
        for line_end in (b"\n", b"\r\n"):
            given_header = header.replace(b"\n", line_end)
            self.assertEqual(filter_header(given_header, ("subject",)), b"SUBJECT: b\r\n c\r\nSubject : e\r\n\r\n")
            self.assertEqual(filter_header(given_header, ("subject", "from"), True), b"X-From: d\r\n\r\n")
            self.assertEqual(filter_header(given_header, ("nothing",)), b"\r\n")
            self.assertEqual(filter_header(given_header, ()), b"\r\n")
        self.assertEqual(filter_header(header, (), True), to_crlf(header[: header_end(header)]))
        self.assertEqual(filter_header(b"a.c: 1\nabc: 2\n\n", ("a.c",)), b"a.c: 1\r\n\r\n")

    @given(
        st.lists(
            st.sampled_from(
                [b"From: a", b"from : b", b"X: c", b" fold", b"\tfold", b"no colon", b"Subject:", b"", b": x"]
            ),
            max_size=10,
        ),
        st.sampled_from([b"\n", b"\r\n"]),
        st.booleans(),
    )
    @settings(max_examples=300, deadline=None)
    def test_as_brute_force(self, lines: list[bytes], line_end: bytes, exclude: bool) -> None:
        """The pattern and a loop over lines agree."""
        header = b"".join(line + line_end for line in lines)
        names = frozenset({"from", "subject"})
        self.assertEqual(filter_header(header, names, exclude), slow_filter(header, names, exclude), header)


class PreviewTests(SynchronousTestCase):
    def get(self, octets: bytes) -> str:
        return render_one(octets, ["preview"])["preview"].decode("utf-8")

    def test_preview(self) -> None:
        """The first text, on one line, without tags; plain before HTML."""
        self.assertEqual(self.get(b"\r\nhello\r\n\r\n  world\r\n"), "hello world")
        self.assertEqual(self.get(b"Content-Type: text/html\r\n\r\n<style>x</style><p>a&amp;b</p><p>c"), "a&b c")
        self.assertEqual(self.get(b"Content-Type: image/png\r\n\r\nx"), "")
        alternative = (
            b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html"
            b"\r\n--b\r\n\r\nplain\r\n--b--\r\n"
        )
        self.assertEqual(self.get(alternative), "plain")
        self.assertEqual(
            self.get(
                b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ=="
            ),
            "Grüße",
        )

    def test_length(self) -> None:
        """Two hundred characters at most, found even behind a long head."""
        self.assertEqual(len(self.get(b"\r\n" + b"word " * 1000)), PREVIEW_CHARACTERS - 1)
        html = b"Content-Type: text/html\r\n\r\n<style>" + b"x" * 20_000 + b"</style>" + b"word " * 1000
        self.assertEqual(len(self.get(html)), PREVIEW_CHARACTERS - 1)


class ColumnTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """What SORT and THREAD compare."""
        made = render_one(
            b"From: Zoe <ann@x>\nTo: b@y\nCc: c@z\nSubject: Re: =?utf-8?q?B=C3=BCcher?=\nMessage-ID: <1@x>\n"
            b"References: <2@x> <3@x>\nDate: Sun, 22 Nov 2026 23:30:00 -0100\n\nhello\n",
            ["sortkeys", "threadkeys"],
        )
        subject = "BU\u0308CHER".encode()
        self.assertEqual(read_sort_keys(made["sortkeys"]), (b"1795393800", subject, b"ANN", b"B", b"C", b"ZOE", b"B@Y"))
        self.assertEqual(read_thread_keys(made["threadkeys"]), (b"1795393800", b"1", subject, b"1@x", [b"2@x", b"3@x"]))

    def vectors(self) -> Iterator[Path]:
        folder = os.environ.get("MAILAPPLIANCE_VECTORS", "")
        if not folder:
            raise SkipTest("MAILAPPLIANCE_VECTORS names no folder of vectors")
        yield from sorted(
            path for path in (Path(folder) / "eml").glob("*/*") if path.name not in ("LICENSE", "SOURCE.md")
        )

    def test_vectors(self) -> None:
        """All of the public odd messages: grammatical, sizes right."""
        count = 0
        for path in self.vectors():
            octets = path.read_bytes().replace(b"\r\n", b"\n")
            made = render_one(octets, KINDS)
            self.assertTrue(is_envelope(value_of(made["envelope"])), path)
            self.assertTrue(is_body(value_of(made["body"]), extended=False), path)
            self.assertTrue(is_body(value_of(made["bodystructure"]), extended=True), path)
            self.assertEqual(find_parts(octets, crlf=True).end, len(to_crlf(octets)), path)
            count += 1
        self.assertGreater(count, 100)
