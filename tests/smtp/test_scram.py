"""AUTH SCRAM-SHA-256 and -PLUS on the submission ports (RFC 4954 §4, RFC 7677)."""

from __future__ import annotations

import base64
import hashlib
import ssl

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.scram_client import ScramClient
from tests.kit.tls import Peer, self_made
from tests.smtp.stage import House, code, talk

ANN = "ann@example.org"
SECRET = "k7f2-9x4m-0abc-defg-hjkm-npqr"
MAIL = f"MAIL FROM:<{ANN}>"


class ScramTests(SynchronousTestCase):
    """The whole exchange, framed by SMTP."""

    def setUp(self) -> None:
        self.house = House()
        self.addCleanup(self.house.close)
        self.house.log_in.devices[SECRET] = (ANN, "phone")
        self.house.log_in.scram = True

    def connect(self) -> Peer:
        peer = self.house.peer("submissions", wait=False)
        peer.start_tls()
        peer.taken()
        return peer

    def begin(self, peer: Peer, client: ScramClient, mechanism: str = "SCRAM-SHA-256") -> str:
        talk(peer, "EHLO laptop.test")
        said = talk(peer, f"AUTH {mechanism}", base64.b64encode(client.first).decode()).splitlines()
        self.assertEqual(said[0], "334 ")
        if not said[-1].startswith("334"):
            return said[-1]
        return talk(peer, base64.b64encode(client.last(base64.b64decode(said[-1][4:]))).decode())

    def test_in(self) -> None:
        """The server's proof in a 334, an empty line, and 235; then mail may be sent."""
        peer, client = self.connect(), ScramClient(ANN, SECRET)
        said = self.begin(peer, client)
        self.assertTrue(client.believes(base64.b64decode(said[4:])))
        self.assertEqual(code(talk(peer, "")), "235 2.7.0")
        self.assertEqual(code(talk(peer, MAIL)), "250 2.1.0")
        self.assertEqual(code(talk(peer, "AUTH PLAIN")), "503 5.5.1")

    def test_not_confirmed(self) -> None:
        """A client that does not believe us is nobody."""
        for last in ("*", "AAAA"):
            peer = self.connect()
            self.begin(peer, ScramClient(ANN, SECRET))
            self.assertEqual(talk(peer, last)[:3], "501")
            self.assertEqual(code(talk(peer, MAIL)), "530 5.7.0")

    def test_refused_alike(self) -> None:
        """Wrong password and unknown name; the guard hears both."""
        said = {self.begin(self.connect(), ScramClient(*who)) for who in ((ANN, "wrong"), ("nobody", SECRET))}
        self.assertEqual(len(said), 1)
        self.assertEqual(code(said.pop()), "535 5.7.8")
        self.assertEqual(len(self.house.guard.failures), 2)

    def test_bound(self) -> None:
        """-PLUS with the certificate's hash; "y" is refused, since -PLUS was offered."""
        certificate = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self_made("mx.example.org")[0].decode())).digest()
        peer = self.connect()
        client = ScramClient(ANN, SECRET, flag="p=tls-server-end-point", bound=certificate)
        self.begin(peer, client, "SCRAM-SHA-256-PLUS")
        self.assertEqual(code(talk(peer, "")), "235 2.7.0")
        self.assertEqual(self.begin(self.connect(), ScramClient(ANN, SECRET, flag="y"))[:3], "501")

    def test_offered(self) -> None:
        """Where it can succeed."""
        self.assertIn("AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n", talk(self.connect(), "EHLO laptop.test"))
        self.house.log_in.scram = False
        self.assertIn("AUTH PLAIN LOGIN\r\n", talk(self.connect(), "EHLO laptop.test"))
