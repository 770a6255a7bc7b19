"""How long a peer may take: what counts against it, what does not, and what the journal is told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events import smtp as told
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.smtp.limits import KNOWN, NEIGHBOURS, STRANGERS, Limits
from mailbox_appliance.smtp.patience import Stay, room_for
from tests.smtp.stage import DEVICE, House, code, talk

TO_RCPT = ("EHLO a.test", "MAIL FROM:<x@y.test>", "RCPT TO:<ann@example.org>")
MESSAGE = b"From: x@y.test\r\n\r\nhello\r\n.\r\n"


class StayTests(SynchronousTestCase):
    """The arithmetic."""

    def test_rooms(self) -> None:
        """By origin; and the figures that were promised."""
        rooms = {origin: room_for(Limits(), origin) for origin in Origin}
        self.assertEqual(rooms.pop(Origin.WAN), STRANGERS)
        self.assertEqual((rooms.pop(Origin.LOCAL), rooms.pop(Origin.PAIRED)), (NEIGHBOURS, NEIGHBOURS))
        self.assertEqual(set(rooms.values()), {KNOWN})
        self.assertEqual((STRANGERS.commands, STRANGERS.stay, STRANGERS.silence, STRANGERS.rate), (20, 900, 90, 200))
        self.assertEqual((KNOWN.commands, KNOWN.stay, KNOWN.silence, KNOWN.rate), (100, 0, 300, 20))

    def test_rate(self) -> None:
        """At the rate it may go on; below it the silence is used up, above it never more than that is won back."""
        stay = Stay(STRANGERS, 0)
        for _ in range(100):
            stay.waited_for_content(1, 200)
        self.assertEqual(stay.until(0), 90)
        stay.waited_for_content(1, 1_000_000)
        self.assertEqual(stay.until(0), 90)
        for _ in range(91):
            self.assertFalse(stay.is_too_slow)
            stay.waited_for_content(1.0, 0)
        self.assertTrue(stay.is_too_slow)
        stay.content_begins()
        self.assertFalse(stay.is_too_slow)

    def test_in_all(self) -> None:
        """Content at a crawl, though above the rate, ends; a large message at 2,000 octets a second goes through."""
        crawl = Stay(STRANGERS, 50_000_000)
        seconds = next(second for second in range(10_000) if crawl.is_too_slow or crawl.waited_for_content(1, 300))
        self.assertEqual(seconds, 706)
        steady = Stay(STRANGERS, 50_000_000)
        for _ in range(25_000):
            steady.waited_for_content(1, 2000)
        self.assertFalse(steady.is_too_slow)
        for _ in range(601):
            steady.waited_for_content(1, 2000)  # more than a message may have wins no time
        self.assertTrue(steady.is_too_slow)

    def test_neighbours(self) -> None:
        """Nobody at home is measured."""
        stay = Stay(NEIGHBOURS, 0)
        stay.waited(1e9)
        stay.waited_for_content(1e9, 0)
        self.assertFalse(stay.is_over or stay.is_too_slow)


class PatienceTests(SynchronousTestCase):
    """At the door."""

    def setUp(self) -> None:
        self.house = House()
        self.addCleanup(self.house.close)

    def _reasons(self) -> list[str]:
        return [event.reason for event in self.house.journal.of(told.CutShort)]

    def test_more_room(self) -> None:
        """Who has logged in, and a device of the house, may say a hundred idle words, over hours."""
        for connect in (self.house.user, lambda: self.house.peer(address=DEVICE)):
            peer = connect()
            talk(peer, "EHLO a.test")
            for _ in range(98):
                self.house.clock.advance(250)
                self.assertEqual(code(talk(peer, "NOOP")), "250 2.0.0")
            self.assertIn("421 4.7.0", talk(peer, "NOOP", "NOOP"))
        self.assertEqual(self._reasons(), ["too many commands without a message"] * 2)

    def test_a_kept_connection(self) -> None:
        """A list host that keeps its connection, with RSET and NOOP between messages, never suffers."""
        peer = self.house.peer()
        talk(peer, "EHLO a.test")
        for _ in range(30):
            self.assertEqual(code(talk(peer, "RSET", "NOOP", *TO_RCPT[1:], "DATA", MESSAGE)), "250 2.0.0")
            self.house.clock.advance(280)
        self.assertFalse(peer.closed())

    def test_drip(self) -> None:
        """What is reported of an octet every four seconds; BDAT is no way around."""
        for begin in (b"DATA\r\n", b"BDAT 5000\r\n", b"BDAT 15000000\r\n"):
            peer = self.house.peer()
            talk(peer, *TO_RCPT, begin)
            began = self.house.clock.seconds()
            while not peer.closed():
                peer.send(b"x")
                self.house.clock.advance(4)
            self.assertEqual(peer.taken()[:9], b"421 4.4.2", begin)
            self.assertLess(self.house.clock.seconds() - began, 100)
            peer.hang_up()
        self.assertEqual(self._reasons(), ["sent content too slowly"] * 3)
        self.assertEqual(self.house.acceptance.parcels, [])

    def test_transactions_without_end(self) -> None:
        """Recipients named for ever win no time; ``MAIL`` and ``RSET`` neither."""
        peer = self.house.peer()
        talk(peer, *TO_RCPT[:2])
        said = ""
        for _ in range(40):
            self.house.clock.advance(100)
            said = talk(peer, "RCPT TO:<ann@example.org>")
            if peer.closed():
                break
        self.assertEqual(said.splitlines()[-1], "421 4.7.0 No message for too long, closing")
        self.assertEqual(self._reasons(), ["brought no message for too long"])

    def test_put_off(self) -> None:
        """Recipients refused for now end it, too, after as many as a message may have."""
        house = House(recipients=5)
        self.addCleanup(house.close)
        peer = house.peer()
        talk(peer, *TO_RCPT, *(f"RCPT TO:<ann+{number}@example.org>" for number in range(4)))
        said = [code(talk(peer, "RCPT TO:<bob@example.org>")) for _ in range(6)]
        self.assertEqual(said, ["452 4.5.3"] * 5 + ["421 4.7.0"])

    def test_our_own_time(self) -> None:
        """Our pauses and our acceptance do not count against the peer."""
        house = self.house
        house.guard.tarpit = lambda address: 200.0  # type: ignore[method-assign]
        peer = house.peer()
        talk(peer, *TO_RCPT)
        for _ in range(8):
            self.assertEqual(talk(peer, "RCPT TO:<nobody@example.org>"), "")
            house.clock.advance(200)
            self.assertEqual(peer.taken()[:9], b"550 5.1.1")
        house.acceptance.slow = True
        self.assertEqual(code(talk(peer, "DATA")), "354 Send")
        peer.send(MESSAGE)
        house.clock.pump([100] * 10)
        house.acceptance.go()
        self.assertEqual(peer.taken()[:3], b"250")
        self.assertFalse(peer.closed())

    def test_too_large_chunk(self) -> None:
        """Reported as a refused message; of content that came before nothing is kept."""
        peer = self.house.peer()
        talk(peer, *TO_RCPT, b"BDAT 18\r\nFrom: x@y.test\r\n\r\n")
        self.assertEqual(code(talk(peer, "BDAT 4000000000 LAST")), "552 5.3.4")
        self.assertTrue(peer.closed())
        (event,) = self.house.journal.of(told.MessageRefused)
        self.assertEqual((event.size, event.told[:9]), (4_000_000_018, "552 5.3.4"))
        self.assertEqual(self.house.acceptance.parcels, [])

    def test_mail_put_off(self) -> None:
        """A sender put off again and again is told 421 in the end, in place of one of the replies."""
        peer = self.house.user()
        peer.hang_up()
        peer = self.house.peer()
        talk(peer, "EHLO a.test")
        core = self.house.station._doors.copy().pop()._session._core  # type: ignore[union-attr]
        for _ in range(19):
            core.receive(b"MAIL FROM:<x@y.test>\r\n")
            self.assertIsNotNone(core.next_event())
            core.answer(Reply(451, "4.7.1", "Later"))
        self.assertEqual(core.take_output().count(b"451 "), 19)
        core.receive(b"MAIL FROM:<x@y.test>\r\n")
        core.next_event()
        core.answer(Reply(451, "4.7.1", "Later"))
        self.assertEqual(core.take_output()[:9], b"421 4.7.0")
        self.assertTrue(core.closed)
