"""One attempt: addresses in turn, kept connections, hosts that drop or stay silent, and the journal's words."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events.relay import HostFailed, MailDeferred, MailRefused, MailSent
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.outcome import Result
from tests.relay.scene import BODY, HEADER, WIRE, Scene

D, T, F = Result.DELIVERED, Result.TRY_AGAIN, Result.FAILED


class CarryTests(SynchronousTestCase):
    def test_delivered(self) -> None:
        """The content arrives octet for octet, and the outcome names host and reply."""
        scene = Scene()
        host = scene.host("192.0.2.1")
        (outcome,) = scene.carry()
        self.assertEqual(host.mails, [("ann@a.example", ("bob@b.example",), WIRE)])
        self.assertEqual(
            (outcome.result, outcome.host, str(outcome.reply), outcome.remote, outcome.tls),
            (D, "mx1.b.example [192.0.2.1]", "250 2.0.0 kept", True, ""),
        )
        (event,) = scene.journal.of(MailSent)
        self.assertEqual((event.trace, event.recipient, event.host), ("trace1", "bob@b.example", outcome.host))

    def test_octet_by_octet(self) -> None:
        """The same when every octet comes alone."""
        scene = Scene()
        scene.net.cut = 1
        host = scene.host("192.0.2.1")
        self.assertEqual([o.result for o in scene.carry("bob@b.example", "cy@b.example")], [D, D])
        self.assertEqual(len(host.mails), 1)

    def test_mixed(self) -> None:
        """Each recipient has an outcome of its own, and an event."""
        scene = Scene()
        answers = {"no@b.example": "550 5.1.1 unknown", "later@b.example": "451 4.7.1 greylisted"}
        host = scene.host("192.0.2.1", answers=answers)
        outcomes = scene.carry("no@b.example", "bob@b.example", "later@b.example")
        self.assertEqual([o.result for o in outcomes], [F, D, T])
        self.assertEqual(host.mails[0][1], ("bob@b.example",))
        self.assertIn("spelled", outcomes[0].reason)
        self.assertIn("greylisting", outcomes[2].reason)
        self.assertEqual([len(scene.journal.of(kind)) for kind in (MailSent, MailRefused, MailDeferred)], [1, 1, 1])

    def test_next_exchanger(self) -> None:
        """A host that refuses connections, greets badly or drops before the content is passed over."""
        for answers in (None, {"greeting": "554 no"}, {"greeting": "drop"}, {"EHLO": "421 busy"}, {"MAIL": "drop"},
                        {"RCPT": "421 closing"}, {"DATA": "drop"}):  # fmt: skip
            scene = Scene()
            if answers is not None:
                scene.host("192.0.2.1", answers=answers)
            second = scene.host("192.0.2.2")
            (outcome,) = scene.carry()
            self.assertEqual((outcome.result, len(second.mails)), (D, 1), str(answers))
            self.assertEqual(outcome.host, "mx2.b.example [192.0.2.2]")

    def test_drop_at_each_stage(self) -> None:
        """With no other host, a drop anywhere means: try again, with a reason."""
        for verb in ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "."):
            scene = Scene()
            scene.host("192.0.2.3", answers={verb: "drop"})
            (outcome,) = scene.carry("bob@c.example")
            self.assertEqual((outcome.result, outcome.remote), (T, False), verb)
            self.assertTrue(outcome.reason, verb)
            self.assertEqual(scene.net.ends, [], verb)

    def test_after_the_content_no_other_host(self) -> None:
        """What may have arrived is not given to another host in the same attempt."""
        scene = Scene()
        scene.host("192.0.2.1", answers={".": "drop"})
        second = scene.host("192.0.2.2")
        (outcome,) = scene.carry()
        self.assertEqual((outcome.result, second.connections), (T, 0))
        self.assertIn("arrive twice", outcome.reason)

    def test_refusals_are_final_for_this_attempt(self) -> None:
        """A 4yz or 5yz to the recipient is that recipient's outcome; the next exchanger is not asked."""
        for reply, result in (("450 later", T), ("550 no", F)):
            scene = Scene()
            scene.host("192.0.2.1", answers={"RCPT": reply})
            second = scene.host("192.0.2.2")
            self.assertEqual(scene.carry()[0].result, result)
            self.assertEqual(second.connections, 0)

    def test_silence(self) -> None:
        """Each wait ends after its time (RFC 5321 §4.5.3.2), and says for what."""
        for verb, seconds, words in (
            ("greeting", 300, "the greeting"),
            ("EHLO", 300, "the reply to EHLO"),
            ("MAIL", 300, "MAIL or RCPT"),
            ("RCPT", 300, "MAIL or RCPT"),
            ("DATA", 120, "the reply to DATA"),
            (".", 600, "the reply to the message"),
        ):
            scene = Scene()
            scene.host("192.0.2.3", answers={verb: "silent"})
            going = scene.start("bob@c.example")
            scene.clock.advance(seconds - 1)
            scene.net.pump()
            self.assertNoResult(going)
            scene.clock.advance(2)
            scene.net.pump()
            (outcome,) = scene.result(going)
            self.assertEqual(outcome.result, T, verb)
            self.assertIn(words, outcome.reason)
            self.assertEqual((scene.net.ends, scene.clock.getDelayedCalls()), ([], []), verb)

    def test_whole_attempt_bounded(self) -> None:
        """All waits together end too, and the connection is closed."""
        scene = Scene(carry_seconds=200.0)
        scene.host("192.0.2.3", answers={"MAIL": "silent"})
        going = scene.start("bob@c.example")
        scene.clock.advance(201)
        scene.net.pump()
        self.assertEqual(scene.result(going)[0].result, T)
        self.assertEqual((scene.net.ends, scene.clock.getDelayedCalls()), ([], []))

    def test_cancelled(self) -> None:
        """An attempt that is cancelled closes its connection."""
        scene = Scene()
        scene.host("192.0.2.3", answers={"MAIL": "silent"})
        going = scene.start("bob@c.example")
        going.cancel()
        scene.net.pump()
        self.failureResultOf(going)
        self.assertEqual((scene.net.ends, scene.clock.getDelayedCalls()), ([], []))

    def test_dead_host_remembered(self) -> None:
        """An address that could not be reached is passed over for a while; ``forget`` ends that."""
        scene = Scene()
        self.assertIn("refused", scene.carry("bob@c.example")[0].reason)
        scene.carry("bob@c.example")
        self.assertEqual(len(scene.net.dialled), 1)
        scene.clock.advance(61)
        scene.carry("bob@c.example")
        self.assertEqual(len(scene.net.dialled), 2)
        scene.relay.forget()
        host = scene.host("192.0.2.3")
        self.assertEqual(scene.carry("bob@c.example")[0].result, D)
        self.assertEqual(host.connections, 1)
        self.assertEqual({event.trouble for event in scene.journal.of(HostFailed)}, {"no connection"})

    def test_names(self) -> None:
        """What names cannot say: null MX and NXDOMAIN fail, a silent name server means later."""
        for address, result, code in (
            ("a@null.example", F, "556 5.1.10"),
            ("a@nowhere.example", F, "550 5.1.2"),
            ("a@broken.example", T, "451 4.4.3"),
        ):
            (outcome,) = Scene().carry(address)
            self.assertEqual((outcome.result, str(outcome.reply)[: len(code)]), (result, code))
            self.assertTrue(outcome.reason)

    def test_no_route(self) -> None:
        """With neither smarthost nor direct mail waits, and the reason says what to set."""
        scene = Scene(direct=False)
        (outcome,) = scene.carry()
        self.assertEqual(outcome.result, T)
        self.assertIn("[relay] smarthost", outcome.reason)
        self.assertEqual(scene.net.dialled, [])

    def test_521(self) -> None:
        """A host that takes no mail at all (RFC 7504) fails the message when it is the only one."""
        scene = Scene()
        scene.host("192.0.2.3", answers={"greeting": "521 no mail here"})
        self.assertEqual(scene.carry("bob@c.example")[0].result, F)


class PoolTests(SynchronousTestCase):
    """Connections are kept for the next message."""

    def test_reused(self) -> None:
        """Two messages go over one connection, which closes politely when idle."""
        scene = Scene()
        host = scene.host("192.0.2.1")
        scene.carry()
        scene.carry("cy@b.example")
        self.assertEqual((host.connections, len(host.mails)), (1, 2))
        self.assertNotIn("QUIT", host.commands)
        scene.clock.advance(16)
        scene.net.pump()
        self.assertEqual(host.commands[-1], "QUIT")
        self.assertEqual((scene.net.ends, scene.clock.getDelayedCalls()), ([], []))

    def test_reset_after_refusal(self) -> None:
        """After a message nobody took, the next one begins with RSET."""
        scene = Scene()
        host = scene.host("192.0.2.1", answers={"no@b.example": "550 no"})
        scene.carry("no@b.example")
        self.assertEqual(scene.carry()[0].result, D)
        self.assertEqual((host.connections, host.commands.count("RSET")), (1, 1))

    def test_died_while_resting(self) -> None:
        """A kept connection that turns out dead is replaced at once, unnoticed."""
        scene = Scene()
        host = scene.host("192.0.2.1")
        scene.carry()
        host.answers["MAIL"] = "drop"
        going = scene.start()
        self.assertEqual(scene.result(going)[0].result, T)
        self.assertEqual(host.connections, 2)
        host.answers.clear()
        self.assertEqual(scene.carry()[0].result, D)

    def test_closed_by_the_host(self) -> None:
        """A host that says 421 while idle is not used again."""
        scene = Scene()
        host = scene.host("192.0.2.1")
        scene.carry()
        (far,) = [end for end in scene.net.ends if not end.is_client]
        far.write(b"421 4.4.2 idle too long\r\n")
        far.loseConnection()
        scene.net.pump()
        self.assertEqual(scene.carry()[0].result, D)
        self.assertEqual(host.connections, 2)

    def test_bounds(self) -> None:
        """Messages per connection and idle connections are bounded; stop says goodbye to all."""
        scene = Scene(messages_per_connection=2, most_idle=1)
        host, other = scene.host("192.0.2.1"), scene.host("192.0.2.3")
        for _ in range(3):
            scene.carry()
        self.assertEqual((host.connections, host.commands.count("QUIT")), (2, 1))
        scene.carry("bob@c.example")
        self.assertEqual(host.commands.count("QUIT"), 2)
        scene.relay.stop()
        scene.net.pump()
        self.assertEqual((other.commands[-1], scene.net.ends), ("QUIT", []))


class CargoTests(SynchronousTestCase):
    """Large messages come from the spool file in slices."""

    def test_spooled(self) -> None:
        """A spooled body arrives whole while the connection never holds much of it."""
        body = BODY * 200_000
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"prefix" + body)
        scene = Scene()
        host = scene.host("192.0.2.3")
        content = Content(HEADER, SpooledBody(path, 6, len(body)), (HEADER + body).count(b"\n"))
        going = scene.start("bob@c.example", content=content)
        self.assertEqual(scene.result(going)[0].result, D)
        self.assertEqual(host.mails[0][2], (HEADER + body).replace(b"\n", b"\r\n"))
        self.assertGreater(scene.workers.doors.count("disk"), len(body) // 131072)

    def test_pause_does_not_outlive_the_message(self) -> None:
        """A connection that was full at one message's end carries the next one."""
        scene = Scene()
        host = scene.host("192.0.2.3")
        content = Content(HEADER, BODY * 15_000, (HEADER + BODY * 15_000).count(b"\n"))
        for _ in range(3):
            self.assertEqual(scene.carry("bob@c.example", content=content)[0].result, D)
        self.assertEqual((host.connections, len(host.mails)), (1, 3))

    def test_memory_stays_flat(self) -> None:
        """A host that reads slowly makes us wait, not buffer."""
        body = b"x" * 70 + b"\n"
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(body * 100_000)
        scene = Scene()
        scene.host("192.0.2.3")
        ends = scene.net.ends
        content = Content(HEADER, SpooledBody(path, 0, len(body) * 100_000), 100_003)
        scene.result(scene.start("bob@c.example", content=content))
        self.assertLess(max(end.most_waiting for end in ends), 600_000)

    def test_lost_file(self) -> None:
        """A spool file that is gone or short means: try again; the content is never ended by a dot line."""
        path = self.mktemp()
        for octets in (None, b"short"):
            if octets is not None:
                with open(path, "wb") as file:
                    file.write(octets)
            scene = Scene()
            host = scene.host("192.0.2.3")
            content = Content(HEADER, SpooledBody(os.path.abspath(path), 0, 300_000), 5000)
            (outcome,) = scene.carry("bob@c.example", content=content)
            self.assertEqual((outcome.result, host.mails, scene.net.ends), (T, [], []))
            self.assertIn("cannot be read", outcome.reason)
