"""The policy table: read aloud, and held against the few sentences that must always be true."""

from __future__ import annotations

import base64
from dataclasses import replace
from ipaddress import ip_network

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.link.account import EDGE, EdgeMayToo
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.smtp.policy import Action, Sender, Target, decide, refusal_of_sender
from tests.smtp.stage import DEVICE, FORWARDER, NAS, SCANNER, STRANGER, House, code, talk

ALL = Target.OURS, Target.ELSEWHERE
# origin, sender → what happens to mail to our domain, to elsewhere
TABLE = [
    (Origin.AUTHENTICATED, Sender.OWNED, Action.SUBMIT, Action.SUBMIT),
    (Origin.AUTHENTICATED, Sender.NULL, Action.SUBMIT, Action.SUBMIT),
    (Origin.AUTHENTICATED, Sender.OURS, Action.REFUSE, Action.REFUSE),
    (Origin.AUTHENTICATED, Sender.THEIRS, Action.REFUSE, Action.REFUSE),
    (Origin.LAN, Sender.OURS, Action.RELAY, Action.RELAY),
    (Origin.LAN, Sender.NULL, Action.CHECK, Action.REFUSE),
    (Origin.LAN, Sender.THEIRS, Action.CHECK, Action.REFUSE),
    (Origin.DEVICE, Sender.OURS, Action.REFUSE, Action.REFUSE),
    (Origin.DEVICE, Sender.NULL, Action.REFUSE, Action.REFUSE),
    (Origin.DEVICE, Sender.THEIRS, Action.REFUSE, Action.REFUSE),
    (Origin.WAN, Sender.OURS, Action.REFUSE, Action.REFUSE),
    (Origin.WAN, Sender.RETURNED, Action.CHECK, Action.REFUSE),
    (Origin.WAN, Sender.NULL, Action.CHECK, Action.REFUSE),
    (Origin.WAN, Sender.THEIRS, Action.CHECK, Action.REFUSE),
    (Origin.PAIRED, Sender.THEIRS, Action.DELIVER, Action.DELIVER),
    (Origin.PAIRED, Sender.OURS, Action.DELIVER, Action.DELIVER),
    (Origin.PAIRED, Sender.NULL, Action.DELIVER, Action.DELIVER),
    (Origin.LOCAL, Sender.OURS, Action.DELIVER, Action.REFUSE),
    (Origin.LOCAL, Sender.THEIRS, Action.DELIVER, Action.REFUSE),
]


class PolicyTests(SynchronousTestCase):
    """Who may send as whom, and to whom, row by row."""

    def test_table(self) -> None:
        """Each row."""
        for origin, sender, ours, elsewhere in TABLE:
            found = tuple(decide(origin, sender, target).action for target in ALL)
            self.assertEqual(found, (ours, elsewhere), (origin, sender))

    def test_devices(self) -> None:
        """A named device reaches its listed recipients, as one of ours or as nobody, and nothing else at all."""
        for sender in Sender:
            expected = Action.RELAY if sender in (Sender.OURS, Sender.NULL) else Action.REFUSE
            self.assertIs(decide(Origin.DEVICE, sender, Target.LISTED).action, expected, sender)
            for target in ALL:
                self.assertIs(decide(Origin.DEVICE, sender, target).action, Action.REFUSE)

    def test_wan_never_relays(self) -> None:
        """Nobody from outside reaches another domain, whatever he calls himself."""
        for sender in Sender:
            self.assertIs(decide(Origin.WAN, sender, Target.ELSEWHERE).action, Action.REFUSE)
            self.assertIsNot(decide(Origin.WAN, sender, Target.OURS).action, Action.RELAY)

    def test_every_refusal_has_words(self) -> None:
        """A refusal carries a 5xx for the peer and a reason for the owner."""
        for origin in Origin:
            for sender in Sender:
                for target in Target:
                    row = decide(origin, sender, target)
                    self.assertTrue(row.reason)
                    if row.action is Action.REFUSE:
                        self.assertTrue(row.reply.is_permanent and row.reply.enhanced == "5.7.1")

    def test_refused_at_mail(self) -> None:
        """MAIL is refused exactly when no recipient could be accepted."""
        for origin in Origin:
            for sender in Sender:
                hopeless = all(decide(origin, sender, target).action is Action.REFUSE for target in Target)
                self.assertEqual(refusal_of_sender(origin, sender) is not None, hopeless)


OUR_DOMAINS = ["example.org", "example.net"]
ADDRESSES = st.builds(
    "{}@{}".format,
    st.sampled_from(["ann", "bob", "info", "nobody", "postmaster", "victim%elsewhere.test", "away"]),
    st.sampled_from([*OUR_DOMAINS, "elsewhere.test", "sub.example.org", "example.org.elsewhere.test", "club.test"]),
)


KNOWN = frozenset(
    {"ann@example.org", "bob@example.org", "info@example.org", "away@example.org"}
    | {f"postmaster@{domain}" for domain in OUR_DOMAINS}
)


class WholeWayTests(SynchronousTestCase):
    """The same through a whole session."""

    @settings(max_examples=60, deadline=None)
    @given(
        st.sampled_from([STRANGER, DEVICE, SCANNER, NAS, FORWARDER, "127.0.0.1"]),
        st.one_of(st.just(""), ADDRESSES),
        ADDRESSES,
    )
    def test_never_an_open_relay(self, address: str, sender: str, recipient: str) -> None:
        """Another domain's recipient is accepted only from the LAN as our domain, or where a device lists it."""
        house = House()
        said = talk(house.peer(address=address), "EHLO a.test", f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>")
        accepted = said.splitlines()[-1].startswith("250")
        if recipient.rpartition("@")[2] not in OUR_DOMAINS:
            from_us = sender.rpartition("@")[2] in OUR_DOMAINS
            listed = address == SCANNER and recipient.endswith("@club.test") and (from_us or not sender)
            self.assertEqual(accepted, (address == DEVICE and from_us) or listed)
        elif address == SCANNER and accepted:
            self.assertEqual(recipient, "ann@example.org")
        if address in (STRANGER, "127.0.0.1") and sender.rpartition("@")[2] in OUR_DOMAINS:
            self.assertFalse(accepted)
        house.close()

    @settings(max_examples=60, deadline=None)
    @given(
        st.sampled_from(["link", "edge's log-in", "wrong secret", "smtp", "submission"]),
        st.one_of(st.just(""), ADDRESSES),
        ADDRESSES,
    )
    def test_paired(self, way: str, sender: str, recipient: str) -> None:
        """Whoever has proven to be our other half may write as anybody to anybody; on these ports nobody else may."""
        house = House()
        log_in = EdgeMayToo(house.log_in, lambda: "secret of the pair")
        house.station.parts = house.parts = replace(house.parts, log_in=log_in)
        service = {"link": "link", "smtp": "smtp"}.get(way, "submission")
        peer = house.peer(service)
        lines = ["EHLO mx.example.org"]
        if service == "submission":
            talk(peer, *lines, "STARTTLS")
            peer.start_tls()
        if way in ("edge's log-in", "wrong secret"):
            secret = "secret of the pair" if way == "edge's log-in" else "guess"
            token = base64.b64encode(f"\0{EDGE}\0{secret}".encode()).decode()
            lines.append(f"AUTH PLAIN {token}")
        said = talk(peer, *lines, f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>")
        accepted = said.splitlines()[-1].startswith("250")
        paired = way in ("link", "edge's log-in")
        known = recipient in KNOWN or recipient.rpartition("@")[2] not in OUR_DOMAINS
        if paired:
            self.assertEqual(accepted, known)
        elif way != "smtp" or recipient.rpartition("@")[2] not in OUR_DOMAINS:
            self.assertFalse(accepted)
        house.close()

    def test_hairpin(self) -> None:
        """Our own public address is told in the journal and granted nothing; inside lan it is lan."""
        house = House()
        self.assertEqual(
            code(talk(house.peer(address="198.51.100.1"), "EHLO a", "MAIL FROM:<ann@example.org>")), "550 5.7.1"
        )
        self.assertEqual(
            [event.name for event in house.journal.events if event.name == "smtp.hairpin"], ["smtp.hairpin"]
        )
        house.settle(lan=(*house.settings.lan, ip_network("198.51.100.1/32")))
        self.assertEqual(
            code(talk(house.peer(address="198.51.100.1"), "EHLO a", "MAIL FROM:<ann@example.org>")), "250 2.1.0"
        )
        self.assertEqual(len([event for event in house.journal.events if event.name == "smtp.hairpin"]), 1)
        house.close()
