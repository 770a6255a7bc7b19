"""Every limit and refusal of the real process that can be shown on the wire.

Each hostile test comes from a loopback address of its own, since the guard remembers who misbehaved.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import Appliance, shared

PASSWORD = "correct horse battery"
_numbers = itertools.count(2)


@shared
def running() -> Appliance:
    """Two people; a message may have 2 MB; nothing leaves."""
    appliance = Appliance(extra="[relay]\ndirect = false\n[limits]\nmessage_size = 2000000\n").start()
    appliance.people("example.test", "ann", "bob", password=PASSWORD)
    return appliance


def another_address() -> str:
    """A loopback address that nobody has used yet."""
    return f"127.0.1.{next(_numbers)}"


class OnTheWire(SynchronousTestCase):
    """A running appliance, and no traceback whatever was done to it."""

    def setUp(self) -> None:
        self.appliance = running()

    def tearDown(self) -> None:
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())

    def peer(self, service: str = "smtp", source: str = "") -> Peer:
        """A connection from an address of its own, closed at the end of the test."""
        tls = service in ("submissions", "imaps")
        peer = Peer(self.appliance.ports[service], tls=tls, source=source or another_address())
        self.addCleanup(peer.close)
        return peer

    def smtp(self, service: str = "smtp", source: str = "") -> Peer:
        """The same after EHLO."""
        peer = self.peer(service, source)
        peer.hello()
        return peer

    def submission(self, name: str = "ann") -> Peer:
        """Logged in on 465."""
        peer = self.smtp("submissions")
        self.assertRegex(peer.auth_plain(f"{name}@example.test", PASSWORD), "^235 ")
        return peer

    def imap(self, source: str = "") -> Peer:
        """Greeted on imaps, logged in."""
        peer = self.peer("imaps", source)
        peer.line()
        self.assertRegex(peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')[-1], b"^a OK ")
        return peer


class LineTests(OnTheWire):
    """Command line 2048, AUTH line 12,288, data line any."""

    def test_command_line(self) -> None:
        """2048 octets with CRLF are read; one more is refused, and the session goes on."""
        peer = self.smtp()
        self.assertRegex(peer.say("NOOP " + "x" * (2048 - 7)), "^250 ")
        self.assertRegex(peer.say("NOOP " + "x" * (2049 - 7)), "^500 5.5.2 Line too long")
        self.assertRegex(peer.say("NOOP " + "x" * 300_000), "^500 5.5.2 Line too long")
        self.assertRegex(peer.say("NOOP"), "^250 ")

    def test_authentication_line(self) -> None:
        """12,288 octets are read as what they are; more are refused."""
        peer = self.smtp("submissions")
        head = "AUTH PLAIN "
        self.assertRegex(peer.say(head + "A" * (12_284 - len(head) - 2)), "^5(01|35) ")
        self.assertRegex(peer.say(head + "A" * (12_292 - len(head) - 2)), "^500 5.5.")
        peer.say("AUTH PLAIN")
        self.assertRegex(peer.say("A" * 20_000), "^500 5.5.6 ")
        self.assertRegex(peer.auth_plain("ann@example.test", PASSWORD), "^235 ")

    def test_data_line(self) -> None:
        """A line of a megabyte is kept as it is."""
        peer = self.smtp()
        peer.envelope("stranger@example.org", "ann@example.test")
        line = b"long" * 250_000
        self.assertRegex(peer.data(b"From: a@example.org\r\nSubject: longline\r\n\r\n" + line + b"\r\n"), "^250 ")
        imap = self.imap()
        imap.ask("SELECT INBOX")
        (number,) = imap.ask("SEARCH SUBJECT longline")[0].split()[2:]
        self.assertIn(line + b"\r\n", imap.ask(f"FETCH {number.decode()} BODY.PEEK[TEXT]"))


class TransactionTests(OnTheWire):
    """Recipients, header block, Received, sizes, parameters, addresses."""

    def test_recipients(self) -> None:
        """A thousand are taken, whoever wants more hears 452 and sends the rest in another message."""
        peer = self.smtp()
        commands = [f"RCPT TO:<ann+{number}@example.test>\r\n".encode() for number in range(1003)]
        peer.send(b"MAIL FROM:<stranger@example.org>\r\n" + b"".join(commands))
        replies = [peer.reply()[:9] for _ in range(1004)]
        self.assertEqual(replies, ["250 2.1.0"] + ["250 2.1.5"] * 1000 + ["452 4.5.3"] * 3)
        self.assertRegex(peer.data(b"From: a@example.org\r\n\r\nx\r\n"), "^250 ")

    def test_header_block(self) -> None:
        """256 KiB are enough for everybody."""
        peer = self.smtp()
        for lines, code in ((3300, "250"), (3900, "552")):
            header = b"From: a@example.org\r\n" + b"X-Long: %068d\r\n" % 1 * lines
            peer.envelope("stranger@example.org", "ann@example.test")
            self.assertRegex(peer.data(header + b"\r\nx\r\n"), f"^{code} ")
        peer.envelope("stranger@example.org", "ann@example.test")
        self.assertRegex(peer.data(b"From: a@example.org\r\nX-Long: " + b"x" * 400_000 + b"\r\n"), "^552 5.3.4 Header")

    def test_received(self) -> None:
        """More than 50 Received fields are a loop."""
        peer = self.smtp()
        for fields, code in ((50, "250"), (51, "554 5.4.6")):
            header = b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n" * fields + b"From: a@example.org\r\n"
            peer.envelope("stranger@example.org", "ann@example.test")
            self.assertRegex(peer.data(header + b"\r\nx\r\n"), f"^{code}")

    def test_parameters(self) -> None:
        """Unknown ones 555, malformed ones 501, a SIZE beyond the limit 552 before anything is sent."""
        peer = self.smtp()
        self.assertRegex(peer.say("MAIL FROM:<a@example.org> FOO=BAR"), "^555 ")
        self.assertRegex(peer.say("MAIL FROM:<a@example.org> SIZE=many"), "^501 ")
        self.assertRegex(peer.say("MAIL FROM:<a@example.org> SIZE=2000001"), "^552 5.3.4 ")
        self.assertRegex(peer.say("MAIL FROM:<a@example.org> SIZE=2000000 BODY=8BITMIME SMTPUTF8"), "^250 ")
        self.assertRegex(peer.say("RCPT TO:<ann@example.test> FOO=BAR"), "^555 ")
        self.assertRegex(self.smtp().say("EHLO again"), r"(?m)^250[- ]SIZE 2000000\r?$")

    def test_size_while_receiving(self) -> None:
        """Whoever announced less or nothing is refused after the end of data, and the next message is taken."""
        peer = self.smtp()
        for command in ("MAIL FROM:<a@example.org> SIZE=10", "MAIL FROM:<a@example.org>"):
            peer.say(command)
            peer.say("RCPT TO:<ann@example.test>")
            self.assertRegex(peer.data(b"From: a@example.org\r\n\r\n" + b"x" * 68 + b"\r\n" * 1_000_000), "^552 5.3.4 ")
        peer.envelope("a@example.org", "ann@example.test")
        self.assertRegex(peer.data(b"From: a@example.org\r\n\r\nx\r\n"), "^250 ")

    def test_addresses(self) -> None:
        """NUL, controls and broken UTF-8 are no addresses; a program, a file and an include are nobody's."""
        peer = self.smtp()
        peer.say("MAIL FROM:<a@example.org>")
        for octets in (b"ann\0@example.test", b"ann\x07@example.test", b"\xff@example.test", b"an\rn@example.test"):
            self.assertRegex(peer.say(b"RCPT TO:<" + octets + b">"), "^50[01] 5")
        for name in (b'"|/bin/sh"', b"/etc/passwd", b'":include:/etc/passwd"', b'"../../ann"', b"ann/../bob"):
            self.assertRegex(peer.say(b"RCPT TO:<" + name + b"@example.test>"), "^5(01|50|53) 5")

    def test_refused_chunk(self) -> None:
        """A BDAT chunk that is refused is swallowed: commands inside it are never run."""
        peer = self.smtp()
        inside = b"MAIL FROM:<x@example.org>\r\nRCPT TO:<ann@example.test>\r\n"
        peer.send(b"BDAT %d LAST\r\n%sNOOP\r\n" % (len(inside), inside))
        self.assertRegex(peer.reply(), "^503 ")
        self.assertRegex(peer.reply(), "^250 2.0.0 Ok")
        self.assertRegex(peer.say("RCPT TO:<ann@example.test>"), "^503 ")
        peer.envelope("a@example.org", "nobody@example.test")
        peer.send(b"BDAT %d LAST\r\n%sNOOP\r\n" % (len(inside), inside))
        self.assertRegex(peer.reply(), "^5")
        self.assertRegex(peer.reply(), "^250 2.0.0 Ok")


class FromTests(OnTheWire):
    """Exactly one From field with one address, on 25 and on submission."""

    WRONG = (
        b"Subject: none\r\n",
        b"From: ann@example.test\r\nFrom: bob@example.test\r\n",
        b"From: ann@example.test, bob@example.test\r\n",
        b"From: nobody\r\n",
        b"From: \r\n",
        b"From: undisclosed-recipients:;\r\n",
        b"From: <ann@example.test> <bob@example.test>\r\n",
    )

    def test_from(self) -> None:
        """5xx for each, from strangers and from our own people alike."""
        for peer, sender in ((self.smtp(), "a@example.org"), (self.submission(), "ann@example.test")):
            for header in self.WRONG:
                peer.envelope(sender, "bob@example.test")
                self.assertRegex(peer.data(header + b"\r\nx\r\n"), "^550 5.6.0 ", header)
            peer.envelope(sender, "bob@example.test")
            self.assertRegex(peer.data(b'From: "Bo, b" <' + sender.encode() + b">\r\n\r\nx\r\n"), "^250 ")

    def test_stripped(self) -> None:
        """What only we may say is taken out of what a stranger brings."""
        forged = (
            b"Return-Path: <forged@example.org>\r\nDelivered-To: ann@example.test\r\nX-Spam-Status: No\r\n"
            b"Authentication-Results: mx.example.test; spf=pass\r\nReceived-SPF: pass (mx.example.test: forged)\r\n"
        )
        kept = b"Authentication-Results: other.example; spf=pass\r\nFrom: a@example.org\r\nSubject: stripped\r\n"
        peer = self.smtp()
        peer.envelope("a@example.org", "ann@example.test")
        self.assertRegex(peer.data(forged + kept + b"\r\nx\r\n"), "^250 ")
        imap = self.imap()
        imap.ask("SELECT INBOX")
        (number,) = imap.ask("SEARCH SUBJECT stripped")[0].split()[2:]
        found = b"".join(imap.ask(f"FETCH {number.decode()} BODY.PEEK[HEADER]"))
        self.assertIn(kept, found)
        for line in forged.splitlines():
            self.assertNotIn(line, found)


class AbuseTests(OnTheWire):
    """Early talkers, HTTP, errors, unknown recipients, replies."""

    def test_early_talker(self) -> None:
        """Whoever talks before the greeting did not wait for it: 554 and the end."""
        peer = self.peer()
        peer.send(b"EHLO early.example\r\n")
        self.assertRegex(peer.rest(), rb"\A554 5\.5\.1 [^\r\n]*\r\n\Z")

    def test_http(self) -> None:
        """A web browser was led here: 554 and the end, and nothing of its request is run."""
        for request in (b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"CONNECT a:25 HTTP/1.0"):
            peer = self.peer()
            peer.reply()
            peer.send(request + b"\r\nHost: x\r\n\r\nMAIL FROM:<a@example.org>\r\n")
            self.assertRegex(peer.rest(), rb"\A554 5\.5\.1 [^\r\n]*\r\n\Z")

    def test_errors(self) -> None:
        """The twentieth error is the last."""
        peer = self.smtp()
        replies = [peer.say("FOO") for _ in range(20)]
        self.assertEqual([reply[:3] for reply in replies], ["500"] * 19 + ["421"])
        self.assertEqual(peer.rest(), b"")

    def test_unknown_recipients(self) -> None:
        """The hundredth name that nobody has is the last; one known name among them changes nothing."""
        peer = self.smtp()
        peer.say("MAIL FROM:<a@example.org>")
        peer.send(b"".join(b"RCPT TO:<nobody%d@example.test>\r\n" % number for number in range(100)))
        replies = [peer.reply()[:3] for _ in range(100)]
        self.assertEqual(replies, ["550"] * 99 + ["421"])
        self.assertEqual(peer.rest(), b"")

    def test_one_reply_a_command(self) -> None:
        """However odd a command: one reply, ending in CRLF, with none of its octets in it."""
        odd = (
            b"EHLO \xc3\xa4pfel", b"EHLO [zzqq]", b"HELO zzqq\x01", b"MAIL FROM:<zzqq", b"MAIL zzqq", b"zzqq zzqq",
            b"\x00zzqq", b"VRFY zzqq", b"EXPN zzqq", b"HELP zzqq", b"NOOP zzqq", b"RSET zzqq", b"STARTTLS zzqq",
            b"AUTH zzqq", b"DATA zzqq", b"RCPT TO:<zzqq>", b"\x80\xff zzqq", b" zzqq",
        )  # fmt: skip
        peer = self.smtp()
        peer.send(b"".join(line + b"\r\n" for line in odd) + b"QUIT\r\n")
        lines = peer.rest().split(b"\r\n")
        self.assertEqual(lines.pop(), b"")
        last = [line for line in lines if line[3:4] == b" "]
        self.assertEqual(len(last), len(odd) + 1, lines)
        self.assertTrue(last[-1].startswith(b"221 "))
        for line in lines:
            self.assertRegex(line, rb"\A[245][0-9]{2}[ -][\x20-\x7e]*\Z")
            self.assertNotIn(b"zzqq", line)

    def test_starttls_injection(self) -> None:
        """What was said behind STARTTLS in clear is never run; after the handshake everything begins anew."""
        peer = self.smtp()
        peer.send(b"STARTTLS\r\nMAIL FROM:<a@example.org>\r\n")
        self.assertRegex(peer.reply(), "^554 ")
        self.assertEqual(peer.rest(), b"")
        peer = self.smtp()
        peer.say("MAIL FROM:<a@example.org>")
        self.assertRegex(peer.say("STARTTLS"), "^503 |^220 ")
        peer = self.smtp()
        self.assertRegex(peer.say("STARTTLS"), "^220 ")
        peer.start_tls()
        self.assertRegex(peer.say("MAIL FROM:<a@example.org>"), "^503 ")


class SaslTests(OnTheWire):
    """Log-ins to send."""

    def test_offered(self) -> None:
        """AUTH never on 25, on 587 only under TLS, on 465 at once."""
        self.assertNotIn("AUTH", self.smtp().say("EHLO x"))
        peer = self.smtp("submission")
        self.assertNotIn("AUTH", peer.say("EHLO x"))
        self.assertRegex(peer.auth_plain("ann@example.test", PASSWORD), "^530 ")
        peer.say("STARTTLS")
        peer.start_tls()
        self.assertIn("AUTH PLAIN LOGIN", peer.say("EHLO x"))
        self.assertRegex(peer.auth_plain("ann@example.test", PASSWORD), "^235 ")

    def test_authzid(self) -> None:
        """Nobody acts as somebody else; repeating oneself is harmless."""
        for authzid, code in (("bob@example.test", "535"), ("ann@example.test", "235")):
            octets = f"{authzid}\0ann@example.test\0{PASSWORD}".encode()
            reply = self.smtp("submissions").say(b"AUTH PLAIN " + base64.b64encode(octets))
            self.assertRegex(reply, f"^{code} ")

    def test_malformed(self) -> None:
        """Exchanges that are none end with 501 each, and count as errors."""
        peer = self.smtp("submissions")
        for line in ("AUTH PLAIN !!!", "AUTH PLAIN " + base64.b64encode(b"no nul").decode(), "AUTH PLAIN ="):
            self.assertRegex(peer.say(line), "^501 ")
        peer.say("AUTH LOGIN")
        self.assertRegex(peer.say("*"), "^501 ")
        self.assertRegex(peer.say("AUTH GSSAPI"), "^504 ")

    def test_known_and_unknown_alike(self) -> None:
        """The same words, and about the same time."""
        seconds: dict[str, list[float]] = {"ann": [], "nobody": []}
        said = set()
        for _, name in itertools.product(range(4), seconds):
            peer = self.smtp("submissions")
            began = time.monotonic()
            said.add(peer.auth_plain(f"{name}@example.test", "wrong"))
            seconds[name].append(time.monotonic() - began)
        self.assertEqual(said, {"535 5.7.8 Wrong user name or password"})
        known, unknown = (min(seconds[name]) for name in seconds)
        self.assertLess(abs(known - unknown), 0.75 * max(known, unknown))


class ImapTests(OnTheWire):
    """Before the log-in: line 64 KiB, literal 8 KiB, 20 bad commands; after it: 100 sessions."""

    def greeted(self) -> Peer:
        """On imaps, not logged in."""
        peer = self.peer("imaps")
        peer.line()
        return peer

    def test_line(self) -> None:
        """A line of more than 64 KiB is BAD, is dropped to its end, and the session goes on."""
        peer = self.greeted()
        self.assertRegex(peer.ask("LOGIN " + "x" * 100_000)[-1], b"^a BAD ")
        self.assertRegex(peer.ask("NOOP")[-1], b"^a OK ")

    def test_literal(self) -> None:
        """A literal of more than 8 KiB is not waited for; sent without waiting it is swallowed."""
        peer = self.greeted()
        peer.send(b"a LOGIN {8193}\r\n")
        self.assertRegex(peer.answer()[-1], b"^a BAD ")
        self.assertRegex(peer.ask(b"LOGIN {8193+}\r\n" + b"x" * 8193 + b" y")[-1], b"^a BAD ")
        peer.send(b"a LOGIN {8192}\r\n")
        self.assertRegex(peer.line(), rb"^\+ ")
        peer.send(b"x" * 8192 + b" y\r\n")
        self.assertRegex(peer.answer()[-1], b"^a NO ")

    def test_bad_commands(self) -> None:
        """The twentieth is the last."""
        peer = self.greeted()
        answers = [peer.ask("FOO") for _ in range(20)]
        self.assertTrue(all(answer[-1].startswith(b"a BAD ") for answer in answers[:19]))
        self.assertIn(b"* BYE ", b"".join(answers[-1]) + peer.rest())

    def test_no_password_in_clear(self) -> None:
        """LOGINDISABLED before TLS, and the password is not looked at."""
        peer = self.peer("imap")
        self.assertIn(b"LOGINDISABLED", peer.line())
        self.assertRegex(peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')[-1], b"^a NO .PRIVACYREQUIRED")

    def test_sessions_of_an_account(self) -> None:
        """The hundred and first is refused; when one ends there is room again."""
        addresses = [another_address() for _ in range(3)]
        peers = [self.imap(addresses[number // 40]) for number in range(100)]
        late = self.peer("imaps", addresses[2])
        late.line()
        self.assertRegex(late.ask(f'LOGIN ann@example.test "{PASSWORD}"')[-1], rb"^a NO \[LIMIT\]")
        peers[0].ask("LOGOUT")
        peers[0].close()
        self.assertRegex(late.ask(f'LOGIN ann@example.test "{PASSWORD}"')[-1], b"^a OK ")


class ConnectionTests(OnTheWire):
    """Fifty an address; the others are unaffected; port 80 serves tokens and nothing else."""

    def test_smtp(self) -> None:
        """The fifty-first hears 421; another address is served; one that leaves makes room."""
        source = another_address()
        peers = [self.peer(source=source) for _ in range(50)]
        self.assertTrue(all(peer.reply().startswith("220 ") for peer in peers))
        self.assertRegex(self.peer(source=source).rest(), rb"\A421 4\.7\.0 [^\r\n]*\r\n\Z")
        self.assertRegex(self.peer().reply(), "^220 ")
        peers[0].say("QUIT")
        peers[0].rest()
        self.assertRegex(self.peer(source=source).reply(), "^220 ")

    def test_imap(self) -> None:
        """The same there."""
        source = another_address()
        peers = [self.peer("imap", source) for _ in range(50)]
        self.assertTrue(all(peer.line().startswith(b"* OK ") for peer in peers))
        self.assertRegex(self.peer("imap", source).rest(), rb"\A\* BYE ")
        self.assertRegex(self.peer("imap").line(), rb"^\* OK ")

    def test_all_together(self) -> None:
        """400 in all: strangers never get the last places, which are kept for submission and for who has logged in."""
        addresses = [another_address() for _ in range(8)]
        for service, most, refusal in (("smtp", 360, b"421 "), ("imap", 300, b"* BYE ")):
            peers = [self.peer(service, addresses[number // 49]) for number in range(most)]
            good = [peer for peer in peers if peer.line()[:4] in (b"220 ", b"* OK")]
            self.assertGreaterEqual(len(good), most - 10)  # connections of earlier tests may be closing still
            late = [self.peer(service, addresses[7]).line() for _ in range(12)]
            self.assertTrue(late[-1].startswith(refusal), late)
            if service == "smtp":
                self.assertRegex(self.peer("submission").reply(), "^220 ")
                self.assertRegex(self.peer("smtp").reply(), "^421 4.7.0 Too many connections")
            for peer in peers:
                peer.close()

    def test_http(self) -> None:
        """404 for every path, method and version that is no token's; a request too large gets nothing."""
        for request in (
            b"GET / HTTP/1.1", b"GET /.well-known/acme-challenge/nothing HTTP/1.1", b"POST /.well-known/x HTTP/1.1",
            b"GET /.well-known/acme-challenge/../../etc/passwd HTTP/1.0", b"GET http://example.org/ HTTP/1.1",
        ):  # fmt: skip
            peer = self.peer("http")
            peer.send(request + b"\r\nHost: mx.example.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.assertRegex(peer.rest(), rb"\AHTTP/1\.[01] 404 ", request)
        peer = self.peer("http")
        peer.send(b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 60_000 + b"\r\n\r\n")
        self.assertNotIn(b" 200 ", peer.rest())


class IdleTests(SynchronousTestCase):
    """Whoever says nothing is closed, with the right last word."""

    def test_idle(self) -> None:
        """`limits.smtp_idle` and `limits.imap_idle`; an IMAP client that idles by IDLE is silent, too."""
        with Appliance(extra="[limits]\nsmtp_idle = 1\nimap_idle = 1\n") as appliance:
            appliance.people(password=PASSWORD)
            smtp, early = Peer(appliance.ports["smtp"]), Peer(appliance.ports["smtp"])
            smtp.hello()
            smtp.envelope("a@example.org", "ann@example.test")
            self.assertRegex(smtp.say("DATA"), "^354 ")
            imap = Peer(appliance.ports["imaps"], tls=True)
            imap.line()
            imap.ask(f'LOGIN ann@example.test "{PASSWORD}"')
            began = time.monotonic()
            self.assertRegex(early.rest(), rb"\r\n421 4\.4\.2 ")
            self.assertRegex(smtp.rest(), rb"\A421 4\.4\.2 ")
            self.assertRegex(imap.rest(), rb"\A\* BYE ")
            self.assertLess(time.monotonic() - began, 15)
            self.assertEqual(appliance.tracebacks(), [])


class FailureTests(SynchronousTestCase):
    """Ten failures a minute and address over all services, kept over a restart."""

    def failures(self, appliance: Appliance, source: str, most: int, account: str = "ann") -> int:
        """Guess different passwords of ``account`` on all services in turn; how many were looked at."""
        for number in range(most):
            service = ("imaps", "submissions", "submission", "imap")[number % 4]
            with contextlib.suppress(OSError):  # turned away before the handshake
                with Peer(appliance.ports[service], tls=service in ("imaps", "submissions"), source=source) as peer:
                    if "imap" in service:
                        self.guess_by_imap(peer, service, account, f"guess {number}")
                    else:
                        self.guess_by_smtp(peer, service, account, f"guess {number}")
        told = re.findall(rf'login_failed .*peer={re.escape(source)} .*reason=("[^"]*"|\S+)', appliance.log())
        return sum("guard" not in reason and "too many" not in reason for reason in told)

    def guess_by_imap(self, peer: Peer, service: str, account: str, password: str) -> None:
        """LOGIN, unless we are turned away."""
        if not peer.line().startswith(b"* OK"):
            return
        if service == "imap":
            peer.ask("STARTTLS")
            peer.start_tls()
        peer.ask(f'LOGIN {account}@example.test "{password}"')

    def guess_by_smtp(self, peer: Peer, service: str, account: str, password: str) -> None:
        """AUTH, unless we are turned away."""
        if not peer.reply().startswith("220"):
            return
        peer.say("EHLO guesser.example")
        if service == "submission":
            peer.say("STARTTLS")
            peer.start_tls()
            peer.say("EHLO guesser.example")
        peer.auth_plain(f"{account}@example.test", password)

    def works(self, appliance: Appliance, source: str) -> bool:
        """Can ann log in from there?"""
        try:
            with Peer(appliance.ports["imaps"], tls=True, source=source) as peer:
                peer.line()
                return peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')[-1].startswith(b"a OK")
        except OSError:
            return False

    def test_guessing(self) -> None:
        """The eleventh password is not looked at, anywhere, also after a restart; others and known devices go on."""
        with Appliance() as appliance:
            appliance.people("example.test", "ann", "bob", password=PASSWORD)
            self.assertTrue(self.works(appliance, "127.0.0.9"))
            self.assertEqual(self.failures(appliance, "127.0.0.8", 16), 10)
            self.assertFalse(self.works(appliance, "127.0.0.8"))
            self.assertTrue(self.works(appliance, "127.0.0.10"))
            self.assertIn("127.0.0.8", appliance.cli("guard", "list"))
            appliance.stop()
            appliance.start()
            self.assertFalse(self.works(appliance, "127.0.0.8"))
            self.assertEqual(self.failures(appliance, "127.0.0.8", 4), 10)  # as before
            with Peer(appliance.ports["smtp"], source="127.0.0.8") as peer:
                self.assertRegex(peer.reply(), "^421 4.7.0 ")
            # Somebody behind the same address as ann's device guesses at bob's: her device still gets in.
            self.assertEqual(self.failures(appliance, "127.0.0.9", 14, "bob"), 10)
            self.assertTrue(self.works(appliance, "127.0.0.9"))
            appliance.cli("guard", "unban", "127.0.0.8")
            self.assertTrue(self.works(appliance, "127.0.0.8"))
            self.assertEqual(len(re.findall("guard.banned", appliance.log())), 2)
            self.assertEqual(appliance.tracebacks(), [])
