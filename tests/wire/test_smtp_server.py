"""The server's machine: one reply a command, the same however octets are cut, and nothing can break it."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.wire.smtp import events
from mailbox_appliance.wire.smtp.server import Server
from mailbox_appliance.wire.smtp.states import State
from mailbox_appliance.wire.smtp.terms import SERVICES, Terms, capabilities
from mailbox_appliance.wire.smtp.verbs import VERBS

_LINE = re.compile(rb"[2-5][0-9][0-9][ -][\x20-\x7e]*")


class Player:
    """Answers every owed event, by a rule that depends on the event alone."""

    def __init__(self, service: str = "smtp", *, errors: int = 1000, refuse: str = "", tls: bool = False) -> None:
        self.core = Server(Terms(SERVICES[service], "mx.example.org", errors=errors, command_line=200, auth_line=400))
        self.core.greet(Reply(220, "", "mx.example.org ESMTP"))
        if tls:
            self.core.tls_started()
        self.refuse = refuse
        self.said = self.core.take_output()
        self.events: list[events.Event] = []
        self.content = b""

    def send(self, octets: bytes) -> None:
        self.core.receive(octets)
        while (event := self.core.next_event()) is not None:
            if isinstance(event, events.Content):
                self.content += event.octets
                if event.octets and not self.core.owes:
                    continue
            self.events.append(event)
            if self.core.owes:
                self.core.answer(self._rule(event))
        self.said += self.core.take_output()
        self.core.burst_ends()

    def _rule(self, event: events.Event) -> Reply:
        if self.refuse and self.refuse in repr(event):
            return Reply(550, "5.7.1", "No")
        return Reply(354 if isinstance(event, events.Begin) else 250, "", "Yes")

    def codes(self) -> list[int]:
        return [int(line[:3]) for line in self.said.split(b"\r\n") if line and line[3:4] == b" "]


COMMANDS = st.sampled_from(
    [
        b"EHLO a.test\r\n",
        b"HELO a.test\r\n",
        b"MAIL FROM:<x@y.test>\r\n",
        b"MAIL FROM:<> SIZE=10\r\n",
        b"MAIL FROM:<no@y.test>\r\n",
        b"RCPT TO:<a@b.test>\r\n",
        b"RCPT TO:<no@b.test> NOTIFY=NEVER\r\n",
        b"DATA\r\n",
        b"hello\r\n.\r\n",
        b".\r\n",
        b"BDAT 5\r\nQUIT\r",
        b"BDAT 6 LAST\r\nQUIT\r\n",
        b"BDAT 0 LAST\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"HELP\r\n",
        b"VRFY a\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH PLAIN AGEAYg==\r\n",
        b"AUTH LOGIN\r\n",
        b"YQ==\r\n",
        b"*\r\n",
        b"FOO\r\n",
        b"NOOP " + b"x" * 300 + b"\r\n",
        b"bare\n",
        b"\r\n",
        b"\x00\xff\r\n",
        b"STARTTLS\r\n",
    ]
)
SERVICE = st.sampled_from(["smtp", "submissions"])


class ServerTests(SynchronousTestCase):
    """Properties of the whole machine."""

    @settings(max_examples=300)
    @given(SERVICE, st.lists(COMMANDS, max_size=12), st.sampled_from(["", "'no'", "Begin", "LogIn"]))
    def test_cutting_changes_nothing(self, service: str, commands: list[bytes], refuse: str) -> None:
        """By command and by octet: the same replies, the same events, the same content."""
        commands = [one for one in commands if one != b"STARTTLS\r\n"]
        whole, octets = Player(service, refuse=refuse), Player(service, refuse=refuse)
        for command in commands:
            whole.send(command)
        for octet in b"".join(commands):
            octets.send(bytes([octet]))
        self.assertEqual(whole.said, octets.said)
        self.assertEqual(whole.content, octets.content)
        self.assertIs(whole.core.state, octets.core.state)

    @settings(max_examples=300)
    @given(SERVICE, st.lists(st.one_of(COMMANDS, st.binary(max_size=30)), max_size=20), st.sampled_from(["", "'no'"]))
    def test_nothing_breaks_it(self, service: str, shreds: list[bytes], refuse: str) -> None:
        """Any octets: no exception, well-formed replies of ours alone, and no more is kept than a line."""
        player = Player(service, refuse=refuse)
        for shred in shreds:
            player.send(shred)
            self.assertLessEqual(len(player.core.incoming), 500)
        for line in player.said.split(b"\r\n")[:-1]:
            self.assertTrue(_LINE.fullmatch(line), line)
        self.assertTrue(player.said.endswith(b"\r\n"))

    @settings(max_examples=200)
    @given(
        st.lists(st.sampled_from(sorted(set(VERBS) - {b"BDAT", b"STARTTLS", b"AUTH", b"DATA", b"QUIT"})), max_size=15)
    )
    def test_one_reply_a_command(self, verbs: list[bytes]) -> None:
        """As many replies as commands, plus the greeting."""
        player = Player()
        player.send(b"".join(verb + b" x\r\n" for verb in verbs))
        self.assertEqual(len(player.codes()), 1 + len(verbs))

    def test_errors_end_it(self) -> None:
        """The last error is answered by 421, and nothing more is read."""
        player = Player(errors=3)
        player.send(b"A\r\nB\r\nC\r\nNOOP\r\n")
        self.assertEqual(player.codes(), [220, 500, 500, 421])
        self.assertEqual(player.events, [events.CutOff("too many errors")])
        self.assertTrue(player.core.closed)

    def test_content_behind_a_refused_data(self) -> None:
        """A client that sends content although DATA was refused is cut off before any of it is run."""
        player = Player(refuse="'no'")
        player.send(
            b"EHLO a\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<no@b.test>\r\nDATA\r\nReceived: x\r\nMAIL FROM:<evil@y.test>\r\n.\r\n"
        )
        self.assertEqual(player.codes(), [220, 250, 250, 550, 554, 554])
        self.assertTrue(player.core.closed)

    def test_starttls_and_something_behind(self) -> None:
        """Octets behind STARTTLS in the same segment end the session; STARTTLS itself is never run."""
        for behind in (b"E", b"RSET\r\n", b"EHLO b\r\nMAIL FROM:<x@y.test>\r\n", b"\x16\x03\x01"):
            player = Player()
            player.send(b"EHLO a\r\nSTARTTLS\r\n" + behind)
            self.assertEqual(player.codes(), [220, 250, 554])
            self.assertTrue(player.core.closed)
            self.assertNotIn(events.StartTls(), player.events)

    def test_tls_forgets(self) -> None:
        """After TLS the machine is as new."""
        player = Player()
        player.send(b"EHLO a\r\nSTARTTLS\r\n")
        self.assertIs(player.core.state, State.TLS)
        player.send(b"MAIL FROM:<x@y.test>\r\n")
        self.assertEqual(player.codes(), [220, 250, 250])
        player.core.tls_started()
        player.send(b"NOOP\r\nMAIL FROM:<x@y.test>\r\nEHLO a\r\nSTARTTLS\r\n")
        self.assertEqual(player.codes()[3:], [250, 503, 250, 503])

    def test_auth_line_lengths(self) -> None:
        """An AUTH line may be longer than others; in an exchange a line too long ends the exchange."""
        player = Player("submissions")
        player.send(b"EHLO a\r\nAUTH PLAIN " + b"A" * 300 + b"\r\n")
        player.send(b"AUTH PLAIN " + b"A" * 500 + b"\r\n")
        player.send(b"AUTH PLAIN\r\n" + b"A" * 500 + b"\r\nNOOP\r\n")
        self.assertEqual(player.codes(), [220, 250, 501, 500, 334, 500, 250])

    def test_a_huge_chunk_is_no_memory(self) -> None:
        """A refused BDAT of 10^19 octets is swallowed as it comes."""
        player = Player()
        player.send(b"BDAT 9999999999999999999\r\n")
        for _ in range(100):
            player.send(b"QUIT\r\n" * 100)
            self.assertEqual(len(player.core.incoming), 0)
        self.assertEqual(player.codes(), [220])

    def test_capabilities(self) -> None:
        """What is offered where: AUTH only for submission under TLS, STARTTLS only without."""
        table = {
            ("smtp", False): ({"STARTTLS"}, {"AUTH"}),
            ("smtp", True): (set(), {"AUTH", "STARTTLS"}),
            ("submission", False): ({"STARTTLS"}, {"AUTH"}),
            ("submission", True): ({"AUTH"}, {"STARTTLS"}),
            ("submissions", True): ({"AUTH"}, {"STARTTLS"}),
        }
        always = {"SIZE", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "CHUNKING", "SMTPUTF8", "DSN"}
        for (service, tls), (has, has_not) in table.items():
            offered = dict(capabilities(Terms(SERVICES[service], "mx", message_size=7), tls))
            self.assertEqual(offered.keys() & (always | has | has_not), always | has, (service, tls))
            self.assertEqual(offered["SIZE"], "7")
        self.assertNotIn("STARTTLS", dict(capabilities(Terms(SERVICES["smtp"], "mx", tls_available=False), False)))

    def test_answers_are_owed_once(self) -> None:
        """Asking on before answering, or answering twice, is a mistake of ours and said at once."""
        player = Player()
        player.core.receive(b"EHLO a\r\nMAIL FROM:<>\r\n")
        self.assertIsInstance(player.core.next_event(), events.Hello)
        self.assertIsInstance(player.core.next_event(), events.Mail)
        self.assertRaises(RuntimeError, player.core.next_event)
        player.core.answer(Reply(250, "", "Ok"))
        self.assertRaises(RuntimeError, player.core.answer, Reply(250, "", "Ok"))
