"""Programs that read mail, by their own words: what each was heard to say, played to the real process over a socket.

The dialogues are in tests/dialogues/clients, one a program; the account is called as the file is. imap_tools and curl
are installed often enough to come themselves.
"""

from __future__ import annotations

import re
import smtplib
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.dialogue import dialogues, play, read_dialogue
from tests.kit.peer import Peer
from tests.live.appliance import Appliance, anything_goes, missing, shared
from tests.live.test_new_user import run

PASSWORD = "correct horse battery"
DOMAIN = "example.test"


@shared
def running() -> Appliance:
    """One person for each program."""
    appliance = Appliance(hostname="localhost").start()
    programs = [path.stem for path in dialogues("clients")]
    appliance.people(DOMAIN, *programs, "imap_tools", password=PASSWORD)
    return appliance


def deliver(appliance: Appliance, name: str, subject: str) -> None:
    """A stranger's mail for ``name``, by port 25; it lies in INBOX when this returns."""
    text = (
        f"From: Zoë Stranger <zoe@sender.example>\r\nTo: {name}@{DOMAIN}\r\nSubject: {subject}\r\n"
        f"Date: Thu, 01 Feb 2024 10:00:00 +0000\r\nMessage-ID: <{subject.replace(' ', '.')}@sender.example>\r\n\r\n"
        f"Dear reader,\r\n{subject} has a needle.\r\n"
    )
    with smtplib.SMTP("127.0.0.1", appliance.ports["smtp"], local_hostname="sender.example") as client:
        client.sendmail("zoe@sender.example", [f"{name}@{DOMAIN}"], text.encode(), ["BODY=8BITMIME"])


class LiveStage:
    """tests.kit.dialogue.Stage over a socket: what is said is waited for, up to the answer it has to end with."""

    def __init__(self, appliance: Appliance, name: str) -> None:
        self._appliance = appliance
        self._name = name
        self._peer: Peer | None = None
        self._end = rb"\* "  # the line that ends what the server says now
        self._tag = rb"\* BYE"
        self._said = True

    def _connected(self) -> Peer:
        assert self._peer is not None, "a dialogue begins with @ imap or @ imaps"
        return self._peer

    def send(self, octets: bytes) -> None:
        """Octets of the client; a line that begins with tag and verb asks for that tag's answer, others for the last."""
        self._connected().send(octets)
        if tagged := re.match(rb"([A-Za-z]*\d+) [A-Za-z]", octets):
            self._tag = re.escape(tagged[1]) + rb" "
        self._end = rb"\+ |\+\r\n|" + self._tag
        self._said = False

    def taken(self) -> bytes:
        """What the server says, up to the tagged answer or to its request for more; literals are passed over."""
        if self._said or self._peer is None:
            return b""
        self._said = True
        lines = []
        while line := self._peer.line():
            lines.append(line)
            if re.match(self._end, line):
                break
        return b"".join(lines)

    def closed(self) -> bool:
        """Has the server hung up?"""
        return self._connected().line() == b""

    def direct(self, word: str, rest: str) -> None:
        """``@ imap``, ``@ imaps``: connect; ``@ tls``: after STARTTLS; ``@ deliver SUBJECT``; ``@ told PATTERN``."""
        match word:
            case "imap" | "imaps":
                if self._peer is not None:
                    self._peer.close()
                self._peer = Peer(self._appliance.ports[word], tls=word == "imaps")
                self._end, self._said = rb"\* ", False
            case "tls":
                self._connected().start_tls()
            case "deliver":
                deliver(self._appliance, self._name, rest)
            case "told":  # nothing was asked: the server speaks up to a line like this
                self._end, self._said = rest.encode(), False
            case _:
                raise ValueError(word)

    def close(self) -> None:
        """Hang up."""
        if self._peer is not None:
            self._peer.close()


class ClientTests(SynchronousTestCase):
    """The commands of programs that people have, and their answers."""

    def setUp(self) -> None:
        self.appliance = running()

    def tearDown(self) -> None:
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())

    def test_dialogues(self) -> None:
        """Each program hears what it understands."""
        for path in dialogues("clients"):
            stage = LiveStage(self.appliance, path.stem)
            self.addCleanup(stage.close)
            play(read_dialogue(path), stage)

    def test_imap_tools(self) -> None:
        """imap_tools searches, reads, flags, moves by COPY and EXPUNGE, appends, and hears of new mail while idle."""
        try:
            from imap_tools import AND, MailBox, MailMessageFlags
        except ImportError:
            self.skipTest("not installed: imap_tools")
        for subject in ("first", "second"):
            deliver(self.appliance, "imap_tools", subject)
        port = self.appliance.ports["imaps"]
        with MailBox("localhost", port, ssl_context=anything_goes()).login(f"imap_tools@{DOMAIN}", PASSWORD) as box:
            self.assertLessEqual({"INBOX", "Sent", "Trash"}, {info.name for info in box.folder.list()})
            (message,) = box.fetch(AND(subject="second"), mark_seen=False)
            assert message.uid is not None
            self.assertEqual(
                (message.subject, message.from_, message.flags), ("second", "zoe@sender.example", ("\\Recent",))
            )
            self.assertEqual(message.text, "Dear reader,\r\nsecond has a needle.\r\n")
            box.flag(message.uid, MailMessageFlags.FLAGGED, True)
            (message,) = box.fetch(AND(flagged=True, text="a needle"), mark_seen=False)
            self.assertEqual(message.subject, "second")
            box.idle.start()
            deliver(self.appliance, "imap_tools", "third")
            self.assertIn(b"* 4 EXISTS", box.idle.poll(timeout=20))
            box.idle.stop()
            box.folder.create("Filed")
            box.move([message.uid or ""], "Filed")
            box.append(b"From: imap_tools@example.test\r\nSubject: kept\r\n\r\nx\r\n", "Filed", flag_set=["\\Seen"])
            self.assertEqual(box.uids(AND(subject="second")), [])
            box.folder.set("Filed")
            self.assertEqual(
                [(kept.subject, set(kept.flags) - {"\\Recent"}) for kept in box.fetch(mark_seen=False)],
                [("second", {"\\Flagged"}), ("kept", {"\\Seen"})],
            )

    def test_curl_uploads(self) -> None:
        """curl appends a file over STARTTLS and over imaps; its octets come back."""
        if reason := missing("curl"):
            self.skipTest(reason)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "mail"
            octets = b"From: curl@example.test\r\nSubject: upload\r\n\r\n" + b"A line of text.\r\n" * 5000
            file.write_bytes(octets)
            options = ["-s", "--insecure", "--user", f"curl@{DOMAIN}:{PASSWORD}"]
            ports = self.appliance.ports
            for place in (f"imaps://localhost:{ports['imaps']}", f"imap://localhost:{ports['imap']}"):
                run("curl", *options, "--ssl-reqd", "-T", str(file), f"{place}/Archive")
                run("curl", *options, "--ssl-reqd", f"{place}/Archive;MAILINDEX=1", "-o", f"{folder}/back")
                self.assertEqual((Path(folder) / "back").read_bytes(), octets)
        said = run("curl", *options, f"{place}/Archive", "--ssl-reqd", "-X", "SEARCH SUBJECT upload")
        self.assertEqual(said.split(), ["*", "SEARCH", "1", "2"])
