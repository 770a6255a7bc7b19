"""Octets into text: RFC 2047 words, RFC 2231 values, charsets that do not exist."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.charset import SlicedText, codec_of, decode, decode_extended, decode_words, parameter_text

# RFC 2047 §8 and what people send
WORDS: tuple[tuple[bytes, str], ...] = (
    (b"plain", "plain"),
    (b"=?ISO-8859-1?Q?a?=", "a"),
    (b"=?ISO-8859-1?Q?a?= b", "a b"),
    (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
    (b"=?ISO-8859-1?Q?a?=\r\n  =?ISO-8859-1?Q?b?=", "ab"),
    (b"=?ISO-8859-1?Q?a_b?=", "a b"),
    (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
    (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= ok", "If you can read this yo ok"),
    (b"=?utf-8?B?w?= x =?utf-8?B?xxx", "=?utf-8?B?w?= x =?utf-8?B?xxx"),
    (b"=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "ü"),
    (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
    (b"=?x-unknown?Q?=FC?=", "ü"),
    (b"B\xfccher", "Bücher"),
    (b"B\xc3\xbccher", "Bücher"),
    (b"=?iso-2022-jp?B?GyRCJDMkcyRLJEEkTxsoQg==?=", "こんにちは"),
    (b"=?gb2312?B?xOO6ww==?=", "你好"),
    (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
    (b"=?utf-8?B?YQ?=", "a"),
)


class CharsetTests(SynchronousTestCase):
    def test_words(self) -> None:
        """RFC 2047 §8 and its usual abuses."""
        for value, text in WORDS:
            self.assertEqual(decode_words(value), text, value)

    def test_no_codec_that_is_no_charset(self) -> None:
        """A charset name never reaches zlib, idna or a module of its own choosing."""
        for name in (
            "zlib",
            "bz2",
            "hex",
            "rot13",
            "idna",
            "punycode",
            "unicode_escape",
            "undefined",
            "../x",
            "os",
            "",
        ):
            self.assertIsNone(codec_of(name), name)
        for name in ("UTF-8", "us-ascii", "ISO-8859-15", "koi8-r", "windows-1251", "big5", "iso-2022-jp", "x-sjis"):
            self.assertIsNotNone(codec_of(name), name)

    def test_decode(self) -> None:
        """What does not decode is replaced; a promise of ASCII is not believed."""
        self.assertEqual(decode(b"\xff", "utf-8"), "\ufffd")
        self.assertEqual(decode("grüße".encode(), "us-ascii"), "grÃ¼ÃŸe")
        self.assertEqual(decode("grüße".encode(), ""), "grüße")
        self.assertEqual(decode(b"gr\xfc\xdfe", ""), "grüße")
        self.assertEqual(decode(b"\x81", "iso-8859-1"), "\x81")

    def test_parameters(self) -> None:
        """RFC 2231 §4, and file names in RFC 2047 words."""
        self.assertEqual(decode_extended("us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"), "This is ***fun***")
        self.assertEqual(decode_extended("%41"), "A")
        parameters = (("name", "=?utf-8?Q?=C3=BC?="), ("filename", "plain"), ("filename*", "utf-8''%C3%BC.txt"))
        self.assertEqual(parameter_text(parameters, "filename"), "ü.txt")
        self.assertEqual(parameter_text(parameters, "name"), "ü")
        self.assertIsNone(parameter_text(parameters, "charset"))

    @given(st.text(max_size=60), st.sampled_from(["utf-8", "utf-16", "shift_jis", "iso-2022-jp", "gb18030", "utf-7"]))
    @settings(max_examples=100, deadline=None)
    def test_slices(self, text: str, charset: str) -> None:
        """Text cut anywhere decodes as the whole does."""
        octets = text.encode(charset, "ignore")
        slices = SlicedText(charset)
        pieces = "".join(slices.take(octets[i : i + 1]) for i in range(len(octets))) + slices.take(b"", last=True)
        self.assertEqual(pieces, decode(octets, charset))

    @given(st.lists(st.sampled_from([b"=?", b"?=", b"utf-8", b"?Q?", b"?B?", b"=C3", b"YQ==", b" ", b"\xff", b"_"])))
    @settings(max_examples=200, deadline=None)
    def test_never_raises(self, pieces: list[bytes]) -> None:
        """Any soup of word pieces is some text, not much longer than the soup."""
        value = b"".join(pieces)
        self.assertLessEqual(len(decode_words(value)), len(value))
