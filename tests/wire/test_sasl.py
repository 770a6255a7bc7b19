"""PLAIN and LOGIN, the server's side."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.sasl import MECHANISMS, Challenge, Credentials, Login, Plain, SaslError, decode_response


class SaslTests(SynchronousTestCase):
    """Exchanges end with credentials or SaslError, and soon."""

    def test_plain(self) -> None:
        """With and without an initial response, with and without authzid."""
        self.assertEqual(Plain().begin(b"\0ann\0secret"), Credentials("", "ann", "secret"))
        self.assertEqual(Plain().begin(None), Challenge(b""))
        self.assertEqual(Plain().respond(b"bob\0ann\0p\xc3\xa4ss"), Credentials("bob", "ann", "päss"))

    def test_plain_refused(self) -> None:
        """Malformed messages (RFC 4616)."""
        for bad in (b"", b"ann", b"\0ann", b"\0\0secret", b"\0ann\0", b"\0ann\0x\0y", b"\0\xff\0x", b"\0a\0\xff"):
            self.assertRaises(SaslError, Plain().respond, bad)

    def test_login(self) -> None:
        """Name, then password; the name may come at once."""
        login = Login()
        self.assertEqual(login.begin(None), Challenge(b"Username:"))
        self.assertEqual(login.respond(b"ann"), Challenge(b"Password:"))
        self.assertEqual(login.respond(b"secret"), Credentials("", "ann", "secret"))
        self.assertEqual(Login().begin(b"ann"), Challenge(b"Password:"))
        self.assertRaises(SaslError, Login().begin, b"")

    def test_decoding(self) -> None:
        """Strict base64, ``*`` and ``=``."""
        self.assertEqual(decode_response(b"AGE="), b"\0a")
        self.assertEqual(decode_response(b"=", initial=True), b"")
        self.assertEqual(decode_response(b""), b"")
        for bad in (b"=", b"AGE", b"A GE=", b"AG\xff=", b"AGE=\r", b"===="):
            self.assertRaises(SaslError, decode_response, bad)
        with self.assertRaises(SaslError) as caught:
            decode_response(b"*")
        self.assertTrue(caught.exception.cancelled)

    def test_secrets_do_not_show(self) -> None:
        """A password is in no repr."""
        self.assertNotIn("secret", repr(Credentials("", "ann", "secret")))

    @settings(max_examples=200)
    @given(st.sampled_from(sorted(MECHANISMS)), st.lists(st.binary(max_size=40), min_size=1, max_size=4))
    def test_bounded(self, name: str, responses: list[bytes]) -> None:
        """No exchange asks more than twice, whatever it is told."""
        exchange = MECHANISMS[name]()
        asked = 0
        try:
            step = exchange.begin(None)
            for response in responses:
                if isinstance(step, Credentials):
                    break
                asked += 1
                step = exchange.respond(response)
        except SaslError:
            return
        self.assertLessEqual(asked, 2)
