"""What the next host must prove: DANE, MTA-STS, REQUIRETLS, and the memory of hosts that once had good TLS."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from typing import Any, cast

from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.journal.events.relay import StsPolicyTrouble, TlsDowngraded, TlsPolicyUnmet
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.outcome import Result
from mailbox_appliance.relay.memory import MIGRATIONS, RelayMemory
from mailbox_appliance.relay.mtasts import FetchTrouble
from tests.kit.authority import Authority, authority
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import now
from tests.kit.workers import InlineWorkers
from tests.relay.scene import BODY, HEADER, ZONE, Scene

D, T, F = Result.DELIVERED, Result.TRY_AGAIN, Result.FAILED
STS = '_mta-sts.b.example. TXT "v=STSv1; id=1"\n'


def policy(mode: str = "enforce", *mx: str, max_age: int = 864_000) -> bytes:
    hosts = "".join(f"mx: {host}\n" for host in mx or ("mx1.b.example", "mx2.b.example"))
    return f"version: STSv1\nmode: {mode}\n{hosts}max_age: {max_age}\n".encode()


class Policies:
    """Serves policies by domain; counts; raises what it is given."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, domain: str) -> bytes:
        self.asked.append(domain)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Secure(SynchronousTestCase):
    def scene(self, zone: str = ZONE, **how: Any) -> Scene:
        os.makedirs(folder := self.mktemp())
        return Scene(zone, trust_anchor=authority().write(folder), **how)

    def results(self, scene: Scene) -> list[tuple[Any, ...]]:
        """The kinds of results counted, with their numbers."""
        memory = scene.memory
        assert memory is not None

        def read(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            columns = "domain, json_extract(policy, '$.kind'), result, host, sessions"
            return connection.execute(f"SELECT {columns} FROM tls_results").fetchall()

        return now(memory.run(read, []))

    def memory(self) -> RelayMemory:
        path = os.path.abspath(self.mktemp())
        return RelayMemory(Database(path, MIGRATIONS, InlineWorkers(), synchronous="NORMAL"), RememberedJournal())


class StsTests(Secure):
    """MTA-STS (RFC 8461)."""

    def test_enforced(self) -> None:
        """A good certificate passes; each bad one, and none, keeps the mail here."""
        good, other = authority().server("mx1.b.example"), authority().server("other.example")
        for tls, words in (
            (good, ""),
            (other, "made out to other.example"),
            (Authority().server("mx1.b.example"), "not trusted"),
            (authority().server("mx1.b.example", days=-1), "expired"),
            (None, "STARTTLS"),
        ):
            scene = self.scene(ZONE + STS, fetch=Policies(policy()))
            host = scene.host("192.0.2.1", tls=tls)
            (outcome,) = scene.carry()
            self.assertEqual((outcome.result, len(host.mails)), (T, 0) if words else (D, 1), words)
            if words:
                # The second exchanger does not answer; what the first one lacks is on record.
                (event,) = scene.journal.of(TlsPolicyUnmet)
                self.assertEqual((event.domain, event.host, event.policy), ("b.example", "mx1.b.example", "MTA-STS"))
                self.assertIn(words, event.reason)
                self.assertEqual([c for c in host.commands if c.startswith("MAIL")], [])

    def test_broken_handshake(self) -> None:
        """No second try in clear where TLS is a must."""
        scene = self.scene(ZONE + STS, fetch=Policies(policy()))
        host = scene.host("192.0.2.1", tls=authority().server("mx1.b.example"), behind_starttls=b"no\r\n" * 9)
        self.assertEqual((scene.carry()[0].result, host.connections, len(host.mails)), (T, 1, 0))

    def test_names(self) -> None:
        """An exchanger that the policy does not name is passed over; the next one gets the mail."""
        scene = self.scene(ZONE + STS, fetch=Policies(policy("enforce", "mx2.b.example")))
        first = scene.host("192.0.2.1", tls=authority().server("mx1.b.example"))
        second = scene.host("192.0.2.2", tls=authority().server("mx2.b.example"))
        (outcome,) = scene.carry()
        self.assertEqual((outcome.result, first.connections, len(second.mails)), (D, 0, 1))
        scene = self.scene(ZONE + STS, fetch=Policies(policy("enforce", "else.example")))
        (outcome,) = scene.carry()
        self.assertEqual((outcome.result, scene.net.dialled), (T, []))
        self.assertIn("does not name", outcome.reason)

    def test_testing(self) -> None:
        """Mode testing delivers all the same, and tells."""
        for tls, mx in (
            (authority().server("other.example"), "mx1.b.example"),
            (None, "mx1.b.example"),
            (authority().server("mx1.b.example"), "else.example"),
        ):
            scene = self.scene(ZONE + STS, fetch=Policies(policy("testing", mx)), memory=self.memory())
            host = scene.host("192.0.2.1", tls=tls)
            self.assertEqual((scene.carry()[0].result, len(host.mails)), (D, 1))
            (event,) = scene.journal.of(TlsPolicyUnmet)
            self.assertTrue(event.only_testing)
            (row,) = self.results(scene)
            self.assertEqual(row[:2] + row[3:], ("b.example", "sts", "mx1.b.example", 1))

    def test_kept(self) -> None:
        """One fetch for many messages; the same id keeps it, another one fetches anew; a vanished record changes nothing."""
        fetch = Policies(policy(max_age=1000))
        scene = self.scene(ZONE + STS, fetch=fetch)
        host = scene.host("192.0.2.1")
        for _ in range(3):
            self.assertEqual(scene.carry()[0].result, T)
        self.assertEqual(fetch.asked, ["b.example"])
        scene.dns.zone = type(scene.dns.zone)(ZONE)
        self.assertEqual(scene.carry()[0].result, T)
        scene.dns.zone = type(scene.dns.zone)(ZONE + STS.replace("id=1", "id=2"))
        fetch.answer = policy("none")
        self.assertEqual(scene.carry()[0].result, D)
        self.assertEqual((len(fetch.asked), len(host.mails)), (2, 1))

    def test_expired(self) -> None:
        """After max_age, with the record gone, the policy binds no longer."""
        scene = self.scene(ZONE + STS, fetch=Policies(policy(max_age=1000)))
        scene.host("192.0.2.1")
        self.assertEqual(scene.carry()[0].result, T)
        scene.dns.zone = type(scene.dns.zone)(ZONE)
        scene.clock.advance(1001)
        self.assertEqual(scene.carry()[0].result, D)

    def test_fetch_fails(self) -> None:
        """A policy that cannot be had does not hold mail up, is told, and not asked for again for five minutes."""
        for answer, kind in (
            (FetchTrouble("sts-webpki-invalid", "expired"), "sts-webpki-invalid"),
            (b"<html>", "sts-policy-invalid"),
        ):
            fetch = Policies(answer)
            scene = self.scene(ZONE + STS, fetch=fetch, memory=self.memory())
            scene.host("192.0.2.1")
            for _ in range(2):
                self.assertEqual(scene.carry()[0].result, D)
            (event,) = scene.journal.of(StsPolicyTrouble)
            self.assertEqual((event.trouble, len(fetch.asked)), (kind, 1))
            self.assertIn(("b.example", "sts", kind, "", 1), self.results(scene))
            scene.clock.advance(301)
            scene.carry()
            self.assertEqual(len(fetch.asked), 2)

    def test_restart(self) -> None:
        """Policies survive a restart: a name server that lies afterwards gains nothing."""
        memory = self.memory()
        scene = self.scene(ZONE + STS, fetch=Policies(policy()), memory=memory)
        scene.host("192.0.2.1")
        self.assertEqual(scene.carry()[0].result, T)
        again = RelayMemory(memory._database, RememberedJournal())
        fetch = Policies(FetchTrouble("x", "never"))
        scene = self.scene(ZONE, fetch=fetch, memory=again)
        scene.host("192.0.2.1")
        self.assertEqual((scene.carry()[0].result, fetch.asked), (T, []))

    def test_kept_connections(self) -> None:
        """A connection that had to prove nothing carries no mail that demands proof."""
        fetch = Policies(policy("none"))
        scene = self.scene(ZONE + STS, fetch=fetch)
        host = scene.host("192.0.2.1", tls=Authority().server("mx1.b.example"))
        self.assertEqual(scene.carry()[0].result, D)
        scene.dns.zone = type(scene.dns.zone)(ZONE + STS.replace("id=1", "id=2"))
        fetch.answer = policy()
        self.assertEqual((scene.carry()[0].result, len(host.mails)), (T, 1))

    def test_explained(self) -> None:
        """``relay test`` names the policy and what the host lacks."""
        scene = self.scene(ZONE + STS, fetch=Policies(policy()))
        scene.host("192.0.2.1", tls=authority().server("other.example"))
        text = "\n".join(what for _, what, _ in scene.steps("bob@b.example"))
        self.assertIn("MTA-STS: mode enforce", text)
        self.assertIn("made out to other.example", text)


SIGNED = ZONE + ";! authentic b.example.\n"


def leaf(server: CertificateOptions) -> bytes:
    """The server's certificate, DER."""
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, cast(crypto.X509, server.certificate))


def with_chain(server: CertificateOptions) -> CertificateOptions:
    """The same server, which sends its root too."""
    root = crypto.load_certificate(crypto.FILETYPE_PEM, authority().pem)
    return CertificateOptions(privateKey=server.privateKey, certificate=server.certificate, extraCertChain=[root])


def tlsa(text: str, host: str = "mx1.b.example") -> str:
    return f"_25._tcp.{host}. TLSA {text}\n"


def sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


class DaneTests(Secure):
    """DANE (RFC 7672)."""

    def test_end_entity(self) -> None:
        """Usage 3: the record alone counts, neither root, name nor date; a wrong one keeps the mail here."""
        server = Authority().server("else.example", days=-3)
        scene = self.scene(SIGNED + tlsa(f"3 0 1 {sha256(leaf(server))}"))
        host = scene.host("192.0.2.1", tls=server)
        (outcome,) = scene.carry()
        self.assertEqual((outcome.result, outcome.tls), (D, "TLSv1.3 verified by DANE"))
        scene = self.scene(SIGNED + tlsa(f"3 0 1 {'00' * 32}"))
        host = scene.host("192.0.2.1", tls=authority().server("mx1.b.example"))
        (outcome,) = scene.carry()
        self.assertEqual((outcome.result, len(host.mails)), (T, 0))
        (event,) = scene.journal.of(TlsPolicyUnmet)
        self.assertEqual(event.policy, "DANE")

    def test_trust_anchor(self) -> None:
        """Usage 2: the chain must lead to the anchor, and the name be right."""
        root = crypto.dump_certificate(
            crypto.FILETYPE_ASN1, crypto.load_certificate(crypto.FILETYPE_PEM, authority().pem)
        )
        good = with_chain(authority().server("mx1.b.example"))
        for server, text, result in (
            (good, f"2 0 1 {sha256(root)}", D),
            (with_chain(authority().server("b.example")), f"2 0 1 {sha256(root)}", D),
            (authority().server("mx1.b.example"), f"2 0 0 {root.hex()}", D),
            (authority().server("mx1.b.example"), f"2 0 1 {sha256(root)}", T),
            (with_chain(authority().server("other.example")), f"2 0 1 {sha256(root)}", T),
            (with_chain(authority().server("mx1.b.example", days=-1)), f"2 0 1 {sha256(root)}", T),
            (with_chain(Authority().server("mx1.b.example")), f"2 0 1 {sha256(root)}", T),
            (good, f"2 0 1 {sha256(leaf(good))}", T),
        ):
            scene = self.scene(SIGNED + tlsa(text))
            scene.host("192.0.2.1", tls=server)
            (outcome,) = scene.carry()
            self.assertEqual(outcome.result, result, f"{text[:6]} {outcome.reason}")

    def test_one_of_several(self) -> None:
        """Any record that fits will do (roll-over)."""
        server = authority().server("mx1.b.example")
        zone = SIGNED + tlsa(f"3 0 1 {'11' * 32}") + tlsa(f"3 0 1 {sha256(leaf(server))}")
        scene = self.scene(zone)
        scene.host("192.0.2.1", tls=server)
        self.assertEqual(scene.carry()[0].result, D)

    def test_tls_is_a_must(self) -> None:
        """Records of other kinds only: TLS with anybody, never clear."""
        zone = SIGNED + tlsa(f"1 0 1 {'11' * 32}")
        for tls, result in ((Authority().server("else.example"), D), (None, T)):
            scene = self.scene(zone)
            scene.host("192.0.2.1", tls=tls)
            self.assertEqual(scene.carry()[0].result, result)

    def test_unsigned(self) -> None:
        """Without DNSSEC the records mean nothing, wherever the signature is missing."""
        wrong = tlsa(f"3 0 1 {'00' * 32}")
        for zone in (
            ZONE + wrong,
            ZONE + ";! authentic b.example.\n" + wrong.replace("mx1.b.example", "mx.other.example"),
        ):
            scene = self.scene(zone)
            scene.host("192.0.2.1")
            self.assertEqual(scene.carry()[0].result, D)
        zone = "s.example. MX 10 mx.u.example.\nmx.u.example. A 192.0.2.5\n;! authentic s.example.\n"
        scene = self.scene(zone + tlsa(f"3 0 1 {'00' * 32}", "mx.u.example"))
        scene.host("192.0.2.5")
        self.assertEqual(scene.carry("bob@s.example")[0].result, D)

    def test_look_up_fails(self) -> None:
        """A TLSA look-up that fails keeps the mail from this exchanger; the next one gets it."""
        zone = SIGNED + ";! servfail _25._tcp.mx1.b.example.\n"
        scene = self.scene(zone)
        first, second = scene.host("192.0.2.1"), scene.host("192.0.2.2")
        (outcome,) = scene.carry()
        self.assertEqual((outcome.result, first.connections, len(second.mails)), (D, 0, 1))

    def test_aliases(self) -> None:
        """Behind a signed CNAME: the records of the last name first, then of the first; SNI is the one that counts."""
        base = (
            "s.example. MX 10 mx.s.example.\nmx.s.example. CNAME real.h.example.\nreal.h.example. A 192.0.2.5\n"
            ";! authentic s.example.\n"
        )
        signed = base + ";! authentic h.example.\n"
        server = Authority().server("x.example")
        good, bad = f"3 0 1 {sha256(leaf(server))}", f"3 0 1 {'00' * 32}"
        for zone, result, sni in (
            (signed + tlsa(good, "real.h.example") + tlsa(bad, "mx.s.example"), D, b"real.h.example"),
            (signed + tlsa(good, "mx.s.example"), D, b"mx.s.example"),
            (signed + tlsa(bad, "mx.s.example"), T, b"mx.s.example"),
        ):
            names: list[bytes | None] = []
            server = CertificateOptions(privateKey=server.privateKey, certificate=server.certificate)

            def note(connection: SSL.Connection, names: list[bytes | None] = names) -> None:
                names.append(connection.get_servername())

            server.getContext().set_tlsext_servername_callback(note)
            scene = self.scene(zone)
            scene.host("192.0.2.5", tls=server)
            self.assertEqual((scene.carry("bob@s.example")[0].result, names), (result, [sni]))

    def test_over_sts(self) -> None:
        """MTA-STS does not make good what DANE finds wrong, nor the other way round."""
        server = Authority().server("mx1.b.example")
        zone = SIGNED + STS
        scene = self.scene(zone + tlsa(f"3 0 1 {sha256(leaf(server))}"), fetch=Policies(policy()))
        scene.host("192.0.2.1", tls=server)
        self.assertEqual(scene.carry()[0].result, D)
        scene = self.scene(zone + tlsa(f"3 0 1 {'00' * 32}"), fetch=Policies(policy()))
        scene.host("192.0.2.1", tls=authority().server("mx1.b.example"))
        self.assertEqual(scene.carry()[0].result, T)


class RequireTlsTests(Secure):
    """REQUIRETLS and TLS-Required (RFC 8689)."""

    def test_rows(self) -> None:
        """Vouched names, a verified certificate and the offer, or no mail; then the word is said to the next host."""
        offers = ("PIPELINING", "8BITMIME", "REQUIRETLS")
        good, bad = authority().server("mx1.b.example"), Authority().server("mx1.b.example")
        for zone, tls, offered, result in (
            (SIGNED, good, offers, D),
            (SIGNED, good, offers[:2], F),
            (SIGNED, bad, offers, T),
            (SIGNED, None, offers, T),
            (ZONE, good, offers, T),
            (ZONE + STS, good, offers, D),
        ):
            scene = self.scene(zone, fetch=Policies(policy("testing")))
            host = scene.host("192.0.2.1", tls=tls, offers=offered)
            (outcome,) = scene.carry(require_tls=True)
            self.assertEqual((outcome.result, len(host.mails)), (result, int(result is D)), outcome)
            if result is D:
                self.assertIn("MAIL FROM:<ann@a.example> REQUIRETLS", host.commands)

    def test_at_any_price(self) -> None:
        """``TLS-Required: No`` sets policies aside, unless REQUIRETLS was asked for."""
        content = Content(b"TLS-Required: No\n" + HEADER, BODY, (HEADER + BODY).count(b"\n") + 1)
        scene = self.scene(ZONE + STS, fetch=Policies(policy()))
        host = scene.host("192.0.2.1")
        self.assertEqual((scene.carry()[0].result, scene.carry(content=content)[0].result), (T, D))
        self.assertEqual(scene.carry(content=content, require_tls=True)[0].result, T)
        self.assertEqual(len(host.mails), 1)


class MemoryTests(Secure):
    """Hosts that once had good TLS."""

    def test_worse(self) -> None:
        """Good, then unverified, then clear: each step down is told once, whatever comes after."""
        scene = self.scene(idle_seconds=0)
        good, bad = authority().server("mx1.b.example"), Authority().server("mx1.b.example")
        host = scene.host("192.0.2.1", tls=good)
        for tls, told in ((good, 0), (bad, 1), (bad, 1), (None, 2), (None, 2), (good, 2), (good, 2)):
            host.tls = tls
            self.assertEqual(scene.carry()[0].result, D)
            self.assertEqual(len(scene.journal.of(TlsDowngraded)), told, str(tls))
        first, second = scene.journal.of(TlsDowngraded)
        self.assertIn("certificate was good on 2023-11-14", first.reason)
        self.assertIn("not offered any more", second.reason)

    def test_over_restarts(self) -> None:
        memory = self.memory()
        scene = self.scene(memory=memory)
        scene.host("192.0.2.1", tls=authority().server("mx1.b.example"))
        scene.carry()
        scene = self.scene(memory=RelayMemory(memory._database, RememberedJournal()))
        scene.host("192.0.2.1")
        scene.carry()
        self.assertEqual(len(scene.journal.of(TlsDowngraded)), 1)

    def test_results(self) -> None:
        """Sessions are counted by what they proved, not messages."""
        scene = self.scene(memory=self.memory())
        scene.host("192.0.2.1", tls=authority().server("mx1.b.example"))
        scene.host("192.0.2.3")
        for recipient in ("bob@b.example", "cy@b.example", "bob@c.example"):
            scene.carry(recipient)
        self.assertEqual(
            sorted(self.results(scene)),
            [
                ("b.example", "no-policy-found", "", "", 1),
                ("c.example", "no-policy-found", "starttls-not-supported", "c.example", 1),
            ],
        )

    def test_broken_file(self) -> None:
        """A database that cannot be used is told, and mail goes all the same."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"no database at all, but long enough to be looked at" * 100)
        journal = RememberedJournal()
        memory = RelayMemory(Database(path, MIGRATIONS, InlineWorkers()), journal)
        scene = self.scene(memory=memory)
        scene.host("192.0.2.1")
        self.assertEqual(scene.carry()[0].result, D)
        self.assertTrue(journal.failures)
