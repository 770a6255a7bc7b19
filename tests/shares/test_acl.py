"""The file dovecot-acl: what a line grants, and that strange lines outlive us."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.rights import ALL, LETTERS, NoSuchRight, read_rights, spelled, told
from mailbox_appliance.shares.acl import NOBODY, Acl, Entry, in_file, in_imap, read_acl, write_acl
from mailbox_appliance.shares.names import Where, level_of, located, name_of, owner_of

ANN, BEN, EVE = Address("ann", "example.org"), Address("ben", "example.org"), Address("eve", "club.example")
RIGHTS = st.frozensets(st.sampled_from(LETTERS))


class AclFileTests(SynchronousTestCase):
    """As Dovecot writes it."""

    def test_who_may_what(self) -> None:
        """One person's line takes the place of everybody's; negative rights are taken away last; the rest is nothing."""
        acl = read_acl(
            b"owner lr\nanyone lrs\nuser=ben@example.org lrw\n-user=ben@example.org w\n-anyone s\n"
            b"group=family lrswipkxtea\nuser=eve@club.example lr :named\n\n# a comment\nbroken\n"
        )
        self.assertEqual(spelled(acl.rights_of(BEN)), "lr")
        self.assertEqual(spelled(acl.rights_of(EVE)), "lr")
        self.assertEqual(spelled(acl.rights_of(ANN)), "lr")
        self.assertEqual(NOBODY.rights_of(BEN), frozenset())

    def test_everybody_twice(self) -> None:
        """Dovecot's authenticated is our anyone: all have logged in."""
        self.assertEqual(spelled(read_acl(b"anyone l\nauthenticated r\n").rights_of(BEN)), "lr")

    def test_changes_keep_what_is_strange(self) -> None:
        """Groups, comments and named rights stand as they stood."""
        octets = b'"user=a b@x" lr\ngroup=family lrs\n# a comment\nuser=eve@club.example lr :named\n'
        acl = read_acl(octets).with_entry("user=ben@example.org", frozenset("lr"))
        written = write_acl(acl.with_entry("user=eve@club.example", frozenset("l"))) or b""
        self.assertEqual(
            written,
            b'"user=a b@x" lr\ngroup=family lr\xff'.replace(b"\xff", b"s")
            + b"\nuser=eve@club.example l :named\nuser=ben@example.org lr\n# a comment\n",
        )
        self.assertIsNone(write_acl(read_acl(b"anyone lr\n").with_entry("anyone", frozenset())))

    def test_identifiers(self) -> None:
        """IMAP's and the file's, both ways; groups are told as Dovecot tells them."""
        for imap, file, negative in (
            ("anyone", "anyone", False),
            ("-anyone", "anyone", True),
            ("Ben@example.org", "user=ben@example.org", False),
            ("-ben@example.org", "user=ben@example.org", True),
        ):
            self.assertEqual(in_file(imap), (file, negative))
            self.assertEqual(in_imap(Entry(file, ALL, negative)), imap.lower())
        self.assertEqual(in_imap(Entry("group=family", ALL)), "$family")

    @given(st.binary(max_size=200))
    def test_any_octets(self, octets: bytes) -> None:
        """No file breaks the reader, and what was written reads the same."""
        acl = read_acl(octets)
        again = read_acl(write_acl(acl))
        self.assertEqual(read_acl(write_acl(again)), again)
        self.assertLessEqual(acl.rights_of(BEN), ALL)

    @given(RIGHTS, RIGHTS, RIGHTS)
    def test_round_trip(self, anyone: frozenset[str], ben: frozenset[str], never: frozenset[str]) -> None:
        """What is set is what counts after a new start."""
        acl = Acl().with_entry("anyone", anyone).with_entry("user=ben@example.org", ben)
        acl = read_acl(write_acl(acl.with_entry("user=ben@example.org", never, negative=True)))
        self.assertEqual(acl.rights_of(BEN), (ben or anyone) - never)
        self.assertEqual(acl.rights_of(EVE), anyone)
        self.assertEqual(acl.without("ben@example.org").rights_of(BEN), anyone)


class RightsTests(SynchronousTestCase):
    """Letters."""

    def test_obsolete_letters(self) -> None:
        """c and d stand for others, and are told beside them (RFC 4314 §2.1.1)."""
        self.assertEqual(spelled(read_rights("lcd")), "lkxte")
        self.assertEqual(told("lrx"), "lrxc")
        self.assertEqual(told("e"), "ed")
        self.assertRaises(NoSuchRight, read_rights, "lq")


class NameTests(SynchronousTestCase):
    """What people call each other's mailboxes."""

    def test_names(self) -> None:
        """Two ways of saying a person, by domain; both ways round."""
        dotted = Address("ann.b", "example.org")
        table = [
            (Where(ANN, "Holiday"), BEN, "Other Users.ann.Holiday"),
            (Where(ANN, "INBOX"), BEN, "Other Users.ann.INBOX"),
            (Where(ANN, "INBOX.deep"), BEN, "Other Users.ann.INBOX.deep"),
            (Where(dotted, "A.B"), BEN, "Other Users.ann^b.A.B"),
            (Where(EVE, "Pics"), BEN, "Other Users.eve@club^example.Pics"),
        ]
        for where, reader, name in table:
            self.assertEqual(name_of(where, reader), name)
            self.assertEqual(located(name, reader), where)
        self.assertEqual(located("Other Users.ann.inbox", BEN), Where(ANN, "INBOX"))

    def test_no_names(self) -> None:
        """What can be nobody's mailbox, one's own by a detour, or the store of the family."""
        for name in ("INBOX", "Shared", "Other Users", "Other Users.ann", "Other Users.ann.", "Other Users..x"):
            self.assertIsNone(located(name, BEN), name)
        for name in ("Other Users.ben.INBOX", "Other Users.family@_shared.Sent"):
            self.assertIsNone(located(name, BEN), name)

    @given(st.text(alphabet="abz09._+-", min_size=1, max_size=20), st.sampled_from(["example.org", "club.example"]))
    def test_levels(self, local: str, domain: str) -> None:
        """Every address that can be an account's is told apart from every other."""
        owner = Address(local, domain)
        level = level_of(owner, BEN)
        self.assertNotIn(".", level)
        if "" not in local.split("."):
            self.assertEqual(owner_of(level, BEN), owner)
