"""AUTHENTICATE SCRAM-SHA-256 and -PLUS over real TLS in memory."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.imap.settings import ImapSettings
from tests.imap.stage import ImapStage, World
from tests.kit.scram_client import ScramClient
from tests.kit.tls import self_made

ANN = "ann@example.org"
SECRET = "k7f2-9x4m-0abc-defg-hjkm-npqr"


class ScramTests(SynchronousTestCase):
    """The whole exchange, framed by IMAP."""

    def setUp(self) -> None:
        self.world = World()
        self.world.users.devices[SECRET] = (ANN, "phone")
        self.world.users.scram = True

    def connect(self, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ImapStage:
        stage = self.world.connect(clear=True)
        assert stage.peer is not None
        stage.ask("x STARTTLS")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, newest
        stage.peer.start_tls(context)
        return stage

    def begin(self, stage: ImapStage, client: ScramClient, mechanism: str, *, initial: bool = True) -> bytes:
        """As far as the server's last word."""
        first = base64.b64encode(client.first).decode()
        if initial:
            said = stage.ask(f"a AUTHENTICATE {mechanism} {first}")
        else:
            self.assertEqual(stage.ask(f"a AUTHENTICATE {mechanism}"), b"+ \r\n")
            said = stage.ask(first)
        if not said.startswith(b"+ "):
            return said
        return stage.ask(base64.b64encode(client.last(base64.b64decode(said[2:]))).decode())

    def test_with_and_without_initial_response(self) -> None:
        """The server proves itself, the client says nothing more, and is in."""
        for initial in (True, False):
            stage, client = self.connect(), ScramClient(ANN, SECRET)
            said = self.begin(stage, client, "SCRAM-SHA-256", initial=initial)
            self.assertTrue(client.believes(base64.b64decode(said[2:])))
            self.assertRegex(stage.ask(""), rb"^a OK \[CAPABILITY .*\] Logged in\.\r\n$")
        self.assertIn("phone", [getattr(event, "device", "") for event in self.world.journal.events])

    def test_cancelled_at_the_end(self) -> None:
        """Whoever does not believe us is not logged in."""
        for last, answer in (("*", b"a BAD "), ("AAAA", b"a BAD ")):
            stage = self.connect()
            self.begin(stage, ScramClient(ANN, SECRET), "SCRAM-SHA-256")
            self.assertTrue(stage.ask(last).startswith(answer))
            self.assertIn(b"BAD", stage.ask("b SELECT INBOX"))

    def test_refused_alike(self) -> None:
        """A wrong password and an unknown name: the same challenge form, the same words; the guard hears both."""
        texts = set()
        for name, secret in ((ANN, "wrong"), ("nobody@example.org", SECRET), ("ben@example.org", SECRET)):
            texts.add(self.begin(self.connect(), ScramClient(name, secret), "SCRAM-SHA-256"))
        self.assertEqual(len(texts), 1)
        self.assertRegex(texts.pop(), rb"^a NO \[AUTHENTICATIONFAILED\] Wrong user name or password")
        self.assertEqual(len(self.world.guard.failures), 3)

    def test_bound_to_the_certificate(self) -> None:
        """tls-server-end-point is the certificate's hash; another certificate's is refused."""
        certificate = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self_made("mx.example.org")[0].decode())).digest()
        for bound, fits in ((certificate, True), (bytes(32), False)):
            client = ScramClient(ANN, SECRET, flag="p=tls-server-end-point", bound=bound)
            said = self.begin(self.connect(), client, "SCRAM-SHA-256-PLUS")
            self.assertEqual(said.startswith(b"+ "), fits, said)

    def test_bound_to_the_handshake(self) -> None:
        """tls-unique with TLS 1.2, and not with 1.3."""
        stage = self.connect(ssl.TLSVersion.TLSv1_2)
        assert stage.peer is not None
        unique = stage.peer.channel_binding("tls-unique")
        assert unique
        client = ScramClient(ANN, SECRET, flag="p=tls-unique", bound=unique)
        self.assertTrue(self.begin(stage, client, "SCRAM-SHA-256-PLUS").startswith(b"+ "))
        self.assertTrue(self.begin(self.connect(), client, "SCRAM-SHA-256-PLUS").startswith(b"a BAD "))

    def test_downgraded(self) -> None:
        """ "y" where -PLUS was offered: somebody took it out of the list. Where it was hidden, "y" is honest."""
        client = ScramClient(ANN, SECRET, flag="y")
        self.assertTrue(self.begin(self.connect(), client, "SCRAM-SHA-256").startswith(b"a BAD "))
        self.world.house.settings = ImapSettings(hidden=frozenset({"AUTH=SCRAM-SHA-256-PLUS"}))
        self.assertTrue(self.begin(self.connect(), client, "SCRAM-SHA-256").startswith(b"+ "))
        self.assertTrue(self.begin(self.connect(), client, "SCRAM-SHA-256-PLUS").startswith(b"a NO [CANNOT]"))

    def test_offered(self) -> None:
        """Told under TLS only, and only where it can succeed."""

        def told(stage: ImapStage) -> list[bytes]:
            return re.findall(rb"AUTH=(\S+)", stage.ask("c CAPABILITY"))

        self.assertEqual(told(self.connect()), [b"PLAIN", b"LOGIN", b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS"])
        self.assertEqual(told(self.world.connect(clear=True)), [])
        self.world.users.scram = False
        self.assertEqual(told(self.connect()), [b"PLAIN", b"LOGIN"])
        stage = self.connect()
        self.begin(stage, ScramClient(ANN, SECRET), "SCRAM-SHA-256")
        self.assertTrue(stage.ask("").startswith(b"a OK"))
