"""SCRAM with app passwords, by other people's clients: scramp over imaplib and smtplib, and mbsync with Cyrus SASL."""

from __future__ import annotations

import imaplib
import json
import re
import smtplib
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import Appliance, anything_goes, missing, shared

ANN = "ann@example.test"
MAIN = "correct horse battery"


def begun() -> Appliance:
    """One person."""
    appliance = Appliance(hostname="localhost", extra='[guard]\nexempt = ["127.0.0.0/8"]').start()
    appliance.people("example.test", "ann", password=MAIN)
    return appliance


running = shared(begun)


def new_device(appliance: Appliance) -> tuple[str, str]:
    """Label and secret."""
    label = f"device {len(json.loads(appliance.cli('apppassword', 'list', ANN, '--json')))}"
    said = appliance.cli("apppassword", "new", ANN, label)
    found = re.search(r"\w{4}(-\w{4}){5}", said)
    assert found is not None, said
    return label, found[0]


class ScramTests(SynchronousTestCase):
    """Each device by its own secret, bound to TLS or not."""

    def setUp(self) -> None:
        self.appliance = running()
        self.label, self.secret = new_device(self.appliance)

    def client(self, mechanism: str, secret: str, certificate: bytes = b"") -> Any:
        try:
            from scramp import ScramClient
        except ImportError:
            self.skipTest("not installed: scramp")
        binding = None
        if mechanism.endswith("-PLUS"):
            import hashlib

            binding = ("tls-server-end-point", hashlib.sha256(certificate).digest())
        return ScramClient([mechanism], ANN, secret, channel_binding=binding)

    def imap(self, mechanism: str, secret: str) -> imaplib.IMAP4:
        connection = imaplib.IMAP4_SSL("127.0.0.1", self.appliance.ports["imaps"], ssl_context=anything_goes())
        assert isinstance(connection.sock, ssl.SSLSocket)
        client = self.client(mechanism, secret, connection.sock.getpeercert(binary_form=True) or b"")
        steps = iter((self.first(client), self.final(client), self.end(client)))
        connection.authenticate(mechanism, lambda said: next(steps)(said))  # noqa: PLW0108 - one for each
        return connection

    def first(self, client: Any) -> Any:
        return lambda said: client.get_client_first().encode()

    def final(self, client: Any) -> Any:
        def answer(said: bytes) -> bytes:
            client.set_server_first(said.decode())
            return bytes(client.get_client_final().encode())

        return answer

    def end(self, client: Any) -> Any:
        def answer(said: bytes) -> bytes:
            client.set_server_final(said.decode())  # raises when the server does not know the password
            return b""

        return answer

    def test_imap(self) -> None:
        """In, and the mailbox opens; the main password does not do, and fails in the usual words."""
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
            connection = self.imap(mechanism, self.secret)
            self.assertEqual(connection.select("INBOX")[0], "OK")
            connection.logout()
            self.assertRegex(self.appliance.log(), rf'imap.login .*device="{self.label}" .*mechanism={mechanism}\n')
        error = self.assertRaises(imaplib.IMAP4.error, self.imap, "SCRAM-SHA-256", MAIN)
        self.assertIn("app password", str(error))

    def test_submission(self) -> None:
        """AUTH on 465, then a message to oneself."""
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
            with smtplib.SMTP_SSL("127.0.0.1", self.appliance.ports["submissions"], context=anything_goes()) as smtp:
                assert isinstance(smtp.sock, ssl.SSLSocket)
                client = self.client(mechanism, self.secret, smtp.sock.getpeercert(binary_form=True) or b"")
                smtp.ehlo("laptop.test")
                steps = iter((self.first(client), self.final(client), self.end(client)))

                def answer(said: bytes | None = None, steps: Any = steps) -> str:
                    return str(next(steps)(said).decode())

                self.assertEqual(smtp.auth(mechanism, answer, initial_response_ok=False)[0], 235)
                smtp.sendmail(ANN, [ANN], f"From: {ANN}\r\nSubject: by {mechanism}\r\n\r\nhello\r\n")

    def test_mbsync(self) -> None:
        """mbsync, told to use SCRAM, is in; left to itself with the main password it is, too, on its second try."""
        if reason := missing("mbsync"):
            self.skipTest(reason)
        if not list(Path("/usr/lib").glob("*/sasl2/libscram.so*")):
            self.skipTest("not installed: libsasl2-modules")
        appliance = begun()
        self.addCleanup(appliance.__exit__)
        _, secret = new_device(appliance)
        home = Path(tempfile.mkdtemp(prefix="mbsync-"))
        (home / "near").mkdir()
        certificate = home / "certificate.pem"
        certificate.write_text(ssl.get_server_certificate(("127.0.0.1", appliance.ports["imaps"])))
        results = []
        for password, mechanisms in ((secret, "AuthMechs SCRAM-SHA-256"), (MAIN, "AuthMechs *"), (MAIN, "AuthMechs *")):
            (home / "rc").write_text(f"""
IMAPAccount a
Host localhost
Port {appliance.ports["imaps"]}
User {ANN}
Pass "{password}"
SSLType IMAPS
{mechanisms}
CertificateFile "{certificate}"

IMAPStore far
Account a

MaildirStore near
Path "{home}/near/"

Channel c
Far :far:
Near :near:
""")
            done = subprocess.run(
                ["mbsync", "-c", str(home / "rc"), "-l", "c"],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            results.append((done.returncode, done.stdout, done.stderr))
        journal = appliance.log()[-3000:]
        self.assertEqual((results[0][0], "INBOX" in results[0][1]), (0, True), (results, journal))
        self.assertEqual(results[2][0], 0, (results, journal))
