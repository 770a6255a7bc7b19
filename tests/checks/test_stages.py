"""A stranger's message through all stages: what is found, what is decided, what is said about it."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.settings import DnsList, dns_lists
from mailbox_appliance.checks.verdict import turning_points
from mailbox_appliance.journal.events.checks import Judged, ListFault, LookUpsFailed
from mailbox_appliance.mail.message import SpooledBody
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.mailauth.signature import ED25519
from mailbox_appliance.ports.checks import CHECK_NAMES
from tests.checks.scene import (
    ATTACKER_IP,
    NOBODY_IP,
    SEALER_IP,
    VICTIM_IP,
    Scene,
    found,
    letter,
    sealed,
    signed,
)
from tests.mailauth.proof import split

HONEST = {"ip": VICTIM_IP, "helo": "mx.victim.test", "sender": "eve@victim.test"}


class HonestMailTests(SynchronousTestCase):
    """Good mail passes with a clean sheet."""

    def test_everything_right(self) -> None:
        """SPF, DKIM by both algorithms, DMARC, name and HELO: accepted, and Authentication-Results say so."""
        message = signed(signed(letter("Eve <eve@victim.test>"), "victim.test"), "victim.test", ED25519)
        scene = Scene()
        verdict = scene.examine(message, **HONEST)
        self.assertEqual(verdict.action, Action.ACCEPT)
        self.assertLess(verdict.score, 0.1)
        for check in ("fcrdns", "helo", "spf", "dkim", "dmarc"):
            self.assertEqual(found(verdict, check), ["pass"], check)
        fields = verdict.fields.decode()
        self.assertTrue(fields.startswith("Authentication-Results: mx.home.test;\n\t"))
        for words in (
            "iprev=pass policy.iprev=192.0.2.10",
            "spf=pass smtp.mailfrom=victim.test",
            "dkim=pass header.d=victim.test",
            "header.a=ed25519-sha256",
            "dmarc=pass",
            "header.from=victim.test",
        ):
            self.assertIn(words, fields)
        (judged,) = scene.journal.of(Judged)
        self.assertEqual((judged.trace, judged.action, judged.author), ("trace", "accept", "eve@victim.test"))

    def test_forwarded_but_signed(self) -> None:
        """SPF fails on the way through a forwarder; the signature is enough for DMARC."""
        verdict = Scene().examine(
            signed(letter("eve@victim.test"), "victim.test"), ip=SEALER_IP, helo="sealer.test", sender="eve@victim.test"
        )
        self.assertEqual((verdict.action, found(verdict, "dmarc")), (Action.ACCEPT, ["pass"]))

    def test_large_body_from_the_spool(self) -> None:
        """A body in a spool file is hashed piece by piece; a change in its last octet is seen."""
        text = "word and another word in a line of text \t \n" * 30_000 + "\n\n\n"
        message = signed(letter("eve@victim.test", text), "victim.test")
        header, body = split(message)
        for octets, wanted in ((body, "pass"), (body.rstrip() + b"!\n", "fail")):
            with tempfile.NamedTemporaryFile() as file:
                file.write(b"some bytes before" + octets)
                file.flush()
                spooled = SpooledBody(file.name, 17, len(octets))
                scene = Scene()
                verdict = scene.examine(header, body=spooled, **HONEST)
                self.assertEqual(found(verdict, "dkim"), [wanted])
        self.assertIn("disk", scene.workers.doors)

    def test_spool_file_gone(self) -> None:
        """A body that cannot be read defers the message and is told."""
        message = signed(letter("eve@victim.test"), "victim.test")
        scene = Scene()
        asked = scene.ask(message, body=SpooledBody(os.devnull, 0, 1000), **HONEST)
        verdict = self.successResultOf(asked)
        self.assertEqual(verdict.action, Action.DEFER)
        self.assertEqual(len(scene.journal.failures), 1)


class PolicyTests(SynchronousTestCase):
    """DMARC decides what its owner asked for."""

    def test_reject(self) -> None:
        """p=reject: refused with 550 5.7.26, with a reason for the owner and what would have changed it."""
        scene = Scene()
        verdict = scene.examine(letter("eve@victim.test"))
        assert verdict.reply is not None
        self.assertEqual((verdict.action, verdict.reply.code, verdict.reply.enhanced), (Action.REJECT, 550, "5.7.26"))
        self.assertIn("needs one of its own", verdict.reason)
        (turn,) = turning_points(verdict, scene.settings)
        self.assertIn("without dmarc fail p=reject it would be accepted", turn)
        self.assertIn("SPF or DKIM that passes for victim.test", turn)

    def test_quarantine_is_strict(self) -> None:
        """p=quarantine with adkim=s: a signature of a subdomain is not enough, and the message is Junk."""
        scene = Scene(keys=("bank.test", "mail.bank.test"))
        verdict = scene.examine(signed(letter("eve@bank.test"), "mail.bank.test"))
        self.assertEqual((verdict.action, found(verdict, "dmarc")), (Action.JUNK, ["fail p=quarantine"]))
        verdict = scene.examine(signed(letter("eve@bank.test"), "bank.test"))
        self.assertEqual((verdict.action, found(verdict, "dmarc")), (Action.ACCEPT, ["pass"]))

    def test_subdomain_policies(self) -> None:
        """p=none with sp=reject refuses a subdomain, there or not; the domain itself only weighs."""
        for author, result in (
            ("eve@shop.test", "fail p=none"),
            ("eve@here.shop.test", "fail p=reject"),
            ("eve@nowhere.shop.test", "fail p=reject"),
        ):
            self.assertEqual(found(Scene().examine(letter(author)), "dmarc"), [result], author)

    def test_record_that_means_nothing(self) -> None:
        """p=drop is no policy: it counts as none, and the fault is evidence."""
        verdict = Scene().examine(letter("eve@drop.test"))
        self.assertEqual(found(verdict, "dmarc"), ["fail p=none"])
        (fault,) = [one for one in verdict.evidence if one.check == "dmarc-record"]
        self.assertIn("p=drop", fault.reason)

    def test_no_policy(self) -> None:
        """Misalignment is evidence also where nothing is published."""
        verdict = Scene().examine(letter("eve@plain.test"))
        self.assertEqual(found(verdict, "dmarc"), ["stranger"])
        verdict = Scene(keys=("plain.test",)).examine(signed(letter("eve@plain.test"), "plain.test"))
        self.assertEqual(found(verdict, "dmarc"), ["none"])

    def test_whom_the_owner_believes(self) -> None:
        """A forwarder's network, a list's domain and a trusted sealer that saw DMARC pass; nobody else."""
        from ipaddress import ip_network

        message = letter("eve@victim.test", Subject="[list] An invoice")
        list_peer = {"ip": "192.0.2.78", "helo": "lists.test", "sender": "list@lists.test"}
        self.assertEqual(Scene().examine(message, **list_peer).action, Action.REJECT)
        believed = Scene(trusted_lists=frozenset({"lists.test"})).examine(message, **list_peer)
        self.assertEqual((believed.action, found(believed, "dmarc")), (Action.ACCEPT, ["fail forgiven"]))
        self.assertIn("dmarc=fail", believed.fields.decode())
        near = Scene(forwarders=(ip_network("192.0.2.78/32"),)).examine(message, **list_peer)
        self.assertEqual(near.action, Action.ACCEPT)
        arc_peer = {"ip": SEALER_IP, "helo": "sealer.test", "sender": "list@sealer.test"}
        through = sealed(message, "sealer.test", "sealer.test; dmarc=pass header.from=victim.test")
        trusting: dict[str, Any] = {"trusted_sealers": frozenset({"sealer.test"})}
        self.assertEqual(Scene(**trusting).examine(through, **arc_peer).action, Action.ACCEPT)
        self.assertEqual(Scene().examine(through, **arc_peer).action, Action.REJECT)
        failed = sealed(message, "sealer.test", "sealer.test; dmarc=fail; spf=none (dmarc=pass)")
        self.assertEqual(Scene(**trusting).examine(failed, **arc_peer).action, Action.REJECT)

    def test_what_a_list_brought(self) -> None:
        """The remedy names the list that brought it, if something proves the list; a forger's word for one does not."""
        message = letter("eve@victim.test", List_Id="<chess.lists.test>")
        scene = Scene()
        verdict = scene.examine(message, ip="192.0.2.78", helo="lists.test", sender="chess-bounces@lists.test")
        self.assertEqual(verdict.action, Action.REJECT)
        self.assertIn("; or lists.test in [checks] mailing_lists", turning_points(verdict, scene.settings)[0])
        trusting = Scene(trusted_lists=frozenset({"lists.test"}))
        peer = {"ip": "192.0.2.78", "helo": "lists.test", "sender": "chess-bounces@lists.test"}
        self.assertEqual(trusting.examine(message, **peer).action, Action.ACCEPT)
        forged = scene.examine(message, ip="192.0.2.99", helo="lists.test", sender="chess-bounces@lists.test")
        self.assertNotIn("mailing_lists", turning_points(forged, scene.settings)[0])

    def test_overrides(self) -> None:
        """The owner may soften a row, and switch a check off."""
        soft = Scene(actions={"dmarc fail p=reject": Action.JUNK}).examine(letter("eve@victim.test"))
        self.assertEqual(soft.action, Action.JUNK)
        off = Scene(actions={"dmarc fail p=reject": Action.ACCEPT}).examine(letter("eve@victim.test"))
        self.assertEqual(off.action, Action.ACCEPT)
        without = Scene(switched_off=frozenset({"dmarc"})).examine(letter("eve@victim.test"))
        self.assertEqual((without.action, found(without, "dmarc")), (Action.ACCEPT, []))
        heavy = Scene(weights={"dmarc stranger": 7.0}).examine(letter("eve@plain.test"))
        self.assertEqual(heavy.action, Action.JUNK)


class OwnNameTests(SynchronousTestCase):
    """Our own domain in From, from outside."""

    def test_forged(self) -> None:
        """Nothing proves it: refused, although we publish no DMARC policy; subdomains too."""
        for author in ("ann@home.test", "Ann <ANN@Home.Test>", "boss@sub.home.test"):
            verdict = Scene().examine(letter(author))
            assert verdict.reply is not None
            self.assertEqual((verdict.action, verdict.reply.enhanced), (Action.REJECT, "5.7.1"), author)

    def test_proven(self) -> None:
        """Our own signature, or a host in our SPF record, proves it."""
        verdict = Scene(keys=("home.test",)).examine(signed(letter("ann@home.test"), "home.test"))
        self.assertEqual((verdict.action, found(verdict, "own")), (Action.ACCEPT, ["pass"]))
        verdict = Scene().examine(letter("ann@home.test"), ip="192.0.2.90", helo="x.test", sender="news@home.test")
        self.assertEqual(found(verdict, "own"), ["pass"])

    def test_back_from_a_list(self) -> None:
        """A signature of ours that a list has broken: Junk, not refused."""
        message = signed(letter("ann@home.test"), "home.test") + b"-- \nthe list\n"
        verdict = Scene(keys=("home.test",)).examine(message, ip="192.0.2.78", helo="lists.test", sender="l@lists.test")
        self.assertEqual((verdict.action, found(verdict, "own")), (Action.JUNK, ["changed"]))

    def test_parent_proves_nothing(self) -> None:
        """What passes for a domain above ours is somebody else."""
        scene = Scene()
        scene.directory.owners = {"family.attacker.test": None}
        verdict = scene.examine(letter("ann@family.attacker.test"))
        self.assertEqual(found(verdict, "own"), ["forged"])


class ListTests(SynchronousTestCase):
    """DNS lists of addresses."""

    LISTS = (DnsList("bl.test"), DnsList("wl.test", -3.0))
    AT = "66.100.51.198"

    def test_listed(self) -> None:
        """In a list: Junk; a good list weighs against it; the remedy is said."""
        scene = Scene(f"{self.AT}.bl.test. A 127.0.0.4\n", lists=self.LISTS)
        verdict = scene.examine(letter("x@attacker.test"))
        self.assertEqual((verdict.action, found(verdict, "dnsbl")), (Action.JUNK, ["listed"]))
        self.assertIn("taken out of bl.test", turning_points(scene.examine(letter("x@plain.test")), scene.settings)[-1])
        scene = Scene(f"{self.AT}.bl.test. A 127.0.0.4\n{self.AT}.wl.test. A 127.0.1.3\n", lists=self.LISTS)
        self.assertEqual(scene.examine(letter("x@attacker.test")).action, Action.ACCEPT)

    def test_faults_are_no_listings(self) -> None:
        """Answers outside 127.0.0.0/8 and refusals 127.255.255.x are told once, and weigh nothing."""
        for answer in ("192.0.2.1", "127.255.255.254", "127.255.255.1"):
            scene = Scene(f"{self.AT}.bl.test. A {answer}\n", lists=self.LISTS)
            verdict = scene.examine(letter("x@attacker.test"))
            scene.examine(letter("x@attacker.test"))
            self.assertEqual((verdict.action, found(verdict, "dnsbl")), (Action.ACCEPT, ["fault"]), answer)
            (fault,) = scene.journal.of(ListFault)
            self.assertEqual((fault.zone, fault.answer), ("bl.test", answer))

    def test_ipv6(self) -> None:
        """Nibbles in reverse (RFC 5782 §2.4)."""
        name = "1." + "0." * 23 + "8.b.d.0.1.0.0.2"
        scene = Scene(f"{name}.bl.test. A 127.0.0.2\n", lists=self.LISTS)
        self.assertEqual(found(scene.examine(letter("x@attacker.test"), ip="2001:db8::1"), "dnsbl"), ["listed"])

    def test_settings(self) -> None:
        """Zones as the owner writes them."""
        self.assertEqual(dns_lists(("ZEN.test.", "b.test = 2.5")), (DnsList("zen.test", 6.0), DnsList("b.test", 2.5)))


class TroubleTests(SynchronousTestCase):
    """Name servers that fail are never a pass, and never for ever."""

    def test_servfail_defers(self) -> None:
        """A policy that cannot be asked for: come back later; the journal says what failed."""
        scene = Scene()
        verdict = scene.examine(letter("eve@broken.test"))
        assert verdict.reply is not None
        self.assertEqual((verdict.action, verdict.reply.code), (Action.DEFER, 451))
        (failed,) = scene.journal.of(LookUpsFailed)
        self.assertIn("TXT _dmarc.broken.test", failed.names)
        self.assertNotIn("pass", verdict.fields.decode().partition("dmarc=")[2][:12])

    def test_silence_ends(self) -> None:
        """No answer at all: after 20 seconds for everything together the message is deferred."""
        scene = Scene()
        asked = scene.ask(letter("eve@dark.test"), ip=NOBODY_IP, helo="mail.dark.test", sender="eve@dark.test")
        scene.clock.advance(19.9)
        self.assertNoResult(asked)
        scene.clock.advance(0.2)
        verdict = self.successResultOf(asked)
        self.assertEqual((verdict.action, found(verdict, "spf")), (Action.DEFER, ["temperror"]))
        self.assertEqual(scene.journal.failures, [])

    def test_key_in_the_dark(self) -> None:
        """A key that cannot be asked for is temperror; with another pass the message goes on."""
        scene = Scene("\n;! servfail _domainkey.victim.test.\n")
        verdict = scene.examine(signed(letter("eve@victim.test"), "victim.test"), **HONEST)
        self.assertEqual((found(verdict, "dkim"), found(verdict, "dmarc")), (["temperror"], ["pass"]))

    def test_a_bug_defers(self) -> None:
        """What breaks in a check ends that message's turn, with one traceback."""
        scene = Scene()
        scene.directory.domains = lambda: frozenset(str(1 // 0))  # type: ignore[method-assign]
        verdict = self.successResultOf(scene.ask(letter("eve@victim.test")))
        self.assertEqual(verdict.action, Action.DEFER)
        self.assertEqual([type(error) for _, error in scene.journal.failures], [ZeroDivisionError])


class HeloTests(SynchronousTestCase):
    """What the peer calls itself."""

    def test_words(self) -> None:
        """Each kind of name gets its word."""
        for helo, word in (
            ("attacker.test", "pass"),
            ("[198.51.100.66]", "literal"),
            ("[192.0.2.1]", "forged"),
            ("[IPv6:2001:db8::1]", "forged"),
            ("home.test", "ours"),
            ("MX.home.test", "ours"),
            ("friend", "invalid"),
            ("198.51.100.66", "invalid"),
            ("not a name", "invalid"),
            ("nowhere.test", "unknown"),
            ("mx.victim.test", "other"),
            ("", "none"),
        ):
            verdict = Scene().examine(letter("x@attacker.test"), helo=helo, ip=ATTACKER_IP)
            self.assertEqual(found(verdict, "helo"), [word], helo)


class SwitchTests(SynchronousTestCase):
    """[checks] switched_off, for every check there is."""

    def test_each(self) -> None:
        """A message that something is found in by each; what is off is not found, and the rest is."""
        body = (
            "--b\nContent-Type: text/html\n\n<input type=password> I recorded you, all contacts, bitcoin\n"
            '<a href="http://203.0.113.7/">x</a>\n--b\nContent-Type: text/plain; name=a.exe\n\nMZ\n--b--\n'
        )
        fields = {"MIME_Version": "1.0", "Content_Type": "multipart/mixed; boundary=b", "ARC_Seal": "i=1; x"}
        message = letter('"PayPal" <x@sub.home.test>', body, **fields).replace(b"ARC_", b"ARC-")
        lists = {"lists": dns_lists(("bl.test",)), "domain_lists": dns_lists(("dbl.test",))}
        zone = "66.100.51.198.bl.test. A 127.0.0.2\nattacker.test.dbl.test. A 127.0.1.2\n"
        elsewhere = {"scanner", "reputation", "sender", "known", "content", "greylist"}  # their own tests tell of them
        others = letter('"PayPal" <x@attacker.test>', body, **fields).replace(b"ARC_", b"ARC-")
        for check in sorted(set(CHECK_NAMES) - elsewhere):
            given = message if check == "own" else others
            for off in ((), (check,)):
                verdict = Scene(zone, switched_off=frozenset(off), **lists).examine(given)
                names = {one.check for one in verdict.evidence}
                self.assertEqual(check in names, not off, check)
                self.assertGreater(len(names), 5)
