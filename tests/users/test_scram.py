"""SCRAM at the portal: salts for every name, proofs that become log-ins, and who is offered it."""

from __future__ import annotations

from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import LogInRefused, Principal, ProvenCredentials, ScramKeys
from mailbox_appliance.users.proofs import DOUBT_SECONDS, MOST_DOUBTS, Doubtful
from mailbox_appliance.wire.sasl import KeysWanted, Proof
from mailbox_appliance.wire.scram import Scram
from tests.kit.scram_client import ScramClient
from tests.users.household import Household, now

ANN = "ann@example.org"
PEER = "192.0.2.7"


class ScramTests(SynchronousTestCase):
    """Through the one portal, like every log-in."""

    def setUp(self) -> None:
        self.house = Household().fill(["example.org"], [ANN, "bob@example.org", "eve@example.org"])
        self.log_in = self.house.users.log_in
        devices = self.house.users.app_passwords
        self.phone = now(devices.new(ANN, "phone")).secret
        self.laptop = now(devices.new(ANN, "laptop")).secret
        self.bobs = now(devices.new("bob@example.org", "phone")).secret

    def keys(self, username: str) -> ScramKeys:
        return now(self.log_in.scram_keys(username))

    def prove(self, username: str, secret: str) -> Proof:
        server, client = Scram(), ScramClient(username, secret)
        wanted = server.begin(client.first)
        assert isinstance(wanted, KeysWanted)
        proof = server.respond(client.last(server.keys(self.keys(wanted.username)).octets))
        assert isinstance(proof, Proof)
        return proof

    def enter(self, username: str, device: int | None) -> Principal:
        return now(self.log_in.log_in(ProvenCredentials(username, device, "imap", PEER)))

    def test_each_device(self) -> None:
        """Every app password of the account opens it and names its device; last use is remembered."""
        for name in (ANN, "ANN@example.org", "ann"):
            for secret, label in ((self.phone, "phone"), (self.laptop, "laptop")):
                principal = self.enter(name, self.prove(name, secret).device)
                self.assertEqual((principal.account, principal.device), (Address("ann", "example.org"), label))
        listed = {row.label: row.used_from for row in now(self.house.users.app_passwords.listing(ANN))}
        self.assertEqual(listed, {"phone": PEER, "laptop": PEER})

    def test_nothing_else_fits(self) -> None:
        """Main passwords, other people's devices, revoked ones, names that nobody has."""
        for name, secret in ((ANN, "open sesame"), (ANN, self.bobs), ("eve@example.org", "x"), ("nobody", self.phone)):
            self.assertIsNone(self.prove(name, secret).device, name)
        now(self.house.users.app_passwords.revoke(ANN, "phone"))
        self.assertIsNone(self.prove(ANN, self.phone).device)

    def test_refused(self) -> None:
        """No proof, somebody else's device, a device or an account that went away meanwhile: the same words."""
        number = self.prove(ANN, self.phone).device
        bobs = self.prove("bob@example.org", self.bobs).device
        texts = set()
        for name, device in ((ANN, None), (ANN, bobs), ("nobody", number), ("", number), (ANN, 999)):
            refused = cast(LogInRefused, self.assertRaises(LogInRefused, self.enter, name, device))
            texts.add((str(refused), refused.later, refused.token))
        self.assertEqual(len(texts), 1)
        now(self.house.users.accounts.remove(ANN))
        self.assertRaises(LogInRefused, self.enter, ANN, number)

    def test_every_name_has_its_salt(self) -> None:
        """The same each time, of one length, with one count, whether the name lives, rests or never was."""
        for one, other in (("ann", ANN), ("nobody", "NOBODY@example.org"), ("x@far.example", "X@far.example")):
            self.assertEqual(self.keys(one).salt, self.keys(other).salt)
        names = (ANN, "eve@example.org", "nobody", "someone", "x@far.example", "non sense", "", "\udc80")
        found = [self.keys(name) for name in names]
        self.assertEqual(len({keys.salt for keys in found}), len(names))
        self.assertEqual({(len(keys.salt), keys.iterations) for keys in found}, {(16, 4096)})
        before = self.keys(ANN).salt
        now(self.house.users.accounts.remove(ANN))
        self.assertEqual(self.keys(ANN), ScramKeys(before, 4096))

    def test_another_installation_has_other_salts(self) -> None:
        """Nobody can know them from our source."""
        other = Household().fill(["example.org"])
        self.assertNotEqual(now(other.users.log_in.scram_keys("nobody")).salt, self.keys("nobody").salt)

    def test_offered_where_it_can_succeed(self) -> None:
        """With an app password at all, and not for a day where it failed: mail programs know no better."""
        self.assertFalse(Household().fill(["example.org"], [ANN]).users.log_in.offers_scram(PEER))
        self.assertTrue(self.log_in.offers_scram(PEER))
        self.assertRaises(LogInRefused, self.enter, ANN, None)
        self.assertFalse(self.log_in.offers_scram(PEER))
        self.assertTrue(self.log_in.offers_scram("192.0.2.8"))
        self.house.clock.advance(DOUBT_SECONDS)
        self.assertTrue(self.log_in.offers_scram(PEER))


class DoubtTests(SynchronousTestCase):
    """The memory of failures is bounded."""

    def test_bounds(self) -> None:
        """The oldest are forgotten; a clock that was set back keeps nobody for ever."""
        at = [1000.0]
        doubtful = Doubtful(lambda: at[0])
        for number in range(MOST_DOUBTS + 1):
            doubtful.add(str(number))
        self.assertFalse(doubtful.knows("0"))
        self.assertTrue(doubtful.knows("1"))
        at[0] = 10.0
        self.assertFalse(doubtful.knows("1"))
