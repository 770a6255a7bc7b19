"""What is offered when (RFC 3501 §6.1.1), and the page of the documentation that says so."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.imap.capabilities import ROWS, Moment, offered
from mailbox_appliance.imap.settings import ImapSettings
from tests.imap.stage import World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "imap.md"
WORDS = {
    "always": Moment.CLEAR | Moment.SECURE | Moment.LOGGED_IN,
    "before TLS": Moment.CLEAR,
    "before log-in, under TLS": Moment.SECURE,
    "after log-in": Moment.LOGGED_IN,
}
BEFORE = "IMAP4rev1 IMAP4rev2 SASL-IR LITERAL+ ID ENABLE IDLE"


def said(octets: bytes) -> list[str]:
    found = re.search(rb"CAPABILITY ([^\]\r]*)", octets)
    assert found is not None, octets
    return found[1].decode().split()


class CapabilityTests(SynchronousTestCase):
    def test_before_tls(self) -> None:
        """In clear: STARTTLS, and no way to log in."""
        self.assertEqual(said(World().connect(clear=True).taken()), f"{BEFORE} STARTTLS LOGINDISABLED".split())

    def test_under_tls(self) -> None:
        """Under TLS: ways to log in."""
        self.assertEqual(said(World().connect().taken()), f"{BEFORE} AUTH=PLAIN AUTH=LOGIN".split())

    def test_after_log_in(self) -> None:
        """The tagged OK and CAPABILITY tell the same; APPENDLIMIT has its figure."""
        stage = World(ImapSettings(message_size=1000, messages_per_command=1000)).connect()
        stage.taken()
        told = said(stage.ask("a LOGIN ann@example.org secret"))
        self.assertEqual(told, said(stage.ask("b CAPABILITY")))
        wanted = [name for name, moments in ROWS if Moment.LOGGED_IN in moments]
        self.assertEqual([name.split("=1000")[0] for name in told], wanted)
        self.assertIn("APPENDLIMIT=1000", told)

    def test_hidden(self) -> None:
        """What is hidden is neither told nor enabled."""
        settings = ImapSettings(hidden=frozenset({"QRESYNC", "IMAP4rev2"}))
        self.assertEqual({"QRESYNC", "IMAP4rev2"} & set(offered(Moment.LOGGED_IN, settings)), set())
        stage = World(settings).connect().log_in()
        self.assertIn(b"* ENABLED CONDSTORE\r\n", stage.ask("a ENABLE QRESYNC IMAP4rev2 CONDSTORE"))

    def test_the_page(self) -> None:
        """docs/imap.md names every capability, when it is told, and its RFC."""
        rows = re.findall(r"(?m)^\| `([^`]+)` \| ([^|]+) \| (RFC [^|]+) \|$", PAGE.read_text("utf-8"))
        self.assertEqual([(name, WORDS[when]) for name, when, _ in rows], list(ROWS))
