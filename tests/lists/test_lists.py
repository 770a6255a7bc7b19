"""A family list from the first letter to the last: who may write, what goes out, joining and leaving, bounces."""

from __future__ import annotations

import re
from email import message_from_bytes, message_from_string

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events import lists as told
from mailbox_appliance.journal.events.delivery import Kept, Refused
from mailbox_appliance.lists import fields
from mailbox_appliance.lists.memory import HELD_KEPT, MOST_HELD
from mailbox_appliance.lists.rights import TABLE, Author
from mailbox_appliance.lists.tokens import DAYS
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Action, Verdict
from mailbox_appliance.ports.lists import PARTS
from mailbox_appliance.ports.users import AtList, Known, LocalMailbox
from tests.kit.post_office import now
from tests.lists.club import LIST, PROVEN, UNPROVEN, Club, Strict, letter, reply_to

EVE, CARL = "eve@far.example", "carl@far.example"
DAY = 86_400.0


class ListCase(SynchronousTestCase):
    def club(self, *members: str, **more: object) -> Club:
        club = Club(self.mktemp(), members, **more)
        self.addCleanup(club.close)
        return club

    def change(self, club: Club, **wanted: object) -> None:
        now(club.lists.change(LIST, wanted))


class PostTests(ListCase):
    """What goes out."""

    def test_everybody_gets_it(self) -> None:
        """Members here and elsewhere, each once, with the list's fields, the author's From and his text."""
        club = self.club("ann@example.org", "bob@example.org", EVE)
        self.assertEqual(club.write("bob@example.org"), 250)
        self.assertEqual([len(club.inbox(f"{one}@example.org")) for one in ("ann", "bob", "cleo")], [1, 1, 0])
        post = message_from_string(club.text(EVE))
        self.assertEqual((post["From"], post["Subject"]), ("bob@example.org", "Dinner"))
        self.assertEqual(post.get_payload(), "Come?\n")
        self.assertEqual(post["List-Id"], '"Our family" <family.example.org>')
        self.assertEqual(post["List-Post"], "<mailto:family@example.org>")
        self.assertEqual(post["Precedence"], "list")
        self.assertRegex(post["List-Unsubscribe"], r"^<mailto:family-unsubscribe\+\d+-[a-z2-7]{16}@example\.org>$")
        self.assertIsNone(post["List-Unsubscribe-Post"])
        (event,) = club.office.journal.of(told.Posted)
        self.assertEqual((event.members, event.trace), (3, club.sent(EVE)[0].trace))
        self.assertEqual((club.office.rows(), club.office.queue_files()), (0, []))

    def test_return_paths(self) -> None:
        """Each member's copy has a return path and a link of its own."""
        club = self.club(EVE, CARL, "ann@example.org")
        club.write("ann@example.org")
        paths = {str(club.sent(one)[0].envelope.reverse_path) for one in (EVE, CARL)}
        self.assertEqual(len(paths), 2)
        for path in paths:
            self.assertRegex(path, r"^family-bounces\+\d+-[a-z2-7]{16}@example\.org$")
        links = {message_from_string(club.text(one))["List-Unsubscribe"] for one in (EVE, CARL)}
        self.assertEqual(len(links), 2)

    def test_one_click(self) -> None:
        """With https each member has a link; whoever posts to it is out, and nobody else."""
        club = self.club(EVE, CARL, "ann@example.org", base=lambda: "https://mail.example.org/lists/leave/")
        club.write("ann@example.org")
        post = message_from_string(club.text(EVE))
        self.assertEqual(post["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click")
        token = re.search(r"<https://mail\.example\.org/lists/leave/([^>]+)>", post["List-Unsubscribe"])
        assert token is not None
        self.assertEqual(now(club.station.unsubscribe(token[1] + "x")), "")
        self.assertEqual(now(club.station.unsubscribe(token[1])), "Our family")
        self.assertEqual(now(club.station.unsubscribe(token[1])), "")
        self.assertEqual(club.members(), ["ann@example.org", CARL])

    def test_dmarc(self) -> None:
        """From is rewritten where the author's domain is strict, or always when that is wished; Reply-To is kept."""
        club = self.club(EVE, CARL, policies=Strict("far.example"))
        club.write(EVE, letter(EVE, name='"Eve \\"E\\" Doe"', more="DKIM-Signature: v=1\n"))
        post = message_from_string(club.text(CARL))
        self.assertEqual(post["From"], '"Eve \\"E\\" Doe via Our family"\n <family@example.org>')
        self.assertEqual(post["Reply-To"], '"Eve \\"E\\" Doe" <eve@far.example>')
        self.assertIsNone(post["DKIM-Signature"])
        club.write(EVE, letter(EVE, "Again", more="Reply-To: home@eve.example\n"))
        self.assertEqual(message_from_string(club.text(CARL))["Reply-To"], "home@eve.example")
        other = self.club("ann@example.org", CARL, policies=Strict("far.example", "example.org"))
        other.write("ann@example.org")
        self.assertEqual(message_from_string(other.text(CARL))["From"], "ann@example.org", "our own domain signs anew")
        self.change(other, author="always")
        other.write("ann@example.org", letter("ann@example.org", "Again"))
        self.assertIn("<family@example.org>", message_from_string(other.text(CARL))["From"])

    def test_tag(self) -> None:
        """Put before a subject that does not have it."""
        club = self.club("ann@example.org", CARL)
        self.change(club, tag="[Family]")
        for subject, seen in (("Tea", "[Family] Tea"), ("Re: [family] Tea", "Re: [family] Tea"), ("", "[Family]")):
            club.write("ann@example.org", letter("ann@example.org", subject))
            self.assertEqual(message_from_string(club.text(CARL))["Subject"], seen)

    def test_once(self) -> None:
        """The same message twice, or by an alias and directly, goes out once; so it does after a restart."""
        club = self.club("ann@example.org", EVE)
        now(club.house.users.aliases.add("all@example.org", [LIST]))
        content = letter("ann@example.org")
        both = [LIST, "all@example.org", "family+x@example.org"]
        codes = club.office.codes(both, sender="ann@example.org", content=content)
        self.assertEqual(codes, [250, 250, 250])
        self.assertEqual(club.write("ann@example.org", content), 250)
        self.assertEqual(len(club.sent(EVE)), 1)
        self.assertIn("sent it before", club.office.journal.of(told.PostDropped)[0].reason)

    def test_large(self) -> None:
        """A large post is one copy with many recipients; one beyond the list's size is refused."""
        club = self.club("ann@example.org", EVE, CARL)
        body = "x" * 70 + "\n"
        self.change(club, size=0)
        club.write("ann@example.org", letter("ann@example.org", "Big", body=body * 500_000))
        (shipment,) = club.sent(EVE)
        self.assertEqual(len(shipment.envelope.recipients), 2)
        self.assertEqual(str(shipment.envelope.reverse_path), "family-bounces@example.org")
        self.change(club, size=1000)
        self.assertEqual(club.write("ann@example.org", letter("ann@example.org", "Big", body=body * 20)), 552)

    def test_archive(self) -> None:
        """The archive keeps everything, also when it lies with a member."""
        club = self.club("ann@example.org", "bob@example.org")
        self.change(club, archive="yes")
        club.write("bob@example.org")
        self.assertEqual(
            (len(club.inbox("ann@example.org")), len(club.inbox("ann@example.org", "Lists.family"))), (1, 1)
        )
        self.assertIn("archive", [event.why for event in club.office.journal.of(Kept)])

    def test_beside_others(self) -> None:
        """An alias with the list and a person behind it; what the list refuses the person gets all the same."""
        club = self.club("ann@example.org", EVE)
        now(club.house.users.aliases.add("all@example.org", [LIST, "cleo@example.org"]))
        self.assertEqual(club.write(CARL, to="all@example.org"), 250)
        self.assertEqual((len(club.inbox("cleo@example.org")), club.sent(EVE)), (1, []))

    def test_full_mailbox(self) -> None:
        """A member whose mailbox is full gets it when there is room; the others at once."""
        club = self.club("ann@example.org", "bob@example.org")
        club.office.depot.limits[Address.parse("bob@example.org")] = 10
        club.write("ann@example.org")
        self.assertEqual((len(club.inbox("ann@example.org")), club.inbox("bob@example.org")), (1, []))
        club.office.depot.limits[Address.parse("bob@example.org")] = 0
        club.office.later(400)
        self.assertEqual(len(club.inbox("bob@example.org")), 1)


class RightsTests(ListCase):
    """Who may write."""

    def test_the_table(self) -> None:
        """Every row, played."""
        people = {
            Author.MODERATOR: ("ann@example.org", PROVEN),
            Author.MEMBER: (EVE, PROVEN),
            Author.DOUBTFUL: (EVE, UNPROVEN),
            Author.STRANGER: (CARL, PROVEN),
        }
        for (posting, who), ruling in TABLE.items():
            with self.subTest(posting=posting, who=who):
                club = self.club("bob@example.org", EVE)
                self.change(club, posting=posting)
                sender, verdict = people[who]
                code = club.write(sender, verdict=verdict)
                posted, held = len(club.office.journal.of(told.Posted)), len(club.office.journal.of(told.PostHeld))
                self.assertEqual(
                    (ruling.name, code), ({(1, 0): "POST", (0, 1): "HOLD"}.get((posted, held), "REFUSE"), code)
                )
                self.assertEqual(code, 550 if ruling.name == "REFUSE" else 250)

    def test_machines(self) -> None:
        """Machines, other lists, ourselves again, junk and bounces."""
        rows = (
            ("Auto-Submitted: auto-replied\n", 550),
            ("Precedence: bulk\n", 550),
            ("List-Id: <other.far.example>\n", 550),
            ("List-Id: Family <FAMILY.example.org>\n", 554),
            ("Content-Type: multipart/report\n", 550),
            ("Auto-Submitted: no\n", 250),
        )
        for more, code in rows:
            with self.subTest(more=more):
                club = self.club(EVE)
                self.assertEqual(club.write(EVE, letter(EVE, more=more)), code)
                self.assertEqual(len(club.sent(EVE)), code == 250)
        club = self.club(EVE)
        self.assertEqual(club.write(None, letter(EVE)), 550)
        self.assertEqual(club.write(EVE, verdict=Verdict(Action.JUNK)), 550)
        self.assertEqual(len(club.office.journal.of(Refused)), 2)

    def test_a_refused_post_is_not_delivered_later(self) -> None:
        """Behind a common 250 a stranger's post waits in the queue, is refused there as well, and nobody is told."""
        club = self.club(EVE)
        codes = club.office.codes(
            ["cleo@example.org", LIST], sender=CARL, origin=Origin.WAN, verdict=UNPROVEN, content=letter(CARL)
        )
        self.assertEqual(codes, [250, 250])
        self.assertEqual((club.sent(EVE), club.sent(CARL), club.office.rows()), ([], [], 0))
        codes = club.office.codes(
            ["cleo@example.org", LIST], sender=EVE, origin=Origin.WAN, verdict=UNPROVEN, content=letter(EVE)
        )
        self.assertEqual((codes, club.sent(EVE)), ([250, 250], []))

    def test_moderation(self) -> None:
        """A reply lets it through, once; the other address throws it away; a machine's answer does neither."""
        club = self.club("bob@example.org", EVE, CARL)
        self.change(club, posting="moderators")
        self.assertEqual(club.write(EVE, letter(EVE, "Party")), 250)
        (notice,) = club.inbox("ann@example.org")
        approve = reply_to(notice.decode())
        reject = re.search(rb"write to (\S+-reject\S+)", notice)
        assert reject is not None
        self.assertIn(b"Content-Type: message/rfc822", notice)
        self.assertEqual(message_from_bytes(notice).get_payload()[1].get_payload()[0]["Subject"], "Party")  # type: ignore[index,union-attr]
        away = letter("ann@example.org", "Away", more="Auto-Submitted: auto-replied\n")
        self.assertEqual(club.write("ann@example.org", away, to=approve), 250)
        self.assertEqual(club.sent(CARL), [])
        self.assertEqual(club.write("ann@example.org", letter("ann@example.org", "Re"), to=approve), 250)
        self.assertEqual(message_from_string(club.text(CARL))["Subject"], "Party")
        self.assertEqual(club.office.journal.of(told.Posted)[0].approved_by, "ann@example.org")
        self.assertEqual(club.write("ann@example.org", letter("ann@example.org", "Re"), to=reject[1].decode()), 250)
        self.assertEqual(club.write("ann@example.org", letter("ann@example.org", "Re"), to=approve), 250)
        self.assertEqual(len(club.sent(CARL)), 1)
        club.write("bob@example.org", letter("bob@example.org", "Two"))
        reject = re.search(rb"write to (\S+-reject\S+)", club.inbox("ann@example.org")[-1])
        assert reject is not None
        club.write("ann@example.org", letter("ann@example.org", "No"), to=reject[1].decode())
        self.assertIn(b"decided not to pass on", club.inbox("bob@example.org")[-1])
        self.assertEqual(len(club.sent(CARL)), 1)

    def test_held_posts_are_bounded(self) -> None:
        """No more than so many wait, and none for ever."""
        club = self.club(EVE)
        self.change(club, posting="moderators")
        for number in range(MOST_HELD):
            club.write(CARL, letter(CARL, f"Spam {number}"))
        self.assertEqual(club.write(CARL, letter(CARL, "One more")), 452)
        club.office.later(HELD_KEPT + DAY)
        self.assertEqual(now(club.memory.forget_old()), MOST_HELD)
        self.assertEqual(club.write(CARL, letter(CARL, "One more")), 250)

    def test_a_held_post_survives(self) -> None:
        """After a restart it is let through as it came, also when it is large."""
        club = self.club(EVE)
        self.change(club, posting="moderators")
        body = "0123456789\n" * 20_000
        club.write(CARL, letter(CARL, "Long", body=body))
        approve = reply_to(club.inbox("ann@example.org")[0].decode())
        club.memory.database.close()
        club.write("ann@example.org", letter("ann@example.org", "ok"), to=approve)
        self.assertTrue(club.text(EVE).endswith("\n\n" + body))


class JoiningTests(ListCase):
    """In and out by mail."""

    def test_join(self) -> None:
        """A letter asks, a reply confirms, a welcome comes; the token is that person's alone."""
        for address in ("family-subscribe@example.org", "Family+Subscribe@example.org", "family-request@example.org"):
            with self.subTest(address=address):
                club = self.club()
                self.assertEqual(club.write(EVE, letter(EVE, "Subscribe"), to=address), 250)
                self.assertEqual(club.members(), [])
                confirm = reply_to(club.text(EVE))
                self.assertEqual(club.write(CARL, to=confirm), 250)
                self.assertEqual(club.members(), [])
                club.write(EVE, letter(EVE, "Re", more="Auto-Submitted: auto-replied\n"), to=confirm)
                self.assertEqual(club.members(), [])
                club.write(EVE, letter(EVE, "Re"), to=confirm.upper())
                self.assertEqual(club.members(), [EVE])
                self.assertIn("You are a member", club.text(EVE))
                self.assertIsNone(club.sent(EVE)[-1].envelope.reverse_path)
                self.assertEqual(len(club.office.journal.of(told.MemberJoined)), 1)

    def test_a_confirmation_grows_old(self) -> None:
        """After a week it confirms nothing."""
        club = self.club()
        club.write(EVE, letter(EVE), to="family-subscribe@example.org")
        confirm = reply_to(club.text(EVE))
        club.office.later((DAYS + 1) * DAY)
        club.write(EVE, letter(EVE, "Re"), to=confirm)
        self.assertEqual(club.members(), [])

    def test_nobody_is_flooded(self) -> None:
        """Who is named again and again gets one letter an hour."""
        club = self.club()
        for number in range(5):
            club.write(EVE, letter(EVE, f"{number}"), to="family-subscribe@example.org")
        self.assertEqual(len(club.sent(EVE)), 1)
        club.office.later(3700)
        club.write(EVE, letter(EVE, "x"), to="family-subscribe@example.org")
        self.assertEqual(len(club.sent(EVE)), 2)
        for number in range(80):
            club.write(f"v{number}@far.example", to="family-subscribe@example.org")
        self.assertLessEqual(len(club.relay.shipments), 51)

    def test_leave(self) -> None:
        """With the link at once, without it after a reply; from another address not at all."""
        club = self.club(EVE, CARL, "ann@example.org")
        club.write("ann@example.org")
        link = re.search(r"<mailto:([^>]+)>", message_from_string(club.text(EVE))["List-Unsubscribe"])
        assert link is not None
        club.write("eve@elsewhere.example", to=link[1])
        self.assertEqual(club.members(), ["ann@example.org", CARL])
        self.assertIn("You are no member", club.text(EVE))
        club.write("nobody@far.example", to="family-unsubscribe@example.org")
        self.assertEqual(club.sent("nobody@far.example"), [])
        club.write(CARL, to="family-unsubscribe@example.org")
        self.assertEqual(club.members(), ["ann@example.org", CARL])
        club.write(CARL, letter(CARL, "Re"), to=reply_to(club.text(CARL)))
        self.assertEqual(club.members(), ["ann@example.org"])

    def test_closed(self) -> None:
        """Only the owner lets people in."""
        club = self.club()
        self.change(club, joining="closed")
        club.write(EVE, to="family-subscribe@example.org")
        self.assertIn("family-owner@example.org", club.text(EVE))
        self.assertNotIn("Reply-To", club.text(EVE))

    def test_addresses(self) -> None:
        """The list's addresses lead to it, its owner's to the owner, an account of such a name to itself."""
        club = self.club()
        resolve = club.house.users.directory.snapshot.resolve
        for part in PARTS:
            found = resolve(Address(f"Family-{part}+Tok", "example.org"))
            assert isinstance(found, Known)
            at = (
                LocalMailbox(Address.parse("ann@example.org"))
                if part == "owner"
                else AtList(club.list.address, part, "Tok")
            )
            self.assertEqual(found.destinations, (at,))
        self.assertEqual(resolve(Address("family+other", "example.org")), Known((AtList(club.list.address),), "list"))
        now(club.house.users.accounts.add("family-help@example.org", "long enough pass"))
        resolve = club.house.users.directory.snapshot.resolve
        self.assertEqual(
            resolve(Address("family-help", "example.org")),
            Known((LocalMailbox(Address("family-help", "example.org")),)),
        )


BOUNCE = (
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n"
    "From: MAILER-DAEMON@far.example\nSubject: Undelivered\n\n"
    "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; far.example\n\n"
    "Final-Recipient: rfc822; {who}\nAction: {action}\nStatus: 5.1.1\n\n--b--\n"
)


def bounce(who: str = EVE, action: str = "failed") -> Content:
    header, _, body = BOUNCE.format(who=who, action=action).partition("\n\n")
    octets = body.encode()
    return Content(f"{header}\n\n".encode(), octets, header.count("\n") + 2 + octets.count(b"\n"))


class BounceTests(ListCase):
    """Members who cannot be reached."""

    def test_paused_at_the_third(self) -> None:
        """The owner hears of it, the member gets nothing more until he is resumed."""
        club = self.club("bob@example.org", EVE)
        club.write("bob@example.org")
        path = str(club.sent(EVE)[0].envelope.reverse_path)
        for paused in ("", "", "bounces"):
            self.assertEqual(club.write(None, bounce(), to=path), 250)
            member = club.list.member(Address.parse(EVE))
            assert member is not None
            self.assertEqual(member.paused, paused)
        (notice,) = club.inbox("ann@example.org")
        self.assertIn(b"lists resume family@example.org eve@far.example", notice)
        club.write("bob@example.org", letter("bob@example.org", "Two"))
        self.assertEqual(len(club.sent(EVE)), 1)
        club.write(None, bounce(), to=path)
        self.assertEqual(len(club.inbox("ann@example.org")), 1)
        now(club.lists.pause(LIST, EVE, paused=False))
        club.write("bob@example.org", letter("bob@example.org", "Three"))
        self.assertEqual(len(club.sent(EVE)), 2)

    def test_what_does_not_count(self) -> None:
        """Delays, vacations, people, forged tokens, and bounces a month apart."""
        club = self.club("bob@example.org", EVE)
        club.write("bob@example.org")
        path = str(club.sent(EVE)[0].envelope.reverse_path)
        away = letter(EVE, "Away", more="Auto-Submitted: auto-replied\n")
        for sender, content, to in (
            (None, bounce(action="delayed"), path),
            (None, away, path),
            (EVE, bounce(), path),
            (None, bounce(), path.replace("+", "+9")),
            (None, bounce(), "family-bounces+1-aaaaaaaaaaaaaaaa@example.org"),
        ):
            club.write(sender, content, to=to)
        member = club.list.member(Address.parse(EVE))
        assert member is not None
        self.assertEqual(member.bounces, 0)
        for _ in range(4):
            club.write(None, bounce(), to=path)
            club.office.later(31 * DAY)
        member = club.list.member(Address.parse(EVE))
        assert member is not None
        self.assertEqual((member.bounces, member.paused), (1, ""))

    def test_our_own_queue_tells(self) -> None:
        """When the next host refuses a member's copy, our own report is counted."""
        from tests.kit.fake_relay import REFUSED, SENT

        club = self.club("bob@example.org", EVE)
        club.relay.answer = lambda address, tries: REFUSED if address == EVE else SENT
        for number in range(3):
            club.write("bob@example.org", letter("bob@example.org", f"{number}"))
        self.assertEqual(len(club.office.journal.of(told.MemberBounced)), 3)
        self.assertEqual(len(club.office.journal.of(told.MemberPaused)), 1)

    def test_a_shared_copy(self) -> None:
        """Without a token the report's recipient tells who it was."""
        club = self.club(EVE, CARL)
        club.write(None, bounce(EVE.upper()), to="family-bounces@example.org")
        self.assertEqual([one.bounces for one in club.list.members], [0, 1])


class WhateverTests(ListCase):
    """Nothing that anybody writes becomes a field, a member or an exception."""

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=40), st.text(max_size=60), st.text(max_size=40))
    def test_fields(self, name: str, subject: str, title: str) -> None:
        """Display names, subjects and titles of any kind add no field and end none."""
        one = self._club().list
        one = type(one)(one.number, one.address, title, one.owner, "members", "open", "[x]", "auto", False, 0)
        content = Content(
            b"From: e@x.test\nSubject: " + subject.encode("utf-8", "replace").replace(b"\n", b"\n ") + b"\n\n", b"", 3
        )
        out = fields.dressed(one, content, Address("e", "x.test"), name, rewrite=True).header
        names = {
            line.split(b":")[0].lower() for line in out.rstrip(b"\n").split(b"\n") if line[:1] not in (b" ", b"\t")
        }
        allowed = b"list-id list-post list-help list-subscribe list-owner precedence from reply-to subject".split()
        self.assertLessEqual(names, set(allowed))
        self.assertEqual(out.count(b"\n\n"), 1)

    @settings(max_examples=200, deadline=None)
    @given(
        st.sampled_from([*PARTS, "x"]),
        st.text("0123456789abcdefsjlk-+=.@é ", max_size=40),
        st.binary(max_size=80),
        st.booleans(),
    )
    def test_any_command(self, part: str, token: str, body: bytes, null: bool) -> None:
        """Whatever comes to an address of the list is answered with a reply, changes no member and raises nothing."""
        club = self._club()
        header = b"From: eve@far.example\n" + body.replace(b"\n\n", b"\n").replace(b"\0", b"") + b"\n\n"
        content = Content(header, body, header.count(b"\n") + body.count(b"\n"))
        parcel = club.office.parcel(
            [LIST], sender=None if null else EVE, origin=Origin.WAN, verdict=UNPROVEN, content=content
        )
        at = AtList(club.list.address, "" if part in ("x", "owner") else part, token)
        now(club.station.take(parcel, at))
        self.assertEqual(club.members(), ["bob@example.org", EVE])

    _shared: Club | None = None

    def _club(self) -> Club:
        if self._shared is None:
            self._shared = self.club("bob@example.org", EVE)
        return self._shared
