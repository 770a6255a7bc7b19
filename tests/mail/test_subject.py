"""Base subjects and the other keys of SORT and THREAD (RFC 5256)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail import subject as subjects
from mailbox_appliance.mail.addresses import addresses_of
from mailbox_appliance.mail.subject import (
    MOST_REFERENCES,
    base_subject,
    display_key,
    mailbox_key,
    message_ids,
    references_of,
)
from tests.kit.steps import lines_run

SUBJECTS: tuple[tuple[str, str, bool], ...] = (
    ("Hello", "HELLO", False),
    ("Re: Hello", "HELLO", True),
    ("RE:RE: re : Hello", "HELLO", True),
    ("Fw: Fwd: Hello (fwd) (FWD)", "HELLO", True),
    ("[list] Hello", "HELLO", False),
    ("Re: [list] Re: [list] Hello", "HELLO", True),
    ("[list] [other] Re: Hello", "HELLO", True),
    ("Re [3]: Hello", "HELLO", True),
    ("[Fwd: Re: Hello]", "HELLO", True),
    ("[Fwd: [Fwd: Hello]]", "HELLO", True),
    ("[list]", "[LIST]", False),
    ("Re:", "", True),
    ("", "", False),
    ("  a \t b  ", "A B", False),
    ("Recipe: soup", "RECIPE: SOUP", False),
    ("Reply", "REPLY", False),
)


class SubjectTests(SynchronousTestCase):
    def test_base_subject(self) -> None:
        """RFC 5256 §2.1, row by row."""
        for subject, base, is_reply in SUBJECTS:
            self.assertEqual(base_subject(subject), (base, is_reply), subject)

    def test_hundreds_of_blobs(self) -> None:
        """They are passed once, not once for each of them."""
        self.assertEqual(base_subject("[a] " * 200 + "x")[0], "X")
        self.assertEqual(base_subject("[a] " * 200)[0], "[A]")
        self.assertLess(lines_run(subjects, lambda: base_subject("[a] " * 200 + "x")), 2_000)

    @given(st.lists(st.sampled_from(["re", ":", "[", "]", "fwd", "fw", " ", "(fwd)", "x", "\t", "[Fwd:"])).map("".join))
    @settings(max_examples=300, deadline=None)
    def test_base_of_base(self, subject: str) -> None:
        """The base subject of a base subject is itself."""
        base, _ = base_subject(subject)
        self.assertEqual(base_subject(base)[0], base)

    def test_bounded(self) -> None:
        """Hostile subjects come to an end."""
        base_subject("re:" * 100_000)
        base_subject("[a]" * 100_000)
        base_subject("(fwd)" * 100_000)
        base_subject("[fwd:" * 100_000)

    def test_ids(self) -> None:
        """Ids without brackets; References before In-Reply-To; the oldest and the newest of very many."""
        self.assertEqual(message_ids(b"<a@b> junk <c@d>\r\n <e@f>"), [b"a@b", b"c@d", b"e@f"])
        self.assertEqual(message_ids(b'<"quoted"@b> no <nor this> <x'), [b"quoted@b"])
        self.assertEqual(references_of({b"references": [b"<a@b>"], b"in-reply-to": [b"<c@d>"]}), (b"a@b",))
        self.assertEqual(references_of({b"references": [b"junk"], b"in-reply-to": [b"<c@d> <e@f>"]}), (b"c@d",))
        self.assertEqual(references_of({}), ())
        many = message_ids(b"".join(b"<%d@x> " % number for number in range(1000)))
        self.assertEqual((len(many), many[0], many[-1]), (MOST_REFERENCES, b"0@x", b"999@x"))

    def test_keys(self) -> None:
        """SORT compares the local part, SORT=DISPLAY the name that is shown."""
        self.assertEqual(mailbox_key(addresses_of(b"Ann <zoe@x>, b@y")), "ZOE")
        self.assertEqual(mailbox_key([]), "")
        self.assertEqual(display_key(addresses_of(b"=?utf-8?q?=C3=84nn?= <zoe@x>")), "A\u0308NN")
        self.assertEqual(display_key(addresses_of(b"zoe@x")), "ZOE@X")
        self.assertEqual(display_key(addresses_of(b"Friends: zoe@x;")), "FRIENDS")
