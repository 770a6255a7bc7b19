"""The client core: scripts of servers and what becomes of the recipients."""

from __future__ import annotations

import base64
import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.outcome import Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.smtp.client import ClientCore
from mailbox_appliance.wire.smtp.client_commands import UnsafeText, command, read_offers, xtext
from mailbox_appliance.wire.smtp.client_events import (
    ContentDue,
    Credentials,
    Done,
    Event,
    HandshakeDue,
    Ready,
    Refusal,
    Stage,
    StartTls,
    Transaction,
    Trouble,
)
from mailbox_appliance.wire.smtp.replies import REPLY_LINES, MalformedReply, ReplyParser
from mailbox_appliance.wire.smtp.stuffing import Stuffing

ANN = Address("ann", "a.example")
BOB = Address("bob", "b.example")


def envelope(*recipients: Address, sender: Address | None = ANN, **more: object) -> Envelope:
    return Envelope(sender, tuple(Recipient(r) for r in recipients or (BOB,)), **more)  # type: ignore[arg-type]


def message(*recipients: Address, size: int = 100, **more: object) -> Transaction:
    return Transaction(envelope(*recipients), size, **more)  # type: ignore[arg-type]


class Talk:
    """A core and everything it said and told. ``cut``: how many octets of a reply come at once."""

    def __init__(self, core: ClientCore | None = None, cut: int = 0) -> None:
        self.core = core or ClientCore("us.example", starttls=StartTls.NEVER)
        self.cut = cut
        self.said = b""
        self.events: list[Event] = []

    def hear(self, text: str | bytes) -> Talk:
        data = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode() + b"\r\n"
        pieces = [data[i : i + self.cut] for i in range(0, len(data), self.cut)] if self.cut else [data]
        for piece in pieces:
            self.note(self.core.receive(piece))
        return self

    def note(self, events: list[Event]) -> Talk:
        """Take events as a session would: content is sent at once."""
        self.said += self.core.take()
        for event in events:
            self.events.append(event)
            if isinstance(event, ContentDue):
                self.said += b"<content>"
                self.note(self.core.content_sent())
        return self

    def begin(self, transaction: Transaction) -> Talk:
        return self.note(self.core.begin(transaction))

    def spoken(self) -> list[str]:
        said, self.said = self.said, b""
        return said.decode().replace("\r\n", "\n").split("\n")[:-1]

    @property
    def done(self) -> Done:
        (found,) = [event for event in self.events if isinstance(event, Done)]
        return found

    @property
    def refusal(self) -> Refusal:
        (found,) = [event for event in self.events if isinstance(event, Refusal)]
        return found


def ready(offers: str = "PIPELINING", **how: object) -> Talk:
    """A session that stands, EHLO answered with ``offers``."""
    talk = Talk(**how)  # type: ignore[arg-type]
    talk.hear("220 mx ESMTP")
    words = offers.split("|") if offers else []
    lines = ["mx", *words]
    talk.hear("\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{line}" for n, line in enumerate(lines)))
    assert talk.core.stage is Stage.IDLE
    talk.spoken()
    talk.events.clear()
    return talk


D, T, F = Result.DELIVERED, Result.TRY_AGAIN, Result.FAILED

# what the server answers to MAIL, RCPT…, DATA, content → results, is the session broken
SCRIPTS: list[tuple[str, list[str], list[Result], bool]] = [
    ("all well", ["250 ok", "250 ok", "250 ok", "354 go", "250 2.0.0 kept"], [D, D], False),
    ("251 is good", ["250 ok", "251 forwarded", "252 perhaps", "354 go", "250 kept"], [D, D], False),
    ("one unknown", ["250 ok", "550 5.1.1 no", "250 ok", "354 go", "250 kept"], [F, D], False),
    ("one greylisted", ["250 ok", "250 ok", "451 4.7.1 later", "354 go", "250 kept"], [D, T], False),
    ("mixed, all refused", ["250 ok", "450 later", "550 no"], [T, F], False),
    ("sender refused", ["550 5.7.1 no", "503 what", "503 what"], [F, F], False),
    ("sender put off", ["451 4.3.0 later", "503 what", "503 what"], [T, T], False),
    ("sender refused, recipients not", ["550 no", "250 ok", "250 ok"], [F, F], False),
    ("data refused", ["250 ok", "250 ok", "250 ok", "554 5.7.1 no"], [F, F], False),
    ("data put off", ["250 ok", "250 ok", "250 ok", "451 later"], [T, T], False),
    ("content refused", ["250 ok", "250 ok", "550 no", "354 go", "554 5.6.0 spam"], [F, F], False),
    ("content put off", ["250 ok", "250 ok", "250 ok", "354 go", "452 4.3.1 full"], [T, T], False),
    ("421 at MAIL", ["421 4.3.2 closing"], [T, T], True),
    ("421 at RCPT", ["250 ok", "550 no", "421 closing"], [F, T], True),
    ("421 at DATA", ["250 ok", "250 ok", "550 no", "421 closing"], [T, F], True),
    ("421 after content", ["250 ok", "250 ok", "250 ok", "354 go", "421 closing"], [T, T], True),
    ("too many recipients", ["250 ok", "250 ok", "552 too many", "354 go", "250 kept"], [D, T], False),
    ("mailbox full", ["250 ok", "250 ok", "552 5.2.2 full", "354 go", "250 kept"], [D, F], False),
    ("too large", ["250 ok", "552 too large", "552 too large"], [F, F], False),
    ("354 to MAIL", ["354 what"], [T, T], True),
    ("250 to DATA", ["250 ok", "250 ok", "250 ok", "250 what"], [T, T], True),
    ("no SMTP", ["250 ok", "HTTP/1.1 400 Bad Request"], [T, T], True),
    ("early yes to DATA", ["250 ok", "250 ok", "250 ok", "354 go", "354 go on"], [T, T], True),
]


class TransactionTests(SynchronousTestCase):
    """What the server says decides about each recipient."""

    def test_scripts(self) -> None:
        """Each script ends as its row says: with and without pipelining, in one burst, octet by octet, cut anywhere."""
        for name, replies, results, broken in SCRIPTS:
            for pipelining, cut in itertools.product(("PIPELINING", ""), (0, 1, 2, 3, 7)):
                answers = list(replies)
                if not pipelining and name.startswith("sender"):
                    answers = answers[:1]  # the client does not go on after a refused MAIL
                if pipelining and len(answers) == 3 and not broken:
                    answers.append("503 5.5.1 no recipients")  # DATA had left already
                talk = ready(pipelining, cut=cut)
                talk.begin(message(BOB, Address("cy", "b.example")))
                for answer in answers:
                    talk.hear(answer)
                where = f"{name}, {pipelining!r}, cut {cut}"
                self.assertEqual([o.result for o in talk.done.outcomes], results, where)
                self.assertEqual(talk.done.broken, broken, where)
                self.assertEqual(talk.core.stage, Stage.CLOSED if broken else Stage.IDLE, where)

    def test_scripts_cut_at_each_octet(self) -> None:
        """A reply cut in two anywhere means the same."""
        whole = b"250-one\r\n250 two\r\n250 2.1.5 ok\r\n550 5.1.1 no\r\n354 go\r\n"
        for at in range(len(whole) + 1):
            talk = ready().begin(message(BOB, ANN))
            talk.hear(whole[:at]).hear(whole[at:]).hear(b"250-2.0.0 ke").hear(b"pt\r\n250 2.0.0 7\r\n")
            self.assertEqual(
                [str(o.reply) for o in talk.done.outcomes], ["250 2.0.0 kept / 7", "550 5.1.1 no"], str(at)
            )

    def test_pipelining_is_one_write(self) -> None:
        """MAIL, all RCPTs and DATA leave together; the content waits for all of their replies."""
        talk = ready("PIPELINING|SIZE 1000").begin(message(BOB, ANN))
        self.assertEqual(
            talk.spoken(),
            ["MAIL FROM:<ann@a.example> SIZE=100", "RCPT TO:<bob@b.example>", "RCPT TO:<ann@a.example>", "DATA"],
        )
        talk.hear("250 ok\n250 ok\n250 ok")
        self.assertEqual(talk.spoken(), [])
        self.assertIs(talk.core.stage, Stage.DATA)
        talk.hear("354 go")
        self.assertEqual(talk.said, b"<content>")

    def test_lone_dot(self) -> None:
        """A server that asks for the content of a message nobody wants gets a lone dot (RFC 2920 §3.1)."""
        for last in ("554 5.5.1 no valid recipients", "250 2.0.0 whatever", "451 4.3.0 later"):
            talk = ready().begin(message(BOB, ANN)).hear("250 ok\n550 5.1.1 no\n450 4.2.0 later")
            talk.spoken()
            self.assertEqual(talk.hear("354 go").spoken(), ["."])
            talk.hear(last)
            self.assertEqual([o.result for o in talk.done.outcomes], [F, T])
            self.assertEqual((talk.done.broken, talk.done.at_risk, talk.core.stage), (False, False, Stage.IDLE))

    def test_lone_dot_lost(self) -> None:
        """When the connection breaks behind the lone dot nothing is at risk: nothing was sent."""
        talk = ready().begin(message(BOB)).hear("250 ok\n550 5.1.1 no\n354 go")
        talk.note(talk.core.lost())
        self.assertEqual([o.result for o in talk.done.outcomes], [F])
        self.assertEqual((talk.done.broken, talk.done.at_risk), (True, False))

    def test_without_pipelining_one_by_one(self) -> None:
        """Each command waits for the reply to the one before."""
        talk = ready("").begin(message(BOB, ANN))
        said = [talk.spoken()]
        for reply in ("250 ok", "250 ok", "250 ok"):
            said.append(talk.hear(reply).spoken())
        flat = ["MAIL FROM:<ann@a.example>", "RCPT TO:<bob@b.example>", "RCPT TO:<ann@a.example>", "DATA"]
        self.assertEqual(said, [[line] for line in flat])

    def test_nobody_wants_it(self) -> None:
        """With all recipients refused no content is sent, and the next message begins with RSET."""
        for offers, refused in (
            ("", "250 ok\n550 5.1.1 no"),
            ("PIPELINING", "250 ok\n550 5.1.1 no\n503 no recipients"),
        ):
            talk = ready(offers).begin(message(BOB))
            for reply in refused.split("\n"):
                talk.hear(reply)
            said = talk.spoken()
            self.assertEqual(("<content>" in said, "DATA" in said), (False, bool(offers)))
            talk.begin(message(BOB))
            self.assertEqual(talk.spoken()[0], "RSET")

    def test_next_message_without_rset(self) -> None:
        """After a message that was taken the next one follows directly."""
        talk = ready().begin(message(BOB)).hear("250 ok\n250 ok").hear("354 go").hear("250 kept")
        talk.spoken()
        self.assertEqual(talk.begin(message(BOB)).spoken()[0], "MAIL FROM:<ann@a.example>")

    def test_lost(self) -> None:
        """Who was refused stays refused, the others are untold; after the content it may have arrived."""
        talk = ready().begin(message(BOB, ANN)).hear("250 ok\n550 5.1.1 no")
        talk.note(talk.core.lost())
        self.assertEqual([o.result for o in talk.done.outcomes], [F, T])
        self.assertEqual((talk.done.untold, talk.done.at_risk), (frozenset({1}), False))
        self.assertIn("MAIL or RCPT", talk.done.outcomes[1].reason)
        talk = ready().begin(message(BOB)).hear("250 ok\n250 ok\n354 go")
        talk.note(talk.core.lost())
        self.assertTrue(talk.done.at_risk)

    def test_slow(self) -> None:
        """A time-out names what was waited for."""
        talk = ready().begin(message(BOB))
        talk.note(talk.core.timed_out(300))
        self.assertEqual(
            talk.done.outcomes[0].reason, "no answer within 300 s while waiting for the reply to MAIL or RCPT"
        )

    def test_refused_during_content(self) -> None:
        """A refusal before the content's end counts, and the connection is given up."""
        core = ClientCore("us.example", starttls=StartTls.NEVER)
        core.receive(b"220 mx\r\n")
        core.take()
        core.receive(b"250 mx\r\n")
        core.begin(message(BOB))
        core.take()
        for reply in (b"250 ok\r\n", b"250 ok\r\n"):
            core.receive(reply)
            core.take()
        self.assertEqual([type(e) for e in core.receive(b"354 go\r\n")], [ContentDue])
        (done,) = core.receive(b"552 5.3.4 too much\r\n")
        assert isinstance(done, Done)
        self.assertEqual(([o.result for o in done.outcomes], done.broken, done.at_risk), ([F], True, False))

    def test_probe(self) -> None:
        """A probe asks for the recipient and sends nothing."""
        talk = ready().begin(message(BOB, probe=True)).hear("250 ok\n250 2.1.5 fine")
        self.assertEqual([o.result for o in talk.done.outcomes], [D])
        self.assertNotIn("DATA", talk.spoken())

    def test_nobody_asked(self) -> None:
        """A reply between messages ends the session; nothing after it is read."""
        for text, trouble, remote in (
            ("250 hello", Trouble.MALFORMED, False),
            ("421 idle too long", Trouble.BUSY, True),
        ):
            talk = ready().hear(text)
            self.assertEqual((talk.refusal.trouble, talk.core.stage), (trouble, Stage.CLOSED))
            self.assertEqual(talk.refusal.remote, remote)
            self.assertEqual(len(talk.hear("250 more").events), 1)


# message, offers → enhanced code, or None when it goes
CANNOT: list[tuple[Transaction, str, str | None]] = [
    (message(BOB, size=1001), "SIZE 1000", "5.3.4"),
    (message(BOB, size=1001), "SIZE 0", None),
    (message(BOB, size=1001), "SIZE", None),
    (message(BOB, size=1001), "SIZE lots", None),
    (message(Address("büro", "b.example")), "", "5.6.7"),
    (message(Address("büro", "b.example")), "SMTPUTF8", None),
    (Transaction(envelope(sender=Address("ännchen", "a.example")), 1), "", "5.6.7"),
    (Transaction(envelope(smtputf8=True), 1, header_is_ascii=False), "8BITMIME", "5.6.7"),
    (Transaction(envelope(smtputf8=True), 1), "", None),
    (Transaction(envelope(smtputf8=True), 1, header_is_ascii=False), "SMTPUTF8", None),
    (Transaction(envelope(require_tls=True), 1), "REQUIRETLS", "5.7.30"),
    (message(Address("x\r\nRSET", "b.example")), "", "5.1.3"),
    (message(Address("x\0y", "b.example")), "", "5.1.3"),
    (Transaction(envelope(sender=Address("a\nb", "a.example")), 1), "", "5.1.7"),
]


class CannotGoTests(SynchronousTestCase):
    """What a server cannot take fails without being tried."""

    def test_require_tls(self) -> None:
        """REQUIRETLS and a proof of the server's name: then, and only then, the word is said (RFC 8689 §4.2.1)."""
        for offers, verified, said in (
            ("REQUIRETLS", True, True),
            ("8BITMIME", True, False),
            ("REQUIRETLS", False, False),
        ):
            talk = ready(offers)
            talk.core.verified = verified
            talk.begin(Transaction(envelope(require_tls=True), 1))
            spoken = talk.spoken()
            self.assertEqual(bool(spoken) and "REQUIRETLS" in spoken[0], said, offers)

    def test_table(self) -> None:
        for transaction, offers, code in CANNOT:
            talk = ready(f"PIPELINING|{offers}" if offers else "PIPELINING").begin(transaction)
            where = f"{transaction} {offers}"
            if code is None:
                self.assertEqual(talk.spoken()[0][:4], "MAIL", where)
                continue
            self.assertEqual(
                [(o.result, o.reply.enhanced, o.remote) for o in talk.done.outcomes], [(F, code, False)], where
            )
            self.assertEqual(talk.spoken(), [], where)

    def test_one_of_two(self) -> None:
        """Only the recipient whom the server cannot name fails; the other one gets the message."""
        talk = ready().begin(message(Address("büro", "b.example"), BOB))
        self.assertEqual(len(talk.spoken()), 3)
        talk.hear("250 ok\n250 ok").hear("354 go").hear("250 kept")
        self.assertEqual([o.result for o in talk.done.outcomes], [F, D])

    def test_parameters(self) -> None:
        """Each parameter is said only where it was offered."""
        recipient = Recipient(BOB, frozenset({"FAILURE", "DELAY"}), "rfc822;bob+x@b.example")
        asked = Envelope(ANN, (recipient,), eight_bit=True, ret="HDRS", envid="id +1")
        talk = ready("8BITMIME|SIZE|DSN|SMTPUTF8|PIPELINING").begin(Transaction(asked, 5, True))
        self.assertEqual(
            talk.spoken(),
            [
                "MAIL FROM:<ann@a.example> SIZE=5 BODY=8BITMIME RET=HDRS ENVID=id+20+2B1",
                "RCPT TO:<bob@b.example> NOTIFY=DELAY,FAILURE ORCPT=rfc822;bob+2Bx@b.example",
                "DATA",
            ],
        )
        talk = ready("PIPELINING").begin(Transaction(asked, 5, True))
        self.assertEqual(talk.spoken(), ["MAIL FROM:<ann@a.example>", "RCPT TO:<bob@b.example>", "DATA"])

    def test_utf8(self) -> None:
        """SMTPUTF8 is said when an address needs it; the null path is <>."""
        talk = ready("SMTPUTF8|8BITMIME|DSN|PIPELINING")
        recipient = Recipient(Address("büro", "b.example"), original="utf-8;büro@b.example")
        talk.begin(Transaction(Envelope(None, (recipient,)), 5))
        self.assertEqual(
            talk.spoken(),
            [
                "MAIL FROM:<> BODY=8BITMIME SMTPUTF8",
                "RCPT TO:<büro@b.example> ORCPT=utf-8;b\\x{FC}ro@b.example",
                "DATA",
            ],
        )


class OpeningTests(SynchronousTestCase):
    """From the greeting to the first message."""

    def test_refusals(self) -> None:
        """Each refusal says where it happened, and QUIT is said."""
        secret = Credentials("ann", "geheim")
        always, never = StartTls.ALWAYS, StartTls.NEVER
        rows: list[tuple[StartTls, Credentials | None, list[str], Trouble, bool]] = [
            (never, None, ["554 5.7.1 go away"], Trouble.GREETING, True),
            (never, None, ["421 busy"], Trouble.BUSY, True),
            (never, None, ["220 mx", "450 later"], Trouble.HELLO, True),
            (never, None, ["220 mx", "502 what", "550 no"], Trouble.HELLO, True),
            (always, None, ["220 mx", "502 what"], Trouble.HELLO, True),
            (always, None, ["220 mx", "250 mx"], Trouble.NO_TLS, False),
            (always, None, ["220 mx", "250-mx\n250 STARTTLS", "454 not now"], Trouble.NO_TLS, True),
            (never, secret, ["220 mx", "250 mx"], Trouble.NO_AUTH, False),
            (never, secret, ["220 mx", "250-mx\n250 AUTH GSSAPI"], Trouble.NO_AUTH, False),
            (never, secret, ["220 mx", "250-mx\n250 AUTH PLAIN", "535 5.7.8 wrong"], Trouble.AUTH, True),
            (never, secret, ["220 mx", "250-mx\n250 AUTH LOGIN", "334 VXNlcg==", "535 wrong"], Trouble.AUTH, True),
            (never, secret, ["220 mx", "250-mx\n250 AUTH LOGIN", "334 a", "334 b", "334 c"], Trouble.MALFORMED, False),
            (never, None, ["SSH-2.0-OpenSSH"], Trouble.MALFORMED, False),
            (never, None, ["250 mx"], Trouble.MALFORMED, False),
        ]
        for starttls, credentials, replies, trouble, remote in rows:
            talk = Talk(ClientCore("us.example", starttls=starttls, credentials=credentials))
            for reply in replies:
                talk.hear(reply)
            self.assertEqual((talk.refusal.trouble, talk.refusal.remote), (trouble, remote), str(replies))
            self.assertEqual(talk.core.stage, Stage.CLOSED)
            self.assertNotIn("geheim", repr(talk.events) + repr(credentials))

    def test_helo(self) -> None:
        """A server that knows no EHLO gets HELO and plain SMTP."""
        talk = Talk().hear("220 old").hear("500 what").hear("250 hello")
        self.assertEqual(talk.spoken(), ["EHLO us.example", "HELO us.example"])
        self.assertIsInstance(talk.events[-1], Ready)

    def test_auth_plain(self) -> None:
        """The initial response comes with the command, also as AUTH=PLAIN of old servers."""
        for offer in ("AUTH LOGIN PLAIN", "AUTH=PLAIN LOGIN", "auth plain"):
            talk = Talk(ClientCore("us", starttls=StartTls.NEVER, credentials=Credentials("ann", "gehä:im")))
            talk.hear("220 mx").hear(f"250-mx\n250 {offer}")
            words = talk.spoken()[-1].split()
            self.assertEqual(words[:2], ["AUTH", "PLAIN"])
            self.assertEqual(base64.b64decode(words[2]).decode(), "\0ann\0gehä:im")
            self.assertIsInstance(talk.hear("235 2.7.0 welcome").events[-1], Ready)

    def test_auth_login(self) -> None:
        """LOGIN where PLAIN is not offered."""
        talk = Talk(ClientCore("us", starttls=StartTls.NEVER, credentials=Credentials("ann", "geheim")))
        talk.hear("220 mx").hear("250-mx\n250 AUTH LOGIN CRAM-MD5").hear("334 VXNlcm5hbWU6").hear("334 UGFzc3dvcmQ6")
        self.assertEqual(talk.spoken()[1:], ["AUTH LOGIN", "YW5u", "Z2VoZWlt"])
        self.assertIsInstance(talk.hear("235 ok").events[-1], Ready)

    def test_starttls(self) -> None:
        """After TLS all is forgotten and EHLO said again; only then comes the log-in."""
        core = ClientCore("us", starttls=StartTls.ALWAYS, credentials=Credentials("ann", "geheim"))
        talk = Talk(core).hear("220 mx").hear("250-mx\n250-AUTH PLAIN\n250 STARTTLS")
        self.assertEqual(talk.spoken()[-1], "STARTTLS")
        talk.hear("220 go")
        self.assertEqual((talk.spoken(), talk.events), ([], [HandshakeDue(0)]))
        talk.note(core.tls_started())
        self.assertEqual((talk.spoken(), core.offers.keywords), (["EHLO us"], {}))
        talk.hear("250-mx\n250 AUTH PLAIN")
        self.assertEqual(talk.spoken()[0][:10], "AUTH PLAIN")

    def test_injection_before_tls(self) -> None:
        """Octets that came in clear behind the 220 are thrown away, however they are cut."""
        attack = b"220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n235 fine\r\n250 ok\r\n"
        for at in range(len(attack)):
            core = ClientCore("us", starttls=StartTls.ALWAYS, credentials=Credentials("ann", "geheim"))
            talk = Talk(core).hear("220 mx").hear("250-mx\n250 STARTTLS")
            talk.spoken()
            talk.hear(attack[:at]).hear(attack[at:])
            self.assertEqual(core.stage, Stage.HANDSHAKE, str(at))
            talk.note(core.tls_started())
            self.assertEqual((core.stage, core.offers.keywords, talk.spoken()), (Stage.HELLO, {}, ["EHLO us"]), str(at))

    def test_starttls_refused_by_a_stranger(self) -> None:
        """Where TLS is only wished for, a refusal of STARTTLS means clear text, and that is remembered."""
        talk = Talk(ClientCore("us")).hear("220 mx").hear("250-mx\n250 STARTTLS").hear("454 4.7.0 no")
        self.assertIsInstance(talk.events[-1], Ready)
        self.assertEqual(talk.core.tls_refused, "454 4.7.0 no")

    def test_quit(self) -> None:
        talk = ready()
        talk.note(talk.core.quit())
        self.assertEqual(talk.spoken(), ["QUIT"])
        self.assertEqual(talk.hear("221 bye").core.stage, Stage.CLOSED)

    def test_names_cannot_break_lines(self) -> None:
        self.assertRaises(UnsafeText, ClientCore, "us\r\nMAIL FROM:<>")
        self.assertRaises(UnsafeText, command, "a\nb")
        self.assertRaises(UnsafeText, command, "\ud800")


class ReplyTests(SynchronousTestCase):
    """The reply parser."""

    def read(self, octets: bytes) -> list[Reply]:
        parser = ReplyParser()
        parser.feed(octets)
        return list(iter(parser.next_reply, None))

    def test_forms(self) -> None:
        """Each form of a reply, as code, enhanced code and text."""
        for octets, expected in (
            (b"250 ok\r\n", Reply(250, "", "ok")),
            (b"250\r\n", Reply(250, "", "")),
            (b"250 \r\n", Reply(250, "", "")),
            (b"250 ok\n", Reply(250, "", "ok")),
            (b"250-\r\n250 x\r\n", Reply(250, "", "\nx")),
            (b"250 2.1.5 ok\r\n", Reply(250, "2.1.5", "ok")),
            (b"550-5.1.1 no\r\n550 5.1.1 body\r\n", Reply(550, "5.1.1", "no\nbody")),
            (b"550 2.1.1 contradicts\r\n", Reply(550, "", "2.1.1 contradicts")),
            (b"550 5.1.1234 long\r\n", Reply(550, "", "5.1.1234 long")),
            (b"250-a\r\n550 b\r\n", Reply(550, "", "a\nb")),
            (b"250 a\tb\x00\x1b[2J\x7f\r\n", Reply(250, "", "a b??[2J?")),
            ("250 grüß\r\n".encode(), Reply(250, "", "grüß")),
            (b"250 \xff\r\n", Reply(250, "", "\ufffd")),
            (b"250 a\rb\r\n", Reply(250, "", "a?b")),
        ):
            self.assertEqual(self.read(octets), [expected], octets)

    def test_malformed(self) -> None:
        """What is no reply, or has no end, is said so."""
        endless = b"".join(b"250-x\r\n" for _ in range(REPLY_LINES + 1))
        for octets in (b"\r\n", b"25\r\n", b"2500\r\n", b"150 a\r\n", b"650 a\r\n", b"25x a\r\n", b"x" * 5000, endless):
            self.assertRaises(MalformedReply, self.read, octets)
        self.assertRaises(MalformedReply, self.read, (b"250-" + b"x" * 4000 + b"\r\n") * 17)

    @settings(max_examples=200)
    @given(st.binary(max_size=300), st.integers(1, 50))
    def test_fuzz(self, octets: bytes, cut: int) -> None:
        """Any octets in any pieces: replies or MalformedReply, the same as in one piece."""

        def run(pieces: list[bytes]) -> list[object]:
            parser, out = ReplyParser(), []
            try:
                for piece in pieces:
                    parser.feed(piece)
                    while (reply := parser.next_reply()) is not None:
                        out.append(reply)
                        self.assertNotRegex(reply.text.replace("\n", ""), r"[\x00-\x1f\x7f]")
            except MalformedReply:
                out.append("malformed")
            return out

        self.assertEqual(run([octets]), run([octets[i : i + cut] for i in range(0, len(octets), cut)]))

    @settings(max_examples=200)
    @given(
        st.lists(
            st.sampled_from([b"250", b"-", b" ", b"5.1.1", b"\r", b"\n", b"\r\n", b"x", b"354", b"421"]), max_size=40
        )
    )
    def test_core_survives_anything(self, words: list[bytes]) -> None:
        """Whatever a server says, the core ends in a state it knows, and every recipient has one outcome."""
        talk = ready()
        talk.begin(message(BOB, ANN))
        talk.hear(b"".join(words))
        talk.note(talk.core.lost())
        self.assertEqual(talk.core.stage, Stage.CLOSED)
        self.assertEqual(len(next(e for e in talk.events if isinstance(e, Done)).outcomes), 2)

    def test_offers(self) -> None:
        """EHLO's lines; odd ones are passed over."""
        offers = read_offers(Reply(250, "", "mx hi\nsize 10\n8BITMIME\nAUTH PLAIN\nAUTH=LOGIN\n\n*odd\nX-9 a b"))
        self.assertEqual(set(offers.keywords), {"SIZE", "8BITMIME", "AUTH", "X-9"})
        self.assertEqual((offers.size, offers.mechanisms), (10, ("PLAIN", "LOGIN")))

    @given(st.binary(max_size=100))
    def test_xtext(self, octets: bytes) -> None:
        """xtext is printable ASCII and comes back as it was."""
        text = xtext(octets)
        self.assertRegex(text, r"\A[!-~]*\Z")
        back = re.sub(rb"\+([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())
        self.assertEqual(back, octets)


class StuffingTests(SynchronousTestCase):
    """Content on the wire."""

    def stuffed(self, *chunks: bytes) -> bytes:
        stuffing = Stuffing()
        return b"".join(stuffing.chunk(chunk) for chunk in chunks) + stuffing.end()

    def test_forms(self) -> None:
        for content, wire in (
            (b"", b".\r\n"),
            (b"a\n", b"a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b".\n", b"..\r\n.\r\n"),
            (b"a\n.\n.b\n", b"a\r\n..\r\n..b\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a\rb\n", b"a\r\nb\r\n.\r\n"),
            (b"a\r.\r\n", b"a\r\n..\r\n.\r\n"),
            (b"a\n.\r\n", b"a\r\n..\r\n.\r\n"),
            (b"a\r", b"a\r\n.\r\n"),
        ):
            self.assertEqual(self.stuffed(content), wire, content)

    @settings(max_examples=300)
    @given(
        st.lists(
            st.lists(st.sampled_from([b"a", b".", b"\n", b"\r", b"\r\n", b"xyz"]), max_size=6).map(b"".join), max_size=6
        )
    )
    def test_safe_however_cut(self, chunks: list[bytes]) -> None:
        """No bare CR or LF, one end of data at the very end, the text comes back, and cuts do not matter."""
        wire = self.stuffed(*chunks)
        self.assertEqual(wire, self.stuffed(b"".join(chunks)))
        self.assertNotRegex(wire, rb"(?<!\r)\n|\r(?!\n)")
        lines = wire.split(b"\r\n")
        self.assertEqual(lines[-2:], [b".", b""])
        self.assertNotIn(b".", lines[:-2])
        text = b"".join(chunks).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        back = b"".join(line.removeprefix(b".") + b"\n" for line in lines[:-2])
        self.assertEqual(back, text if not text or text.endswith(b"\n") else text + b"\n")
