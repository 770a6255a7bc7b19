"""The random script of the differential test, and what counts as the same answer.

What may differ is written here, each rule with its reason; docs/imap.md ("Compared with Dovecot") tells the same rows,
and a test holds the two lists together.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

from tests.live.talker import Answer

# name in docs/imap.md: why the two answers may differ
ACCEPTED: dict[str, str] = {
    "spelling": "case of MIME words, quoted string or literal, days as 1 or 01, order of FETCH items and flags: RFC 3501 §4.3, §7.4.2, §9",
    "recent": "\\Recent, RECENT, [UNSEEN] and PERMANENTFLAGS depend on the server's own history: RFC 3501 §2.3.2",
    "texts": "the text behind OK, NO and BAD is for people, other response codes are optional: RFC 3501 §7.1",
    "modseq": "mod-sequences are each server's own, and so is when it tells them: RFC 7162 §3.1",
    "unasked": "untagged EXISTS, EXPUNGE and FETCH may come with this answer or the next: RFC 3501 §5.2",
    "store": "Dovecot tells only the flags that STORE has changed, we tell all, with the UID: RFC 3501 §6.4.6",
    "parts": "a part that is not there is NIL here, an empty string or its neighbour there: RFC 3501 §7.4.2",
    "binary": "Dovecot decodes the parts within BINARY[1] of a multipart, whose own encoding is none: RFC 3516 §4.2",
    "examine": "after EXAMINE Dovecot moves and is silent about STORE, we say NO: RFC 3501 §6.3.2; the script does not try",
    "panic": "UID commands above every UID end Dovecot 2.3.19 now and then by an assertion of its own: it is asked on",
    "grammar": "STORE without flags is OK there and BAD here: RFC 3501 §9; the script does not say it",
    "folders": "folders that every account has here: Outbox, Addresses and the special ones",
    "subscribe": "a name that does not exist can be subscribed to here: RFC 3501 §6.3.6; the script does not try",
    "search": "BODY looks into the headers of parts and enclosed messages as well, as TEXT does: RFC 3501 §6.4.4",
    "threads": "a thread of ORDEREDSUBJECT is by sent date here, not always there: RFC 5256 §3; messages are compared",
    "ties": "messages of equal subject stand by number here, not always there: RFC 5256 §3; their subjects are compared",
    "list": "LIST tells \\HasNoChildren, \\UnMarked and special uses as each server sees fit: RFC 3501 §7.2.2, RFC 6154",
}

SUBJECTS = ("hello", "Re: hello", "Fwd: hello", "Grüße", "re: Re: other", "[list] news", "", "Zebra", "apple", "Äpfel")
PEOPLE = (
    "Ann <ann@example.org>",
    "Bob Müller <bob@example.net>",
    '"Ü, V" <u@x.example>',
    "carl@example.com",
    "a@b, c@d",
)
WORDS = "hello world mail Grüße Straße invoice meeting attached file 日本語 test body other needle x".split()
OUR_FOLDERS = frozenset(("Outbox", "Addresses"))
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "blue", "$Forwarded", "$label1", "NonJunk")
BOXES = ("INBOX", "Archive", "Work", "Work.2024", "Lists")
KEYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    *((word, ()) for word in "ALL SEEN UNSEEN FLAGGED UNFLAGGED ANSWERED DELETED UNDELETED DRAFT UNDRAFT".split()),
    ("KEYWORD", ("blue", "NonJunk", "unknown")),
    ("UNKEYWORD", ("blue", "none")),
    ("SUBJECT", ("hello", "news", "zeb", '"re: "', "a")),
    ("FROM", ("ann", "bob", "example")),
    ("TO", ("c@d", "example.com", "ann")),
    ("CC", ("b", "carl")),
    ("BCC", ("x",)),
    ("BODY", ("needle", "invoice", "xyz", "meeting")),
    ("TEXT", ("needle", "Ann", "meeting", "pdf", "inner")),
    ("HEADER", ("Message-ID m1", "Message-ID example.org", 'Message-ID ""', 'X-None ""', "References m1")),
    ("LARGER", ("0", "500", "2000")),
    ("SMALLER", ("400", "1000", "5000")),
    ("OLDER", ("100",)),
    ("YOUNGER", ("1000000",)),
)
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def letter(rng: random.Random, number: int) -> bytes:
    """A message with CRLF line ends: plain, alternative, with attachments, forwarded, in several charsets."""
    made = EmailMessage()
    made["From"] = rng.choice(PEOPLE[:4])
    made["To"] = rng.choice(PEOPLE)
    if rng.random() < 0.3:
        made["Cc"] = rng.choice(PEOPLE)
    made["Subject"] = rng.choice(SUBJECTS)
    day, month = rng.randint(1, 28), rng.choice(MONTHS)
    made["Date"] = (
        f"{day} {month} {rng.randint(2018, 2025)} {rng.randint(0, 23):02}:{rng.randint(0, 59):02}:00 +0{rng.randint(0, 9)}00"
    )
    made["Message-ID"] = f"<m{number}@example.org>"
    if number and rng.random() < 0.6:
        parents = [f"<m{rng.randrange(number)}@example.org>" for _ in range(rng.randint(1, 2))]
        made["In-Reply-To"] = parents[-1]
        made["References"] = " ".join(parents)
    text = " ".join(rng.choices(WORDS, k=rng.randint(1, 60))) + "\n"
    kind = rng.random()
    made.set_content(text, charset="utf-8", cte=rng.choice(("quoted-printable", "base64", "8bit")))
    if kind < 0.3:
        made.add_alternative(f"<p>{text}</p>", subtype="html")
    if 0.2 < kind < 0.5:
        made.add_attachment(
            rng.randbytes(rng.randint(0, 300)), "application", "pdf", filename=rng.choice(("a.pdf", "ä b.pdf"))
        )
    if 0.45 < kind < 0.6:
        inner = EmailMessage()
        inner["Subject"] = "inner " + rng.choice(WORDS)
        inner["From"] = rng.choice(PEOPLE[:4])
        inner.set_content("inner needle text\n")
        made.add_attachment(inner)
    octets = made.as_bytes()
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Script:
    """Commands, one after the other, each made knowing what the first server has answered so far."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.exists = 0
        self.uidnext = 1
        self.number = 1000
        self.box = "INBOX"
        self.read_only = False
        self._kinds: list[tuple[int, Callable[[], bytes]]] = [
            (4, self.select), (14, self.fetch), (10, self.store), (16, self.search), (7, self.sort), (4, self.thread),
            (4, self.copy), (4, self.move), (4, self.expunge), (4, self.list), (5, self.status), (8, self.append),
            (3, self.boxes), (3, self.subscribe), (3, self.odd), (2, lambda: b"NOOP"), (1, lambda: b"CHECK"),
        ]  # fmt: skip

    def command(self) -> bytes:
        """The next one."""
        kinds = self._kinds
        return self.rng.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]()

    def heard(self, answer: Answer) -> None:
        """Learn from it."""
        for one in answer.untagged:
            if len(one) > 1 and one[1] == "EXISTS":
                self.exists = one[0]
            elif len(one) > 1 and one[1] == "EXPUNGE":
                self.exists -= 1
            elif one[0] == "OK" and "[UIDNEXT " in str(one[1]):
                self.uidnext = int(re.findall(r"UIDNEXT (\d+)", one[1])[0])

    # ------------------------------------------------------------ pieces

    def seq(self) -> tuple[bytes, bytes]:
        """(b"UID " or b"", a set that exists)."""
        uid = self.rng.random() < 0.5
        most = max(self.uidnext - 1 if uid else self.exists, 1)
        if not uid and not self.exists:
            uid = True
        parts = []
        for _ in range(self.rng.randint(1, 3)):
            a, b = sorted((self.rng.randint(1, most), self.rng.randint(1, most)))
            parts.append(self.rng.choice((f"{a}", f"{a}:{b}", f"{b}:{a}", f"{a}:*" if self.exists else f"{a}")))
        return (b"UID " if uid else b""), ",".join(parts).encode()

    def flags(self) -> bytes:
        chosen = self.rng.sample(FLAGS, self.rng.randint(0, 3))
        return b"(" + " ".join(chosen).encode() + b")"

    def mailbox(self) -> bytes:
        return self.rng.choice((*BOXES, "Missing")).encode()

    # ------------------------------------------------------------ commands

    def select(self) -> bytes:
        self.box = self.rng.choice(BOXES)
        how = self.rng.choice((b"SELECT ", b"SELECT ", b"EXAMINE "))
        self.read_only = how == b"EXAMINE "
        return how + self.box.encode()

    def fetch(self) -> bytes:
        uid, where = self.seq()
        items = self.rng.sample(
            (
                "FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY", "BODY.PEEK[]",
                "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "BODY.PEEK[1]", "BODY.PEEK[2]", "BODY.PEEK[1.MIME]",
                "BODY.PEEK[2.HEADER]", "BODY.PEEK[2.TEXT]", "BODY.PEEK[2.1]", "BODY.PEEK[]<10.50>",
                "BODY.PEEK[TEXT]<0.20>", "BODY.PEEK[HEADER.FIELDS (Subject From x-none)]",
                "BODY.PEEK[HEADER.FIELDS.NOT (Received To Content-Type)]", "RFC822.HEADER", "BODY[]", "RFC822.TEXT",
                "BINARY.PEEK[1]", "BINARY.SIZE[1]", "BODY.PEEK[9]", "BODY.PEEK[]<999999.5>", "BODY[]<5.3>", "RFC822",
            ),
            self.rng.randint(1, 4),
        )  # fmt: skip
        if any(item.startswith("BINARY") for item in items) and "BODYSTRUCTURE" not in items:
            items.append("BODYSTRUCTURE")  # tells whether it is a multipart
        said = self.rng.choice(("ALL", "FAST", "FULL")) if self.rng.random() < 0.1 else "(" + " ".join(items) + ")"
        return uid + b"FETCH " + where + b" " + said.encode()

    def store(self) -> bytes:
        if self.read_only:
            return self.fetch()
        uid, where = self.seq()
        action = self.rng.choice((b"FLAGS", b"+FLAGS", b"+FLAGS", b"-FLAGS", b"+FLAGS.SILENT", b"-FLAGS.SILENT"))
        return uid + b"STORE " + where + b" " + action + b" " + self.flags()

    def key(self, depth: int = 0) -> str:
        """A search key, nested now and then."""
        rng = self.rng
        if depth < 3 and rng.random() < 0.35:
            one, two = self.key(depth + 1), self.key(depth + 1)
            return rng.choice((f"NOT {one}", f"OR {one} {two}", f"({one} {two})"))
        if rng.random() < 0.15:
            day = f"{rng.randint(1, 28)}-{rng.choice(MONTHS)}-{rng.randint(2018, 2025)}"
            return rng.choice(("SENTSINCE", "SENTBEFORE", "SENTON", "SINCE", "BEFORE", "ON")) + " " + day
        if rng.random() < 0.1:
            uids = f"UID 1:{rng.randint(1, max(self.uidnext, 2))}"
            return rng.choice((uids, f"1:{self.exists}")) if self.exists else uids
        word, values = rng.choice(KEYS)
        return f"{word} {rng.choice(values)}" if values else word

    def search(self) -> bytes:
        keys = " ".join(self.key() for _ in range(self.rng.randint(1, 2)))
        returns = self.rng.choice(("", "", "RETURN (ALL) ", "RETURN (MIN MAX COUNT) ", "RETURN () ", "RETURN (COUNT) "))
        charset = self.rng.choice(("", "", "CHARSET UTF-8 ")) if not returns else ""
        if self.rng.random() < 0.15:
            word = self.rng.choice(("Grüße", "日本", "STRASSE", "straße", "Müller")).encode()
            where = ("SUBJECT", "TEXT", "FROM") if word == "Müller".encode() else ("SUBJECT", "TEXT", "BODY", "FROM")
            keys += f" {self.rng.choice(where)} {{{len(word)}+}}\r\n"
            return self.rng.choice((b"", b"UID ")) + b"SEARCH CHARSET UTF-8 " + keys.encode() + word
        return self.rng.choice((b"", b"UID ")) + f"SEARCH {returns}{charset}{keys}".encode()

    def sort(self) -> bytes:
        names = (
            "ARRIVAL",
            "CC",
            "DATE",
            "FROM",
            "SIZE",
            "SUBJECT",
            "TO",
            "REVERSE DATE",
            "REVERSE SUBJECT",
            "REVERSE SIZE",
        )
        by = " ".join(self.rng.sample(names, self.rng.randint(1, 2)))
        return self.rng.choice((b"", b"UID ")) + f"SORT ({by}) UTF-8 {self.key()}".encode()

    def thread(self) -> bytes:
        how = self.rng.choice(("REFERENCES", "ORDEREDSUBJECT"))
        return self.rng.choice((b"", b"UID ")) + f"THREAD {how} UTF-8 {self.key()}".encode()

    def copy(self) -> bytes:
        uid, where = self.seq()
        return uid + b"COPY " + where + b" " + self.mailbox()

    def move(self) -> bytes:
        if self.read_only:
            return self.fetch()
        uid, _ = self.seq()
        most = max(self.uidnext - 1 if uid else self.exists, 1)
        return uid + b"MOVE %d " % self.rng.randint(1, most) + self.mailbox()

    def expunge(self) -> bytes:
        if self.read_only:
            return self.fetch()
        if self.rng.random() < 0.5:
            return b"EXPUNGE"
        return b"UID EXPUNGE 1:%d" % self.rng.randint(1, max(self.uidnext, 2))

    def list(self) -> bytes:
        return self.rng.choice(
            (b'LIST "" *', b'LIST "" %', b'LIST "" Work*', b'LIST "" W%', b'LIST Work. %', b'LSUB "" *', b'LIST "" ""',
             b'LIST (SUBSCRIBED) "" *', b'LIST "" (INBOX Work.%)', b'LIST "" missing', b'LIST "" inbox',
             b'LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UNSEEN))')
        )  # fmt: skip

    def status(self) -> bytes:
        items = " ".join(
            self.rng.sample(("MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE"), self.rng.randint(1, 4))
        )
        return b"STATUS " + self.mailbox() + f" ({items})".encode()

    def append(self) -> bytes:
        octets = letter(self.rng, self.number)
        self.number += 1
        date = f' "{self.rng.randint(10, 28)}-{self.rng.choice(MONTHS)}-2022 10:11:12 +0000"'
        flags = self.flags() if self.rng.random() < 0.6 else b""
        head = b"APPEND " + self.mailbox() + (b" " + flags if flags else b"") + date.encode()
        return head + b" {%d+}\r\n" % len(octets) + octets

    def boxes(self) -> bytes:
        name = self.rng.choice(("New", "New.below", "Lists.x", "Work", "New2"))
        other = self.rng.choice(("New", "New.below", "Moved", "Work"))
        return self.rng.choice(
            (f"CREATE {name}", f"DELETE {'New2' if name == 'Work' else name}", f"RENAME New {other}")
        ).encode()

    def subscribe(self) -> bytes:
        name = self.rng.choice(BOXES)
        return self.rng.choice((b"SUBSCRIBE ", b"UNSUBSCRIBE ")) + name.encode()

    def odd(self) -> bytes:
        if self.read_only:
            return self.search()
        return self.rng.choice(
            (b"FETCH 1", b"FETCH 0 FLAGS", b"FETCH x FLAGS", b"SEARCH", b"SEARCH NOTHING", b"NONSENSE",
             b"COPY 1", b"SEARCH CHARSET X-NONE ALL", b"STATUS INBOX ()", b"FETCH 1 (NOTHING)", b"UID FETCH 4294967295 FLAGS",
             b"UID STORE 4000000000 +FLAGS (\\Seen)", b"UID COPY 4000000000 Archive", b"SELECT Missing", b"CREATE INBOX",
             b"DELETE INBOX", b"DELETE Missing", b"RENAME Missing Other", b"FETCH 99999 FLAGS", b"SORT (NONE) UTF-8 ALL",
             b"UID SEARCH UID 1:4294967295")
        )  # fmt: skip


# -------------------------------------------------------------------------------- the same?


def comparable(command: bytes, answer: Answer) -> dict[str, Any]:
    """What must be equal."""
    verb = command.upper().removeprefix(b"UID ").split(b" ")[0].decode()
    result: dict[str, Any] = {"status": answer.status}
    if answer.status == "OK":
        for code in ("APPENDUID", "COPYUID", "READ-ONLY", "READ-WRITE"):
            found = re.search(rf"\[({code}[^\]]*)\]", answer.text)
            if code == "COPYUID":
                told = [one[1] for one in answer.untagged if one[0] == "OK" and "[COPYUID" in str(one[1])]
                found = found or (re.search(r"\[(COPYUID[^\]]*)\]", told[0]) if told else None)
            if found:
                result[code] = _uids(found[1])
    if verb in ("FETCH", "STORE"):
        result["fetch"] = _fetched(answer)
    elif verb == "SEARCH":
        result["search"] = sorted(
            int(n) for one in answer.of("SEARCH") for n in one if isinstance(n, str) and n.isdecimal()
        )
        result["esearch"] = [_esearch(one) for one in answer.of("ESEARCH")]
    elif verb == "SORT":
        result["sort"] = answer.of("SORT")
    elif verb == "THREAD":
        found = answer.of("THREAD")
        result["thread"] = _unordered(found) if b"ORDEREDSUBJECT" in command else found
    elif verb in ("LIST", "LSUB"):
        listed = [_listed(one) for one in (*answer.of("LIST"), *answer.of("LSUB"))]
        result["list"] = sorted(one for one in listed if one[0] not in OUR_FOLDERS)
        result["status lines"] = _statuses(answer)
    elif verb == "STATUS":
        result["status lines"] = _statuses(answer)
    elif verb in ("SELECT", "EXAMINE") and answer.status == "OK":
        result["exists"] = answer.of("EXISTS")
        said = " ".join(str(one[1]) for one in answer.untagged if one[0] == "OK")
        result["uids"] = re.findall(r"UIDVALIDITY \d+|UIDNEXT \d+", said)
    return result


def _uids(code: str) -> list[Any]:
    """COPYUID's sets as pairs."""
    pieces = code.split(" ")
    return [piece if not re.fullmatch(r"[\d:,]+", piece) else list(_set(piece)) for piece in pieces]


def _set(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.partition(":")
        low, high = sorted((int(first), int(last or first)))
        yield from range(low, high + 1)


def _esearch(one: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    rest = [word for word in one if not isinstance(word, list)]
    if rest and rest[0] == "UID":
        found["UID"] = True
        rest = rest[1:]
    for name, value in zip(rest[::2], rest[1::2], strict=False):
        found[name] = list(_set(value)) if name == "ALL" else value
    return found


def _unordered(threads: list[Any]) -> list[Any]:
    """Threads with their messages by number."""
    flat = [[int(number) for number in re.findall(r"\d+", str(thread))] for one in threads for thread in one]
    return sorted(sorted(thread) for thread in flat)


def only_ties(command: bytes, envelopes: list[list[Any]], theirs: list[Any], ours: list[Any]) -> bool:
    """Do two answers to SORT differ in the order of messages of equal subject only?"""
    if b"SUBJECT" not in command or not theirs or not ours or sorted(theirs[0]) != sorted(ours[0]):
        return False
    subjects = {}
    for number, pairs in envelopes:
        key = pairs[pairs.index("UID") + 1] if command.startswith(b"UID ") else str(number)
        text = pairs[pairs.index("ENVELOPE") + 1][1] or b""
        subjects[key] = re.sub(rb"(?i)^(?:re: |fwd: |\[list\] )+", b"", text)
    return [subjects[one] for one in theirs[0]] == [subjects[one] for one in ours[0]]


def _statuses(answer: Answer) -> list[tuple[str, list[tuple[str, str]]]]:
    found = [(_name(one[0]), sorted(zip(one[1][::2], one[1][1::2], strict=True))) for one in answer.of("STATUS")]
    return sorted(one for one in found if one[0] not in OUR_FOLDERS)


def _name(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _listed(one: list[Any]) -> tuple[str, bool]:
    flags = {str(flag).lower() for flag in one[0]}
    return _name(one[2]), bool(flags & {"\\noselect", "\\nonexistent"})


def _fetched(answer: Answer) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for number, pairs in answer.of("FETCH"):
        items = found.setdefault(number, {})
        for name, value in zip(pairs[::2], pairs[1::2], strict=True):
            name = name.upper()
            if name == "MODSEQ":
                continue
            if name == "FLAGS":
                value = sorted(flag.lower() for flag in value if flag.lower() != "\\recent")
            elif name in ("BODY", "BODYSTRUCTURE"):
                value = _spelled(value)
            elif isinstance(value, str) and value.isdecimal():
                value = int(value)
            elif name == "INTERNALDATE":
                value = value.lstrip(b" 0")
            items[name] = value
    return found


def _spelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_spelled(one) for one in value]
    if isinstance(value, bytes):
        return value.lower()
    return value.lower() if isinstance(value, str) else value


def settle(command: bytes, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Take out of both what only their comparison shows to be accepted: "store", "parts" and "binary"."""
    first, second = theirs.get("fetch"), ours.get("fetch")
    if first is None or second is None:
        return
    storing = b"STORE" in command[:12].upper()
    for number in sorted({*first, *second}):
        if number not in first or number not in second:
            if storing:
                first.pop(number, None)
                second.pop(number, None)
            continue
        one, two = first[number], second[number]
        whole = two.get("BODYSTRUCTURE")
        nested = isinstance(whole, list) and isinstance(whole[0], list) and isinstance(whole[0][0], list)
        for name in sorted({*one, *two}):
            missing = name in two and two[name] is None and name.startswith(("BODY[", "BINARY["))
            unasked = storing and not (name in one and name in two)
            decoded = name.startswith("BINARY") and nested
            if missing or unasked or decoded:
                one.pop(name, None)
                two.pop(name, None)
