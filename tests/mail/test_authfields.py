"""Our own results, read again from a kept message."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.authfields import seen_senders, seen_words, without_comments

OURS = (
    b"Authentication-Results: mx.home.test; iprev=pass policy.iprev=192.0.2.10;\n\tspf=pass smtp.mailfrom=a@far.test;\n"
    b"\tdmarc=pass (p=reject) header.from=far.test\n"
)


class AuthFieldsTests(SynchronousTestCase):
    """What we said, and nobody else."""

    def test_sender(self) -> None:
        """The domain that passed, and the address; of our field only."""
        self.assertEqual(seen_senders(OURS + b"\nbody", "mx.home.test"), (frozenset({"far.test"}), "192.0.2.10"))
        self.assertEqual(seen_senders(OURS + b"\nbody", "other.test"), (frozenset(), ""))
        failed = OURS.replace(b"dmarc=pass", b"dmarc=fail").replace(b"spf=pass", b"spf=softfail")
        self.assertEqual(seen_senders(failed + b"\n", "mx.home.test"), (frozenset(), "192.0.2.10"))

    def test_what_passed_without_a_policy(self) -> None:
        """SPF and DKIM name their domains, too."""
        ours = (
            b"Authentication-Results: mx.home.test; spf=pass smtp.mailfrom=bounce@a.test;\n\tdkim=pass header.d=b.test\n"
            b"\theader.a=rsa-sha256; dkim=fail header.d=c.test; dmarc=none header.from=d.test\n"
        )
        self.assertEqual(seen_senders(ours + b"\n", "mx.home.test")[0], frozenset({"a.test", "b.test"}))

    def test_comments_and_quotes(self) -> None:
        """What stands in a comment, in one within another, or in quotes divides nothing and says nothing."""
        for value, expected in (
            (b"a (b) c", b"a   c"),
            (b"a (b (c) ; d) e", b"a   e"),
            (b"a (\\) ; b) c", b"a   c"),
            (b'x="; dmarc=pass y" z', b'x="__dmarc=pass_y" z'),
            (b'"m\\x.home.test"; y', b'"mx.home.test"; y'),
            (b'"a(b" c', b'"a(b" c'),
            (b"a (b", b"a  "),
            (b"a) b\\", b"a) b\\"),
        ):
            self.assertEqual(without_comments(value), expected, value)
        quoted = b'mx.home.test; spf=pass smtp.mailfrom="; dmarc=pass header.from=bank.test "@far.test'
        nested = b"mx.home.test; spf=pass (far (far) ; dmarc=pass header.from=bank.test )"
        at = b'mx.home.test; spf=pass smtp.mailfrom="x@bank.test"@far.test'
        for value, passed in ((quoted, {"far.test"}), (nested, set()), (at, {"far.test"})):
            field = b"Authentication-Results: " + value + b"\n\n"
            self.assertEqual(seen_words(field, "mx.home.test"), ("spf pass",))
            self.assertEqual(seen_senders(field, "mx.home.test"), (frozenset(passed), ""))

    def test_words(self) -> None:
        """Methods and results."""
        self.assertEqual(seen_words(OURS, "mx.home.test"), ("dmarc pass", "iprev pass", "spf pass"))
