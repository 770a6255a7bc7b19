"""Odd, broken and hostile messages of our own making, LF line ends: what every reader of mail has to bear.

``MALFORMED`` is for tests of parsers, of delivery (octet for octet) and of FETCH. ``LARGE`` are functions, because
their messages are megabytes: each is a way to make a careless parser slow.
"""

from __future__ import annotations

from collections.abc import Callable

_TEXT = b"\n".join(b"line %d of the body" % number for number in range(5)) + b"\n"


def _mixed(*parts: bytes, boundary: bytes = b"b", end: bool = True) -> bytes:
    head = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="' + boundary + b'"\n\n'
    body = b"".join(b"--" + boundary + b"\n" + part for part in parts)
    return b"From: a@example.org\n" + head + body + (b"--" + boundary + b"--\n" if end else b"")


def _nested(depth: int) -> bytes:
    out = [b"From: a@example.org\nMIME-Version: 1.0\n"]
    for level in range(depth):
        out.append(b'Content-Type: multipart/mixed; boundary="n%d"\n\n--n%d\n' % (level, level))
    out.append(b"Content-Type: text/plain\n\ndeep\n")
    out += [b"--n%d--\n" % level for level in reversed(range(depth))]
    return b"".join(out)


def _nested_messages(depth: int) -> bytes:
    return b"Content-Type: message/rfc822\nMIME-Version: 1.0\n\n" * depth + b"Subject: innermost\n\nhello\n"


MALFORMED: tuple[tuple[str, bytes], ...] = (
    ("empty", b""),
    ("one line end", b"\n"),
    ("body only", b"\nhello\n"),
    ("header only", b"From: a@example.org\nSubject: x\n"),
    ("header without line end", b"From: a@example.org\nSubject: x"),
    ("header with empty line", b"From: a@example.org\n\n"),
    ("no last line end", b"From: a@example.org\n\nhello"),
    ("no colon anywhere", b"this is\nno header\nat all\n\nhello\n"),
    ("line without colon amid the header", b"From: a@example.org\nnonsense\nSubject: x\n\nhello\n"),
    ("mbox From line", b"From a@example.org Thu Aug 22 12:36:23 2002\nFrom: a@example.org\n\nhello\n"),
    ("escaped From line", b">From a@example.org Thu Aug 22 12:36:23 2002\nFrom: a@example.org\n\nhello\n"),
    ("begins with a fold", b" folded\nFrom: a@example.org\n\nhello\n"),
    ("fold of blanks only", b"Subject: a\n \n\t\nFrom: a@example.org\n\nhello\n"),
    ("blank before the colon", b"From : a@example.org\nSubject\t: x\n\nhello\n"),
    ("empty fields", b"From:\nTo: \nSubject:\t\nDate:\n\nhello\n"),
    ("empty field name", b": nothing\nFrom: a@example.org\n\nhello\n"),
    ("field name with controls", b"Sub\x01ject: x\nFrom: a@example.org\n\nhello\n"),
    ("8-bit header", b"From: B\xfccher <a@example.org>\nSubject: gr\xfc\xdfe \xf0\x9f\x98\x80\n\nhello\n"),
    ("NUL in header and body", b"From: a\0b <a@example.org>\nSubject: x\0y\n\nhel\0lo\n"),
    ("two From, three Subject", b"From: a@example.org\nFrom: b@example.org\nSubject: 1\nSubject: 2\nSubject: 3\n\nx\n"),
    ("long line", b"Subject: " + b"x" * 5000 + b"\nFrom: a@example.org\n\n" + b"y" * 5000 + b"\n"),
    ("many folds", b"Subject: a" + b"\n b" * 2000 + b"\n\nhello\n"),
    ("quotes that never end", b'From: "never ends <a@example.org>\nTo: (nor this\nCc: <or@this\n\nhello\n'),
    (
        "groups and routes",
        b"From: <@relay.example:a@example.org>\nTo: Friends: b@example.org, C <c@example.org>; , d@example.org\n"
        b"Cc: undisclosed-recipients:;\n\nhello\n",
    ),
    ("comments within comments", b"From: a(one(two(three)\\)))@(x)example.org (Ann (really))\n\nhello\n"),
    ("commas and semicolons", b"To: ,,a@example.org,;,b@example.org;;\nFrom: ;\nCc: :\n\nhello\n"),
    ("addresses without domain", b"From: ann\nTo: ann bob\nCc: @example.org\nBcc: <>\n\nhello\n"),
    ("domain literals", b"From: a@[192.0.2.1]\nTo: b@[IPv6:2001:db8::1\nCc: c@[un\n closed\n\nhello\n"),
    (
        "encoded words gone wrong",
        b"Subject: =?utf-8?B?//8=?= =?nope?Q?=ZZ?= =?utf-8?X?abc?= =?utf-8?B?YQ?= =?\n"
        b"From: =?iso-8859-1?Q?B=FCcher?= <a@example.org>\n\nhello\n",
    ),
    ("hostile charsets", b"Subject: =?zlib?B?eJw=?= =?idna?Q?a?= =?unicode_escape?Q?=5Cx41?= =?../x?Q?y?=\n\nhello\n"),
    ("dates of all kinds", b"Date: Mon, 32 Foo 20002 99:99:99 +99999\nReceived: x; 1 Jan 1 00:00 -2400\n\nhello\n"),
    ("content type is rubbish", b"MIME-Version: 1.0\nContent-Type: ;;=;/\nContent-Disposition: =\n\nhello\n"),
    ("content type without slash", b"MIME-Version: 1.0\nContent-Type: text\n\nhello\n"),
    ("content type in quotes", b'MIME-Version: 1.0\nContent-Type: "text/html"; charset="\n\n<p>\n'),
    ("two content types", b"MIME-Version: 1.0\nContent-Type: text/html\nContent-Type: multipart/mixed\n\n<p>\n"),
    (
        "parameters in pieces",
        b"MIME-Version: 1.0\nContent-Type: text/plain; name*1=b; name*0*=utf-8''%C3%BC; x*2=z; y*0=; y*00001=q\n\nx\n",
    ),
    (
        "parameter without value",
        b"MIME-Version: 1.0\nContent-Type: text/plain; charset; name=; =x; a==?utf-8?q?b?=\n\nx\n",
    ),
    ("multipart without boundary", b"MIME-Version: 1.0\nContent-Type: multipart/mixed\n\n--b\n\nx\n--b--\n"),
    (
        "multipart with empty boundary",
        b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=""\n\n--\n\nx\n----\n',
    ),
    ("boundary that never comes", b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\nhello\n"),
    ("no end boundary", _mixed(b"\none\n", b"\ntwo\n", end=False)),
    ("only the end boundary", b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b--\n"),
    ("boundary is the whole body", _mixed(b"", end=False).removesuffix(b"\n")),
    ("parts without header end", _mixed(b"Content-Type: text/plain\n", b"Content-Type: text/html\n")),
    ("empty parts", _mixed(b"", b"\n", b"\n\n")),
    (
        "boundary with blanks and text behind",
        _mixed(b"\none\n").replace(b"--b\n", b"--b \t\n").replace(b"--b--", b"--b-- x"),
    ),
    ("boundary that is a prefix", _mixed(b"\none\n--bb\nstill\n", b"\ntwo\n")),
    ("indented boundary", _mixed(b"\none\n").replace(b"--b\n", b" --b\n")),
    ("long boundary", _mixed(b"\none\n", boundary=b"x" * 300)),
    ("epilogue with boundaries", _mixed(b"\none\n") + b"--b\n\nnot a part\n--b--\n"),
    (
        "same boundary within",
        _mixed(b'Content-Type: multipart/alternative; boundary="b"\n\n--b\n\nx\n--b--\n', b"\nlast\n"),
    ),
    (
        "inner boundary unclosed",
        _mixed(b"Content-Type: multipart/alternative; boundary=i\n\n--i\n\nx\n", b"\nlast\n"),
    ),
    ("outer boundary is inner's prefix", _mixed(b"Content-Type: multipart/mixed; boundary=bc\n\n--bc\n\nx\n--bc--\n")),
    ("digest", _mixed(b"\nSubject: one\n\nx\n", b"Content-Type: text/plain\n\ny\n").replace(b"mixed", b"digest")),
    (
        "message that is encoded",
        _mixed(b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKeQo=\n"),
    ),
    ("message that is empty", _mixed(b"Content-Type: message/rfc822\n\n", b"Content-Type: message/rfc822\n")),
    ("message within message", _nested_messages(5)),
    ("nested 30 deep", _nested(30)),
    (
        "base64 with rubbish",
        b"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVs*bG8\n=\nZ\n",
    ),
    (
        "quoted-printable gone wrong",
        b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        b"=\n=ZZ =C3 =C3=BC= \nend=",
    ),
    (
        "unknown encoding and charset",
        b"Content-Type: text/plain; charset=x-martian\nContent-Transfer-Encoding: x-foo\n\nh\xe9\n",
    ),
    (
        "unclosed HTML",
        b"Content-Type: text/html\n\n<html><head><title>no</title><style>p { x\n<p>seen <!-- never closed <b>a &lt; &#x41 &bogus;\n",
    ),
    ("uuencoded", b"From: a@example.org\n\nbegin 644 x.txt\n#0V%T\n`\nend\n"),
    ("dots and dashes", b"From: a@example.org\n\n.\n..\n--\n-- \n--b\n"),
    ("CRLF among LF", b"From: a@example.org\r\nSubject: x\n\r\nhello\r\nworld\n"),
    ("carriage returns", b"From: a@example.org\nSubject: x\ry\n\nhel\rlo\r\r\n"),
    ("UTF-8 BOM", b"\xef\xbb\xbfFrom: a@example.org\nSubject: x\n\nhello\n"),
    ("UTF-16 body", b'Content-Type: text/plain; charset="utf-16"\n\n' + "grüße".encode("utf-16") + b"\n"),
    ("ISO-2022-JP", b'Content-Type: text/plain; charset="iso-2022-jp"\n\n\x1b$B$3$s$K$A$O\x1b(B\n'),
    (
        "ids gone wrong",
        b"Message-ID: <a b@c>\nIn-Reply-To: your mail of <x@y> and z\nReferences: <<a@b>> <\n c@d>\n\nx\n",
    ),
    ("ordinary", b"From: Ann <ann@example.org>\nTo: bob@example.org\nSubject: Hello\n\n" + _TEXT),
)

LARGE: tuple[tuple[str, Callable[[], bytes]], ...] = (
    ("20,000 parts", lambda: _mixed(*[b"\nx\n"] * 20_000)),
    ("nested 3,000 deep", lambda: _nested(3_000)),
    ("messages 3,000 deep", lambda: _nested_messages(3_000)),
    ("2 MB of boundary beginnings", lambda: _mixed(b"\n" + b"--\n" * 700_000)),
    ("2 MB of one unclosed comment", lambda: b"From: " + b"(" * 2_000_000 + b"\n\nx\n"),
    ("200,000 addresses", lambda: b"To: " + b"a@b.example, " * 200_000 + b"\n\nx\n"),
    ("a megabyte of blanks", lambda: b"Subject:" + b" " * 1_000_000 + b"\nX" + b" " * 1_000_000 + b"\n\nx\n"),
    ("100,000 fields", lambda: b"X: y\n" * 100_000 + b"\nx\n"),
    ("100,000 parameters", lambda: b"Content-Type: text/plain" + b"; a=b" * 100_000 + b"\n\nx\n"),
    ("a megabyte of encoded words", lambda: b"Subject: " + b"=?utf-8?q?=41?= " * 70_000 + b"\n\nx\n"),
    ("a megabyte of tags", lambda: b"Content-Type: text/html\n\n" + b"<<!--<style><" * 80_000),
    ("unclosed multiparts 90 deep", lambda: _unclosed(90)),
)


def _unclosed(depth: int) -> bytes:
    out = [b"MIME-Version: 1.0\n"]
    for level in range(depth):
        out.append(b'Content-Type: multipart/mixed; boundary="n%d"\n\n--n%d\n' % (level, level))
    out.append(b"\n" + b"x" * 70 + b"\n")
    return b"".join(out) + (b"y" * 70 + b"\n") * 15_000
