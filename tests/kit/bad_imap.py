"""IMAP commands that nobody ought to say: each row's lines are answered, the last one with a word that is given."""

from __future__ import annotations

# Names that lead elsewhere, hold what no name holds, or are no modified UTF-7. None of them may become a mailbox.
NAMES = (
    b'"../x"', b'"../../../../etc/passwd"', b'"a/../../b"', b'".."', b'"."', b'"a..b"', b'"/etc"', b'""',
    b'"&"', b'"&AAA-"', b'"&AGE-"', b'"a&-b&"', b'"\xff\xfe"', b'"%b"' % (b"x" * 10_000), b'"%b"' % (b"x." * 5_000),
    b"{3+}\r\na\0b", b"{3+}\r\na\rb", b"{3+}\r\na\nb", b'"*"', b'"%"',
)  # fmt: skip

# what is said: the lines behind their tags, and what stands in the last answer
LINES: dict[str, tuple[tuple[bytes, ...], bytes]] = {
    "parentheses": ((b"SEARCH " + b"(" * 10_000 + b"ALL" + b")" * 10_000,), b"BAD"),
    "NOTs": ((b"SEARCH " + b"NOT " * 10_000 + b"ALL",), b"BAD"),
    "ORs": ((b"SEARCH " + b"OR " * 5_000 + b"ALL " * 5_000 + b"ALL",), b"BAD"),
    "parentheses of FETCH": ((b"FETCH 1 " + b"(" * 10_000 + b"FLAGS",), b"BAD"),
    "section numbers": ((b"FETCH 1 BODY.PEEK[" + b"1." * 10_000 + b"1]",), b"a "),
    "header fields": ((b"FETCH 1 BODY.PEEK[HEADER.FIELDS (" + b"x " * 20_000 + b"x)]",), b"a "),
    "sets beyond 32 bits": ((b"UID FETCH 4294967296 FLAGS",), b"BAD"),
    "a set of nothing": ((b"UID FETCH 0 FLAGS",), b"BAD"),
    "the largest set": ((b"UID FETCH 1:4294967295 FLAGS", b"UID FETCH 4294967295:* FLAGS"), b"OK"),
    "sets over sets": ((b"UID FETCH " + b"1:*," * 15_000 + b"1 FLAGS",), b"OK"),
    "numbers": ((b"UID SEARCH UID " + b",".join(b"%d" % n for n in range(1, 10_000)),), b"OK"),
    "names to make": (tuple(b"CREATE " + name for name in NAMES), b""),
    "names to select": (tuple(b"EXAMINE " + name for name in NAMES), b""),
    "names to rename to": (tuple(b"RENAME Junk " + name for name in NAMES), b""),
    "names to copy to": (tuple(b"COPY 1 " + name for name in NAMES), b""),
    "wildcards": ((b'LIST "" "' + b"*%" * 5_000 + b'x"', b'LIST "%b" "*"' % (b"x." * 5_000)), b"a "),
    "a literal too large": ((b"SEARCH SUBJECT {4294967295}",), b"a "),
    "a literal of no size": ((b"SEARCH SUBJECT {99999999999999999999999999}",), b"a "),
    "a negative literal": ((b"SEARCH SUBJECT {-1}",), b"BAD"),
    "flags": ((b"STORE 1 +FLAGS (" + b" ".join(b"k%d" % n for n in range(8_000)) + b")",), b"a "),
    "a long keyword": ((b"STORE 1 +FLAGS (" + b"k" * 50_000 + b")",), b"a "),
}
