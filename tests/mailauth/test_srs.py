"""SRS: there and back again, and nobody else's."""

from __future__ import annotations

import string

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import LOCAL_PART_OCTETS, Address
from mailbox_appliance.mailauth.srs import Srs, SrsError

NOW = 1_763_800_000.0
DAY = 86_400.0
OURS = Srs("home.test", (b"k" * 32,))
THEIRS = Srs("other.test", (b"o" * 32,))
LOCALS = st.text(string.ascii_letters + string.digits + ".+-=_", min_size=1, max_size=24)
DOMAINS = st.sampled_from(["example.org", "a-b.example.net", "xn--bcher-kva.example"])


class SrsTests(SynchronousTestCase):
    """Properties and traps."""

    @settings(max_examples=200)
    @given(LOCALS, DOMAINS, st.integers(0, 21), st.integers(0, 2**31))
    def test_round_trip(self, local: str, domain: str, days: int, now: int) -> None:
        """What we rewrite comes back as it was, whatever case it came in, while it is fresh."""
        assume(local[:4].lower() not in ("srs0", "srs1"))
        sender = Address(local, domain)
        rewritten = OURS.rewrite(sender, now)
        self.assertEqual(rewritten.domain, "home.test")
        self.assertLessEqual(len(rewritten.local), LOCAL_PART_OCTETS)
        self.assertEqual(OURS.restore(rewritten, now + days * DAY), sender)
        shouted = OURS.restore(Address(rewritten.local.upper(), "home.test"), now)
        self.assertEqual(shouted.folded(), sender.folded())

    @settings(max_examples=200)
    @given(st.integers(0, 60), st.sampled_from(string.ascii_letters + string.digits + "=+-"))
    def test_any_change_is_seen(self, place: int, sign: str) -> None:
        """One sign changed, and it is not ours."""
        local = OURS.rewrite(Address("ann", "example.org"), NOW).local
        place %= len(local)
        changed = local[:place] + sign + local[place + 1 :]
        assume(changed.lower() != local.lower())
        # The sign behind SRS0 may be any of three.
        assume(not (place == 4 and sign in "=+-"))
        with self.assertRaises(SrsError):
            OURS.restore(Address(changed, "home.test"), NOW)

    @settings(max_examples=200)
    @given(st.text(max_size=64))
    def test_any_local_part(self, local: str) -> None:
        """Whatever comes, it is SrsError."""
        for start in ("", "SRS0=", "srs1="):
            with self.assertRaises(SrsError):
                OURS.restore(Address(start + local, "home.test"), NOW)

    def test_expiry(self) -> None:
        """22 days later it is worth nothing; a clock that is a day behind does no harm."""
        rewritten = OURS.rewrite(Address("ann", "example.org"), NOW)
        OURS.restore(rewritten, NOW + 21 * DAY)
        OURS.restore(rewritten, NOW - DAY)
        for later in (22 * DAY, 400 * DAY, -3 * DAY):
            with self.assertRaises(SrsError):
                OURS.restore(rewritten, NOW + later)

    def test_old_keys(self) -> None:
        """After a change of keys the old addresses still lead home."""
        rewritten = OURS.rewrite(Address("ann", "example.org"), NOW)
        self.assertEqual(Srs("home.test", (b"n" * 32, b"k" * 32)).restore(rewritten, NOW).local, "ann")
        with self.assertRaises(SrsError):
            Srs("home.test", (b"n" * 32,)).restore(rewritten, NOW)

    def test_a_row_of_forwarders(self) -> None:
        """Through three of them it stays short, and the bounce goes to the first, who knows the way."""
        third = Srs("third.test", (b"t" * 32,))
        first = THEIRS.rewrite(Address("ann", "example.org"), NOW)
        second = OURS.rewrite(first, NOW)
        self.assertTrue(second.local.startswith("SRS1="))
        self.assertEqual(OURS.restore(second, NOW), first)
        last = third.rewrite(second, NOW)
        self.assertTrue(last.local.startswith("SRS1="))
        self.assertEqual(third.restore(last, NOW), first)
        self.assertEqual(THEIRS.restore(first, NOW), Address("ann", "example.org"))

    def test_no_rewriting(self) -> None:
        """Our own senders stay; what would be too long is said."""
        self.assertEqual(OURS.rewrite(Address("ann", "home.test"), NOW), Address("ann", "home.test"))
        with self.assertRaises(SrsError):
            OURS.rewrite(Address("x" * 60, "example.org"), NOW)
        self.assertFalse(OURS.is_rewritten(Address("ann", "home.test")))
        self.assertNotIn("k" * 8, repr(OURS))
