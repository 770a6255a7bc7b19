"""Another server's account, with a client that breaks, a Gmail among them, and names in other languages."""

from __future__ import annotations

import datetime
from typing import Any

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from mailbox_appliance.importing import imap, names
from mailbox_appliance.importing.found import SourceTrouble
from mailbox_appliance.importing.imap import ImapSource, Login
from tests.importing.kit import ImportCase
from tests.kit.steps import lines_run

MOMENT = datetime.datetime(2020, 2, 1, 10, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
Message = dict[bytes, Any]


def message(subject: str, *flags: bytes, labels: tuple[bytes, ...] = (), gm: int = 0, size: int = 0) -> Message:
    octets = f"Subject: {subject}\r\n\r\n".encode() + b"x" * size + b"\r\n"
    return {
        b"FLAGS": flags, b"INTERNALDATE": MOMENT, b"RFC822.SIZE": len(octets), b"BODY[]": octets,
        b"X-GM-MSGID": gm, b"X-GM-LABELS": labels,
    }  # fmt: skip


class FakeClient:
    """As much of IMAPClient as is asked. ``breaks``: after so many commands the connection is lost."""

    def __init__(
        self, folders: dict[str, dict[int, Message]], flags: dict[str, tuple[bytes, ...]], gmail: bool
    ) -> None:
        self.folders = folders
        self.flags = flags
        self.gmail = gmail
        self.breaks = -1
        self.selected = ""
        self.asked: list[Any] = []

    def _count(self) -> None:
        self.breaks -= 1
        if self.breaks == 0:
            raise IMAPClientAbortError("socket error: EOF")

    def list_folders(self) -> list[tuple[Any, bytes, str]]:
        self._count()
        return [(self.flags.get(name, ()), b"/", name) for name in self.folders]

    def list_sub_folders(self) -> list[tuple[Any, bytes, str]]:
        return []

    def has_capability(self, name: str) -> bool:
        return name == "X-GM-EXT-1" and self.gmail

    def folder_status(self, name: str, what: list[str]) -> dict[bytes, int]:
        return {b"MESSAGES": len(self.folders[name])}

    def select_folder(self, name: str, readonly: bool) -> dict[bytes, int]:
        assert readonly
        self.selected = name
        box = self.folders[name]
        return {b"UIDVALIDITY": 7, b"UIDNEXT": max(box, default=0) + 1, b"EXISTS": len(box)}

    def search(self, what: Any) -> list[int]:
        self._count()
        if what == "ALL":
            return list(self.folders[self.selected])
        first, _, last = what[1].partition(":")
        return [uid for uid in self.folders[self.selected] if int(first) <= uid <= int(last)]

    def fetch(self, uids: list[int], items: list[str]) -> dict[int, Message]:
        self._count()
        self.asked.append((len(uids), items))
        answer = {}
        for uid in uids:
            held = self.folders[self.selected].get(uid)
            if held is None:
                continue
            answer[uid] = {name.encode(): held[name.encode()] for name in items if name.encode() in held}
            if items[0].startswith("BODY.PEEK[]"):
                start, _, length = items[0].partition("<")[2].rstrip(">").partition(".")
                octets = held[b"BODY[]"]
                if octets is not None:
                    octets = octets[int(start) : int(start) + int(length)] if length else octets
                answer[uid][b"BODY[]" + (f"<{start}>".encode() if length else b"")] = octets
        return answer

    def logout(self) -> None:
        pass

    shutdown = logout


class Source(ImapSource):
    """Connects to the fake."""

    def __init__(self, client: FakeClient) -> None:
        super().__init__(Login("imap.example", "ann", "secret"), lambda seconds: None)
        self.fake = client
        self.connections = 0
        self.word = ""

    @property
    def name(self) -> str:
        return f"imap {self.word}"

    def _connect(self) -> Any:
        self.connections += 1
        self._is_gmail = self.fake.gmail
        return self.fake


class ImapTests(ImportCase):
    """From a server."""

    def server(self, gmail: bool = False, **folders: dict[int, Message]) -> FakeClient:
        return FakeClient({name.replace("__", "/"): box for name, box in folders.items()}, {}, gmail)

    def test_folders_and_flags(self) -> None:
        """Special use before names; virtual folders are passed over; dates with their zones."""
        server = self.server(
            INBOX={5: message("a", b"\\Seen", b"\\Recent", b"$label1", b"bad(word")},
            Papierkorb={1: message("b")},
            Versandt={1: message("c")},
            Sent={1: message("d")},
            Work__v1={1: message("e")},
            Everything={1: message("a")},
        )
        server.folders["Work/v1.2"] = server.folders.pop("Work/v1")
        server.flags = {"Versandt": (b"\\Sent",), "Everything": (b"\\All",), "INBOX": (b"\\HasNoChildren",)}
        summary = self.bring(Source(server))
        self.assertEqual(summary.filed, 5)
        self.assertEqual(self.mail()[0][:3], ("a", {"\\Seen", "$label1", "bad_word"}, 1580544000))
        self.assertEqual(self.shop.open().zones[0], 120)
        self.assertEqual(self.subjects("Trash"), ["b"])
        self.assertEqual(sorted(self.subjects("Sent")), ["c", "d"])
        self.assertEqual(self.subjects("Work.v1_2"), ["e"])

    def test_gmail(self) -> None:
        """Each message once, INBOX first, All Mail last; labels are keywords; Starred is the flag."""
        star = (b"\\Starred", b"Family", b"\\Inbox")
        server = self.server(
            gmail=True,
            **{
                "[Gmail]__All Mail": {
                    1: message("a", b"\\Flagged", labels=star, gm=11), 2: message("b", gm=12, labels=(b"Family", b"Tax")),
                    3: message("c", gm=13),
                },
                "[Gmail]__Starred": {1: message("a", gm=11)},
                "[Gmail]__Gesendet": {1: message("s", gm=14)},
                "Family": {1: message("a", b"\\Flagged", labels=star, gm=11), 2: message("b", gm=12, labels=(b"Tax",))},
                "INBOX": {9: message("a", b"\\Flagged", labels=star, gm=11)},
            },
        )  # fmt: skip
        server.flags = {
            "[Gmail]/All Mail": (b"\\All",), "[Gmail]/Starred": (b"\\Flagged",), "[Gmail]/Gesendet": (b"\\Sent",),
        }  # fmt: skip
        summary = self.bring(Source(server))
        self.assertEqual((summary.filed, summary.there), (4, 3))
        self.assertEqual(self.mail()[0][:2], ("a", {"\\Flagged", "Family"}))
        self.assertEqual(self.mail("Family")[0][:2], ("b", {"Tax"}))
        self.assertEqual(self.subjects("Archive"), ["c"])
        self.assertEqual(self.subjects("Sent"), ["s"])
        self.assertEqual(self.bring(Source(server)).filed, 0)

    def test_breaks(self) -> None:
        """The connection is lost at every command in turn: it is made anew, and each message comes once."""
        box = {uid: message(f"{uid}") for uid in range(1, 450)}
        for count in range(1, 8):
            server = self.server(INBOX=box, Work={1: message("w")})
            server.breaks = count
            source = Source(server)
            source.word = str(count)
            self.bring(source, under=f"Run{count}")
            self.assertEqual(source.connections, 2, count)
            self.assertEqual(sorted(map(int, self.subjects(f"Run{count}.INBOX"))), list(range(1, 450)))
            self.assertEqual(self.subjects(f"Run{count}.Work"), ["w"])

    def test_away(self) -> None:
        """A server that does not come back, or says no, ends the run with what to do."""
        server = self.server(INBOX={1: message("a")})
        for error in (OSError("connection refused"), IMAPClientError("[OVERQUOTA] bandwidth limits")):

            def fail(error: Exception = error) -> None:
                raise error

            server._count = fail  # type: ignore[method-assign]
            with self.assertRaisesRegex(SourceTrouble, "run the import again"):
                self.bring(Source(server))

    def test_large_in_pieces(self) -> None:
        """A message of several MiB is never asked for whole; small ones come together."""
        server = self.server(INBOX={1: message("a"), 2: message("big", size=(3 << 20) + 5), 3: message("c")})
        self.bring(Source(server))
        self.assertEqual([len(octets) for _, _, _, octets in self.mail()], [13, (3 << 20) + 5 + 15, 13])
        bodies = [(count, items[0]) for count, items in server.asked if items[0].startswith("BODY")]
        self.assertIn((2, "BODY.PEEK[]"), bodies)
        self.assertEqual(sum(1 for count, item in bodies if "<" in item), 4)

    def test_not_handed_out(self) -> None:
        """A message the server cannot show is said, the rest comes."""
        broken = message("b")
        broken[b"BODY[]"] = None
        summary = self.bring(Source(self.server(INBOX={1: message("a"), 2: broken, 3: message("c")})))
        self.assertEqual((summary.filed, summary.refused), (2, 1))
        self.assertEqual(self.subjects(), ["a", "c"])

    def test_windows(self) -> None:
        """A mailbox of very many is looked through by UID, a window at a time."""
        self.patch(imap, "SPREAD", 100)
        box = {uid: message(f"{uid}") for uid in range(1, 1000, 7)}
        self.bring(Source(self.server(INBOX=box)))
        self.assertEqual(len(self.subjects()), len(box))

    def test_wrong_words(self) -> None:
        """Seen before anything is connected; the password stands in no repr."""
        for login in (Login("h", "u", "p", tls="none"), Login("h:99999", "u", "p"), Login("h:x", "u", "p")):
            with self.assertRaises(SourceTrouble):
                ImapSource(login)
        self.assertNotIn("hush", repr(Login("h", "u", "hush")))
        self.assertEqual(ImapSource(Login("[::1]:143", "u", "p", tls="starttls")).name, "imap u@::1:143")


class NamesTests(ImportCase):
    """What folders are called here."""

    def test_table(self) -> None:
        """Levels that cannot be, names that are too long, INBOX in disguise."""
        for levels, name in (
            (["INBOX"], "INBOX"),
            (["inbox", "Work"], "Work"),
            (["[Gmail]", "Spam"], "Spam"),
            (["a.b", "c/d", "e\r\n"], "a_b.c_d.e__"),
            (["~root"], "_root"),
            (["x", "inbox"], "x.inbox"),
            (["", ""], "INBOX"),
        ):
            self.assertEqual(names.mailbox_of(levels), name)
        endless = names.mailbox_of(["x" * 60_000])
        self.assertLess(lines_run(names, lambda: names.mailbox_of(["x" * 60_000])), 2_000)
        self.assertLess(len(endless), 250)
        long = names.mailbox_of(["ü" * 300]), names.mailbox_of(["ü" * 299 + "x"])
        self.assertNotEqual(*long)
        self.shop.do(self.shop.store.create(long[0]))
        self.assertIsNone(names.use_of(["Work", "Sent"]))
