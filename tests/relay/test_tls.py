"""TLS to the next host: verified for the smarthost or nothing is said; opportunistic for strangers, on record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events.relay import PasswordFileReadable, RelayLogInRefused, TlsDowngraded
from mailbox_appliance.mail.outcome import Result
from mailbox_appliance.relay.settings import Host, Security
from tests.kit.authority import Authority, authority
from tests.relay.scene import WIRE, Scene

D, T, F = Result.DELIVERED, Result.TRY_AGAIN, Result.FAILED
SECRET = "pa ss:wörd"


class Tls(SynchronousTestCase):
    def scene(self, security: Security = Security.STARTTLS, *, port: int = 587, log_in: bool = True) -> Scene:
        """A scene with a smarthost at smart.example and the shared authority trusted."""
        self.password_file = self.mktemp()
        Path(self.password_file).write_text(SECRET + "\n", "utf-8")
        os.chmod(self.password_file, 0o600)
        os.makedirs(folder := self.mktemp())
        user = "ann@isp" if log_in else ""
        host = Host("smart.example", port, security, user, self.password_file if log_in else "")
        return Scene(smarthost=host, trust_anchor=authority().write(folder))

    def direct(self) -> Scene:
        os.makedirs(folder := self.mktemp())
        return Scene(trust_anchor=authority().write(folder))


class SmarthostTests(Tls):
    def test_starttls_and_log_in(self) -> None:
        """STARTTLS, verified, then the log-in, then the message; the password stands nowhere."""
        scene = self.scene()
        host = scene.host("192.0.2.9", 587, tls=authority().server("smart.example"), login=("ann@isp", SECRET))
        (outcome,) = scene.carry()
        self.assertEqual((outcome.result, outcome.tls), (D, "TLSv1.3 verified"))
        self.assertEqual(
            [c.split(" ")[0] for c in host.commands], ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"]
        )
        self.assertEqual(host.mails[0][2], WIRE)
        self.assertNotIn("wörd", repr(scene.journal.events) + repr(outcome))

    def test_implicit(self) -> None:
        """TLS from the first octet."""
        scene = self.scene(Security.IMPLICIT, port=465)
        tls = authority().server("smart.example")
        host = scene.host("192.0.2.9", 465, tls=tls, implicit=True, login=("ann@isp", SECRET))
        self.assertEqual(scene.carry()[0].tls, "TLSv1.3 verified")
        self.assertNotIn("STARTTLS", host.commands)

    def test_octet_by_octet(self) -> None:
        """Handshake and all, one octet at a time."""
        scene = self.scene()
        scene.net.cut = 1
        scene.host("192.0.2.9", 587, tls=authority().server("smart.example"), login=("ann@isp", SECRET))
        self.assertEqual(scene.carry()[0].result, D)

    def test_bad_certificates(self) -> None:
        """Wrong name, unknown root, expired: nothing is said on the connection, and the reason is plain."""
        rows: list[tuple[CertificateOptions, str]] = [
            (authority().server("other.example"), "made out to other.example, not to smart.example"),
            (authority().server("*.smart.example"), "made out to *.smart.example"),
            (Authority().server("smart.example"), "not trusted here"),
            (authority().server("smart.example", days=-1), "expired"),
        ]
        for tls, words in rows:
            for security, port in ((Security.STARTTLS, 587), (Security.IMPLICIT, 465)):
                scene = self.scene(security, port=port)
                implicit = security is Security.IMPLICIT
                host = scene.host("192.0.2.9", port, tls=tls, implicit=implicit, login=("ann@isp", SECRET))
                (outcome,) = scene.carry()
                self.assertEqual((outcome.result, outcome.remote), (T, False))
                self.assertIn(words, outcome.reason)
                self.assertNotIn("AUTH PLAIN …", host.commands)
                self.assertEqual(host.connections, 1)
                self.assertEqual(scene.net.ends, [])

    def test_no_starttls(self) -> None:
        """A smarthost that offers no STARTTLS, or refuses it, gets neither password nor mail."""
        for how in ({}, {"tls": authority().server("smart.example"), "answers": {"STARTTLS": "454 4.7.0 no"}}):
            scene = self.scene()
            host = scene.host("192.0.2.9", 587, login=("ann@isp", SECRET), **how)
            self.assertEqual(scene.carry()[0].result, T)
            self.assertEqual([c for c in host.commands if c.startswith(("AUTH", "MAIL"))], [])

    def test_broken_handshake(self) -> None:
        """A failed handshake with the smarthost is never followed by clear text."""
        scene = self.scene()
        host = scene.host(
            "192.0.2.9", 587, tls=authority().server("smart.example"), behind_starttls=b"250 garbage\r\n" * 9
        )
        self.assertEqual(scene.carry()[0].result, T)
        self.assertEqual((host.connections, [c for c in host.commands if c.startswith("MAIL")]), (1, []))

    def test_wrong_password(self) -> None:
        """A refused log-in means later for all mail, one notice for the owner, and no hammering."""
        scene = self.scene()
        host = scene.host("192.0.2.9", 587, tls=authority().server("smart.example"), login=("ann@isp", "another"))
        (outcome,) = scene.carry()
        self.assertEqual((outcome.result, outcome.reply.code), (T, 535))
        self.assertIn("password_file", outcome.reason)
        scene.carry()
        self.assertEqual(host.connections, 1)
        (event,) = scene.journal.of(RelayLogInRefused)
        self.assertEqual((event.user, event.reply), ("ann@isp", "535 5.7.8 wrong user or password"))
        host.login = ("ann@isp", SECRET)
        scene.clock.advance(6)
        self.assertEqual(scene.carry()[0].result, D)

    def test_password_file(self) -> None:
        """Missing, empty, not text, readable by others: each is said."""
        scene = self.scene()
        scene.host("192.0.2.9", 587, tls=authority().server("smart.example"), login=("ann@isp", SECRET))
        os.chmod(self.password_file, 0o644)
        self.assertEqual(scene.carry()[0].result, D)
        scene.clock.advance(20)
        scene.net.pump()
        scene.carry()
        self.assertEqual([(e.mode) for e in scene.journal.of(PasswordFileReadable)], ["0644"])
        for octets, words in ((b"", "is empty"), (b"\xff\xfe", "not UTF-8"), (None, "cannot be read")):
            scene = self.scene()
            Path(self.password_file).unlink()
            if octets is not None:
                Path(self.password_file).write_bytes(octets)
            (outcome,) = scene.carry()
            self.assertEqual(outcome.result, T)
            self.assertIn(words, outcome.reason)
            self.assertEqual(scene.net.dialled, [])

    def test_missing_anchor(self) -> None:
        """A trust anchor that is gone stops mail to the smarthost and is named."""
        scene = self.scene()
        os.unlink(scene.settings.trust_anchor)
        (outcome,) = scene.carry()
        self.assertEqual(outcome.result, T)
        self.assertIn("root.pem", outcome.reason)

    def test_new_anchor_is_seen(self) -> None:
        """A changed trust anchor counts from the next connection on."""
        scene = self.scene()
        other = Authority("Another Root")
        scene.host("192.0.2.9", 587, tls=other.server("smart.example"), login=("ann@isp", SECRET))
        self.assertEqual(scene.carry()[0].result, T)
        Path(scene.settings.trust_anchor).write_bytes(authority().pem + other.pem)
        self.assertEqual(scene.carry()[0].result, D)

    def test_without_tls(self) -> None:
        """``tls = "none"`` is the owner's word: no STARTTLS even where offered."""
        scene = self.scene(Security.NONE, port=25)
        host = scene.host("192.0.2.9", 25, login=("ann@isp", SECRET))
        self.assertEqual(scene.carry()[0].tls, "")
        self.assertEqual(len(host.mails), 1)

    def test_530(self) -> None:
        """ "Log in first" at MAIL is our set-up's fault: the mail waits."""
        scene = self.scene(log_in=False)
        tls = authority().server("smart.example")
        scene.host("192.0.2.9", 587, tls=tls, answers={"MAIL": "530 5.7.0 authentication required"})
        (outcome,) = scene.carry()
        self.assertEqual(outcome.result, T)
        self.assertIn("[relay] user", outcome.reason)

    def test_silent_handshake(self) -> None:
        """A host that never finishes the handshake is given up after its time."""
        scene = self.scene()
        host = scene.host("192.0.2.9", 587, tls=authority().server("smart.example"))
        real = host.__call__
        going = None

        def deaf() -> Any:
            talk = real()
            talk.command = lambda line: (  # type: ignore[method-assign]
                talk.say("250-mx\r\n250 STARTTLS") if line.startswith("EHLO") else talk.say("220 go")
            )
            return talk

        scene.net.listen("192.0.2.9", 587, deaf)
        going = scene.start()
        scene.clock.advance(61)
        scene.net.pump()
        (outcome,) = scene.result(going)
        self.assertEqual(outcome.result, T)
        self.assertIn("handshake", outcome.reason)
        self.assertEqual((scene.net.ends, scene.clock.getDelayedCalls()), ([], []))


class OpportunisticTests(Tls):
    def test_on_record(self) -> None:
        """Verified or not is on record; unverified is still better than clear."""
        for tls, text in (
            (authority().server("mx1.b.example"), "TLSv1.3 verified"),
            (authority().server("other.example"), "TLSv1.3 unverified"),
            (Authority().server("mx1.b.example"), "TLSv1.3 unverified"),
            (authority().server("mx1.b.example", days=-2), "TLSv1.3 unverified"),
        ):
            scene = self.direct()
            host = scene.host("192.0.2.1", tls=tls)
            (outcome,) = scene.carry()
            self.assertEqual((outcome.result, outcome.tls, len(host.mails)), (D, text, 1))

    def test_broken_tls_means_clear(self) -> None:
        """STARTTLS that does not work: once more in clear, and the journal says so."""
        scene = self.direct()
        host = scene.host(
            "192.0.2.1", tls=authority().server("mx1.b.example"), behind_starttls=b"not TLS at all\r\n" * 5
        )
        (outcome,) = scene.carry()
        self.assertEqual((outcome.result, outcome.tls, host.connections), (D, "", 2))
        (event,) = scene.journal.of(TlsDowngraded)
        self.assertIn("mx1.b.example", event.host)

    def test_old_tls(self) -> None:
        """TLS below 1.2 is no TLS."""
        context: Any = authority().server("mx1.b.example")
        old = context.getContext()
        old.set_min_proto_version(SSL.TLS1_1_VERSION)
        old.set_max_proto_version(SSL.TLS1_1_VERSION)
        scene = self.direct()
        scene.host("192.0.2.1", tls=context)
        self.assertEqual((scene.carry()[0].tls, len(scene.journal.of(TlsDowngraded))), ("", 1))

    def test_refused_starttls(self) -> None:
        scene = self.direct()
        host = scene.host("192.0.2.1", tls=authority().server("mx1.b.example"), answers={"STARTTLS": "454 no"})
        self.assertEqual((scene.carry()[0].result, host.connections), (D, 1))


class ExplainTests(Tls):
    """``relay test``: each step and each failure in plain words, and no mail."""

    def test_good(self) -> None:
        scene = self.scene()
        host = scene.host("192.0.2.9", 587, tls=authority().server("smart.example"), login=("ann@isp", SECRET))
        steps = scene.steps("bob@b.example")
        self.assertEqual([good for good, _, _ in steps], [True] * 8, steps)
        text = "\n".join(what for _, what, _ in steps)
        for words in ("smart.example:587", "192.0.2.9", "greeting", "certificate is good", "log-in", "accepted"):
            self.assertIn(words, text)
        self.assertEqual((host.mails, host.commands[-1]), ([], "QUIT"))
        self.assertEqual((scene.net.ends, scene.clock.getDelayedCalls()), ([], []))

    def test_failures(self) -> None:
        """Each failure ends the walk with a remedy."""
        good = authority().server("smart.example")
        mine = ("ann@isp", SECRET)
        rows: list[tuple[dict[str, Any] | None, str, str]] = [
            (None, "refused", "reached"),
            ({"answers": {"greeting": "554 5.7.1 listed at spamhaus"}}, "greeting", "block list"),
            ({}, "STARTTLS", "465"),
            ({"tls": authority().server("other.example")}, "made out to other.example", "trust_anchor"),
            ({"tls": good, "login": ("x", "y")}, "log-in: 535", "password"),
            ({"tls": good}, "log-in", "port"),
            ({"tls": good, "login": mine, "answers": {"RCPT": "550 5.1.1 no such user"}}, "refused, 550", "spelled"),
            ({"tls": good, "login": mine, "answers": {"MAIL": "drop"}}, "connection lost", "connection lost"),
            ({"answers": {"greeting": "SSH-2.0-x"}}, "SMTP", "port"),
        ]
        for how, what, remedy in rows:
            scene = self.scene()
            if how is not None:
                scene.host("192.0.2.9", 587, **how)
            last = scene.steps("bob@b.example")[-1]
            self.assertEqual(last[0], False, last)
            self.assertIn(what, last[1])
            self.assertIn(remedy, last[2], last)

    def test_names(self) -> None:
        for address, words in (
            ("a@null.example", "null MX"),
            ("a@broken.example", "SERVFAIL"),
            ("a@x.example", "spelled"),
        ):
            last = self.direct().steps(address)[-1]
            self.assertEqual(last[0], False)
            self.assertIn(words, last[2])
        self.assertIn("[relay]", Scene(direct=False).steps("bob@b.example")[-1][2])

    def test_direct(self) -> None:
        """By MX: the second exchanger when the first is dead, unverified TLS told as such, clear after broken TLS."""
        scene = self.direct()
        scene.host("192.0.2.2", tls=Authority().server("mx2.b.example"))
        steps = scene.steps("bob@b.example")
        self.assertEqual([good for good, _, _ in steps].count(False), 1)
        self.assertTrue(any("stays open" in what for _, what, _ in steps), steps)
        self.assertIn("accepted", steps[-1][1])
        scene = self.direct()
        scene.host("192.0.2.1", tls=Authority().server("mx2.b.example"), behind_starttls=b"no\r\n" * 9)
        steps = scene.steps("bob@b.example")
        self.assertTrue(any("once more in clear" in what for _, what, _ in steps), steps)
        self.assertIn("accepted", steps[-1][1])
        self.assertEqual(scene.net.ends, [])

    def test_port_blocked(self) -> None:
        """No answer on port 25 names the usual reason."""
        from twisted.internet.error import TimeoutError

        from mailbox_appliance.relay.dial import _why

        self.assertIn("block port 25", _why(TimeoutError(), 25))
        self.assertNotIn("block", _why(TimeoutError(), 587))
