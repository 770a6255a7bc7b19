"""Which names are worth ordering; when; and which tokens are served."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.acme.names import public_addresses, split_names
from mailbox_appliance.acme.schedule import RETRY_AFTER, renewal_moment, retry_delay
from mailbox_appliance.acme.tokens import MOST_TOKENS, ChallengeTokens, is_token
from mailbox_appliance.ports.dns import Answer, Status
from tests.kit.fake_dns import FakeDns

ZONE = "mx.example. A 198.51.100.1\nsix.example. AAAA 2001:db8::1\nweb.example. A 203.0.113.9\n"


class _Broken:
    def look_up(self, name: str, rdtype: str) -> Deferred[Answer]:
        return succeed(Answer(Status.TEMPERROR, reason="silent"))


class NamesTests(SynchronousTestCase):
    def split(
        self, *names: str, own: tuple[str, ...] = (), resolver: object = None
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        coroutine = split_names(names, resolver or FakeDns(ZONE), frozenset(own))  # type: ignore[arg-type]
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def test_split(self) -> None:
        """A name must have an address, and ours if we know ours; a silent name server decides nothing."""
        ours = ("198.51.100.1", "2001:db8::1")
        good, left_out = self.split("mx.example", "six.example", "web.example", "none.example", own=ours)
        self.assertEqual(good, ("mx.example", "six.example"))
        self.assertIn("203.0.113.9", left_out["web.example"])
        self.assertIn("no address", left_out["none.example"])
        good, left_out = self.split("web.example", "none.example")
        self.assertEqual((good, list(left_out)), (("web.example",), ["none.example"]))
        self.assertEqual(self.split("mx.example", own=ours, resolver=_Broken()), (("mx.example",), {}))

    def test_public_addresses(self) -> None:
        """Asked of the routing table alone; private ones are none."""
        self.assertTrue(all(not address.startswith(("10.", "127.", "192.168.")) for address in public_addresses()))

    @given(st.floats(0, 1), st.floats(86400, 4e7))
    def test_renewal(self, chance: float, life: float) -> None:
        """Between 2/3 and 0.69 of any life."""
        moment = renewal_moment(1000.0, 1000.0 + life, chance)
        self.assertTrue(life * 0.66 <= moment - 1000.0 <= life * 0.69)

    @given(st.integers(-5, 1000), st.floats(0, 1))
    def test_retry(self, failures: int, chance: float) -> None:
        """Never less than 48 s, never more than 1.2 days, longer with each failure."""
        self.assertTrue(47 <= retry_delay(failures, chance) <= 1.21 * 86400)
        self.assertEqual(sorted(RETRY_AFTER), list(RETRY_AFTER))

    def test_tokens(self) -> None:
        """Only well-formed tokens, only while they are wanted, only so many."""
        tokens = ChallengeTokens()
        good = "abcdefghijklmnop_-1"
        tokens.publish({good: "answer", "../../etc/passwd": "x", "short": "y", "a" * 300: "z"})
        self.assertEqual(tokens.answer(good), b"answer")
        for bad in ("../../etc/passwd", "short", "a" * 300, ""):
            self.assertIsNone(tokens.answer(bad))
            self.assertFalse(is_token(bad))
        tokens.publish({f"{number:020d}": "x" for number in range(2 * MOST_TOKENS)})
        self.assertIsNone(tokens.answer(f"{2 * MOST_TOKENS - 1:020d}"))
        tokens.withdraw({good: ""})
        self.assertIsNone(tokens.answer(good))
