"""SCRAM-SHA-256, the server's side: RFC 7677's example, the rules of RFC 5802, and whatever a stranger may send."""

from __future__ import annotations

import base64

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.ports.users import DeviceKey, ScramKeys
from mailbox_appliance.wire.mechanisms import exchange, mechanisms
from mailbox_appliance.wire.sasl import Challenge, KeysWanted, Proof, SaslError
from mailbox_appliance.wire.scram import NAME, PLUS, TRIED, Scram, saslname
from tests.kit.scram_client import ScramClient, device_keys

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
SNONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"


def kept(*passwords: str, salt: bytes = SALT, iterations: int = 4096) -> ScramKeys:
    keys = [DeviceKey(number, *device_keys(password, salt, iterations)) for number, password in enumerate(passwords)]
    return ScramKeys(salt, iterations, tuple(keys))


PENCIL = kept("eraser", "pencil")


def play(server: Scram, client: ScramClient, keys: ScramKeys = PENCIL) -> Proof:
    wanted = server.begin(client.first)
    assert isinstance(wanted, KeysWanted), wanted
    proof = server.respond(client.last(server.keys(keys).octets))
    assert isinstance(proof, Proof), proof
    return proof


class ExampleTests(SynchronousTestCase):
    """RFC 7677 §3, octet by octet."""

    def test_the_example(self) -> None:
        server = Scram(nonce=lambda: SNONCE)
        self.assertEqual(server.begin(None), Challenge(b""))
        self.assertEqual(server.respond(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), KeysWanted("user"))
        first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        self.assertEqual(server.keys(PENCIL).octets, first)
        proof = server.respond(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        )
        outcome = Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        self.assertEqual(proof, Proof("", "user", 1, outcome))


class RuleTests(SynchronousTestCase):
    """What RFC 5802 wants of a server."""

    def test_any_device_of_the_account(self) -> None:
        """The key that fits names the device; a wrong password fits none, and the server's word is worth nothing."""
        for number, password in enumerate(("eraser", "pencil")):
            client = ScramClient("user", password)
            proof = play(Scram(), client)
            self.assertEqual(proof.device, number)
            self.assertTrue(client.believes(proof.outcome.octets))
        client = ScramClient("user", "ruler")
        proof = play(Scram(), client)
        self.assertIsNone(proof.device)
        self.assertFalse(client.believes(proof.outcome.octets))

    def test_many_devices(self) -> None:
        """More keys than are tried at least."""
        many = kept(*[f"word {number}" for number in range(TRIED + 3)])
        self.assertEqual(play(Scram(), ScramClient("user", f"word {TRIED + 2}"), many).device, TRIED + 2)

    def test_nobody(self) -> None:
        """With no device at all the exchange looks the same."""
        self.assertIsNone(play(Scram(), ScramClient("user", "pencil"), ScramKeys(SALT, 4096)).device)

    def test_names(self) -> None:
        """=2C and =3D are , and =; names are composed; authzid travels along (RFC 5802 §5.1)."""
        self.assertEqual(saslname(b"a=2Cb=3Dc"), "a,b=c")
        self.assertEqual(saslname("u\u0308".encode()), "ü")
        for bad in (b"a=b", b"a=2cb", b"=", b"\xff", b"", b"a\0b", "a\u0085".encode()):
            self.assertRaises(SaslError, saslname, bad)
        server = Scram()
        self.assertEqual(server.begin(b"n,a=bob,n=user,r=abcdefghij"), KeysWanted("user"))

    def test_malformed(self) -> None:
        """First messages that are refused."""
        for first in (
            b"",
            b"n",
            b"n,",
            b"n,,",
            b"x,,n=user,r=abcdefghij",
            b"n,bob,n=user,r=abcdefghij",
            b"n,,n=user",
            b"n,,r=abcdefghij,n=user",
            b"n,,n=,r=abcdefghij",
            b"n,,m=ext,n=user,r=abcdefghij",
            b"n,,n=user,r=short",
            b"n,,n=user,r=abc\x7fdefghij",
            b"n,,n=user,r=" + b"a" * 513,
            b"p=tls-exporter,,n=user,r=abcdefghij",
            b"n,,n=user,r=abcdefghij,x=" + b"a" * 5000,
        ):
            self.assertRaises(SaslError, Scram().begin, first)
        self.assertIsInstance(Scram().begin(b"n,,n=user,r=abcdefghij,x=extension"), KeysWanted)

    def test_last_message(self) -> None:
        """Another nonce, another shape, a proof of another length."""
        for change in (
            lambda last: last.replace(b"r=", b"r=x"),
            lambda last: last.partition(b",p=")[0],
            lambda last: last.partition(b",p=")[0] + b",p=AAAA",
            lambda last: last.replace(b"c=biws", b"c=!"),
            lambda last: last.replace(b"c=biws", b"c=biw"),
            lambda last: last + b",x=y",
        ):
            server, client = Scram(), ScramClient("user", "pencil")
            server.begin(client.first)
            last = client.last(server.keys(PENCIL).octets)
            self.assertRaises(SaslError, server.respond, change(last))

    def test_another_header(self) -> None:
        """c= must repeat the header: who stood in between and took "y" for "n" is found out (RFC 5802 §6)."""
        server, client = Scram(), ScramClient("user", "pencil", flag="y")
        server.begin(client.first.replace(b"y,", b"n,"))
        proof = server.respond(client.last(server.keys(PENCIL).octets))
        assert isinstance(proof, Proof)
        self.assertIsNone(proof.device)

    def test_downgrade(self) -> None:
        """ "y": I could bind, but was not told that you can. Refused where the client was told."""
        first = ScramClient("user", "pencil", flag="y").first
        self.assertIsInstance(Scram().begin(first), KeysWanted)
        self.assertRaises(SaslError, Scram(offers_plus=True).begin, first)
        self.assertIsInstance(Scram(offers_plus=True).begin(first.replace(b"y,", b"n,")), KeysWanted)

    def test_bound(self) -> None:
        """-PLUS: the same data on both sides, of a kind that is known."""

        def server() -> Scram:
            return Scram(
                plus=True, offers_plus=True, bindings=lambda kind: (b"x", b"1") if kind == "tls-unique" else ()
            )

        for data, device in ((b"1", 1), (b"x", 1), (b"2", None), (b"", None)):
            client = ScramClient("user", "pencil", flag="p=tls-unique", bound=data)
            self.assertEqual(play(server(), client).device, device)
        for flag in ("n", "y", "p=tls-exporter", "p="):
            self.assertRaises(SaslError, server().begin, ScramClient("user", "pencil", flag=flag).first)

    def test_what_is_offered(self) -> None:
        """Passwords first; -PLUS only over a connection that can be bound to."""
        self.assertEqual(mechanisms(scram_too=False, bindable=True), ("PLAIN", "LOGIN"))
        self.assertEqual(mechanisms(scram_too=True, bindable=False), ("PLAIN", "LOGIN", NAME))
        self.assertEqual(mechanisms(scram_too=True, bindable=True), ("PLAIN", "LOGIN", NAME, PLUS))
        self.assertIsNone(exchange("SCRAM-SHA-1", ()))

    def test_secrets_do_not_show(self) -> None:
        """Neither keys nor proofs are in a repr."""
        self.assertEqual(repr(PENCIL.devices[0]), "DeviceKey(number=0)")
        self.assertNotIn("salt", repr(PENCIL))


class PropertyTests(SynchronousTestCase):
    """For all names and passwords; and for whatever comes."""

    @settings(max_examples=60, deadline=None)
    @given(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Cs")), min_size=1, max_size=30),
        st.text(st.characters(codec="utf-8"), max_size=30),
        st.text(st.characters(codec="utf-8"), max_size=30),
    )
    def test_right_is_right(self, name: str, password: str, other: str) -> None:
        """The right password fits, every other does not, whatever the name holds."""
        keys = kept(password, iterations=2)
        self.assertEqual(play(Scram(), ScramClient(name, password), keys).device, 0)
        if other != password:
            self.assertIsNone(play(Scram(), ScramClient(name, other), keys).device)

    @settings(max_examples=400, deadline=None)
    @given(
        st.sampled_from([NAME, PLUS]),
        st.lists(
            st.one_of(
                st.binary(max_size=80),
                st.lists(
                    st.sampled_from([b"n", b"y", b"p=tls-unique", b"", b"a=b", b"n=user", b"r=abcdefgh", b"c=biws"]),
                    max_size=6,
                ).map(b",".join),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    @example(NAME, [b"n,,n=user,r=abcdefgh", b"c=biws,r=abcdefgh,p=AA=="])
    def test_whatever_comes(self, name: str, messages: list[bytes]) -> None:
        """SaslError or a next step; never a log-in."""
        server = exchange(name, (), lambda kind: (b"1",))
        assert server is not None
        try:
            step = server.begin(None)
            for message in messages:
                if isinstance(step, KeysWanted):
                    step = server.keys(PENCIL)
                if isinstance(step, Proof):
                    break
                step = server.respond(message)
        except SaslError:
            return
        self.assertFalse(isinstance(step, Proof) and step.device is not None)
