"""A battery of forgeries (after Chen, Paxson, Jiang: Composition Kills, 2020, and later work): none may show as proven.

The attacker owns attacker.test with everything valid: SPF, DKIM keys, DMARC. The victim publishes p=reject. Each case is
one way of making a checker and a reader see different authors. For none of them may Authentication-Results say
``dmarc=pass header.from=victim.test`` or ``dkim=pass header.d=victim.test``, and none may be accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.author import author_of as author_for_the_checks
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.addresses import Mailbox
from mailbox_appliance.mail.header import from_addresses, group_fields
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.mailauth.canonical import HeaderBlock
from mailbox_appliance.mailauth.signature import ED25519
from mailbox_appliance.smtp.author import AuthorError
from mailbox_appliance.smtp.author import author_of as author_at_the_door
from mailbox_appliance.wire.imap.render_envelope import render_envelope
from tests.checks.scene import ATTACKER_IP, NOW, SEALER_IP, Scene, letter, sealed, signed
from tests.mailauth.proof import split

V, A = "eve@victim.test", "crook@attacker.test"
Peer = dict[str, str]

# Values of From (or what stands in its place). All are sent by the attacker's host with an attacker's signature.
FROMS: dict[str, str] = {
    "plain": V,
    "angle": f"Eve <{V}>",
    "two addresses": f"{A}, {V}",
    "two addresses, victim first": f"{V}, {A}",
    "two angles": f"<{A}> <{V}>",
    "two angles glued": f"<{V}><{A}>",
    "angle in angle": f"<{V} <{A}>>",
    "bare before angle": f"{V} <{A}>",
    "bare behind angle": f"<{A}> {V}",
    "two fields": f"{A}\nFrom: {V}",
    "two fields, victim first": f"{V}\nFrom: {A}",
    "two fields, other case": f"{A}\nfRoM: {V}",
    "two fields, blank before the colon": f"{A}\nFrom : {V}",
    "two fields, tab before the colon": f"{A}\nFrom\t: {V}",
    "two fields, folded": f"{A}\nFrom:\n {V}",
    "two fields, empty first": f"\nFrom: {V}",
    "empty": "",
    "null": "<>",
    "null and victim": f"<>, {V}",
    "group": f"Friends: {V};",
    "group of two": f"Friends: {A}, {V};",
    "empty group and victim": f"Friends:;, {V}",
    "group and attacker": f"{V}:;, {A}",
    "source route": f"<@attacker.test:{V}>",
    "source route the other way": f"<@victim.test:{A}>",
    "source route of two": f"<@attacker.test,@victim.test:{A}>",
    "comment with victim": f"{A} ({V})",
    "comment between": "eve(@attacker.test)@victim.test",
    "comment in domain": "eve@victim.test(.attacker.test)",
    "comment hides attacker": f"({A}) {V}",
    "nested comment": f"(a (b) {A}) <{V}>",
    "open comment": f"{V} ({A}",
    "quoted local part": '"crook@attacker.test,"@victim.test',
    "quoted local part with angle": f'"{A}>"@victim.test',
    "quoted victim": f'"{V}" <{V}>',
    "open quote": f'"Eve <{V}> <{A}>',
    "backslash": "eve\\@attacker.test@victim.test",
    "two at signs": "eve@victim.test@attacker.test",
    "two at signs, other way": "eve@attacker.test@victim.test",
    "percent": "eve%attacker.test@victim.test",
    "encoded address": "=?utf-8?q?eve=40victim.test?= <eve@victim.test>",
    "encoded whole": "=?utf-8?b?PGV2ZUB2aWN0aW0udGVzdD4=?=",
    "encoded whole and attacker": f"=?utf-8?b?PGV2ZUB2aWN0aW0udGVzdD4s?= <{V}>",
    "encoded domain": "eve@=?utf-8?q?victim.test?=",
    "encoded line end": f"=?utf-8?q?x=0AFrom:_{A}?= <{V}>",
    "folded in the address": "eve@victim\n .test",
    "folded behind the at": "eve@\n victim.test",
    "folded often": "\n \n \n " + V,
    "folded by tabs": f"Eve\n\t<\n\t{V}\n\t>",
    "capitals": "EVE@VICTIM.TEST",
    "final dot": "eve@victim.test.",
    "leading dot": "eve@.victim.test",
    "subdomain": "eve@mail.victim.test",
    "deep subdomain": "eve@a.b.c.d.e.f.g.h.i.j.victim.test",
    "subdomain with underscore": "eve@_dmarc.victim.test",
    "literal": "eve@[192.0.2.10]",
    "single label": "eve@localhost",
    "trailing comma": f"{V},",
    "leading comma": f",{V}",
    "semicolon": f"{V}; {A}",
    "no-break space": f"{V}\u00a0<{A}>",
    "zero width space": "eve@vic\u200btim.test",
    "wide letters": "eve@ｖｉｃｔｉｍ.test",
    "soft hyphen": "eve@vic\u00adtim.test",
    "wide full stop": "eve@victim。test",
    "right to left": "\u202etset.mitciv@eve\u202c <" + V + ">",
    "control character": f"{V}\x01",
    "delete character": f"\x7f{V}",
    "escape": f"\x1b{A}\x1b <{V}>",
    "broken utf-8": "\udcff\udcfe <" + V + ">",
    "latin-1 domain": "eve@v\udcedctim.test",
    "very long name": "x" * 2500 + f" <{V}>",
    "very many names": ", ".join([V] * 200),
    "angle of nothing behind": f"{V} <>",
    "angle of nothing before": f"<> {V}",
    "words behind the address": f"{V} junk",
    "quoted words behind the address": f'{V} "junk"',
    "sender besides": f"{A}\nSender: {V}",
    "two senders besides": f"{A}\nSender: {V}\nSender: {A}",
    "reply-to besides": f"{A}\nReply-To: {V}",
    "name is the victim": f'"{V}" <{A}>',
    "encoded name is the victim": f"=?utf-8?q?eve=40victim.test?= <{A}>",
    "encoded name is the victim in angles": f"=?utf-8?q?=3Ceve=40victim.test=3E?= <{A}>",
    "name with a quote that seems to end": f'"Eve\\" <{V}>" <{A}>',
    "encoded name with NUL": f"=?utf-8?q?eve=40victim.test=00?= <{A}>",
    "encoded name with a field": "=?utf-8?b?eA0KRnJvbTogZXZlQHZpY3RpbS50ZXN0DQo=?= <" + A + ">",
    "encoded name in UTF-7": f"=?utf-7?q?+ADw-eve+AEA-victim.test+AD4-?= <{A}>",
    "comment within the angle": f"<({V}){A}>",
    "comment behind the at": f"crook@({V})attacker.test",
    "victim as a quoted local part": f'"{V}"@attacker.test',
    "victim as a quoted local part with blanks": '"eve @victim.test "@attacker.test',
    "line separator": f"{A}\u2028<{V}>",
    "next line": f"{A}\x85<{V}>",
    "vertical tab": f"{A}\x0b<{V}>",
    "form feed": f"{A}\x0c{V}",
    "backspaces": f"{V}\x08\x08\x08<{A}>",
    "ideographic space": f"{A}\u3000<{V}>",
    "colon between": f"{V}:{A}",
    "dotless i": "eve@v\u0131ctim.test",
    "Cyrillic letter": "eve@vi\u0441tim.test",
    "two dots": "eve@victim..test",
    "bang path": "victim.test!eve@attacker.test",
    "literal with a comment": f"crook@[attacker.test({V})]",
    "lines of blanks between": f"{V}" + "\n " * 5 + f"<{A}>",
    "address in square brackets": f"[{V}] <{A}>",
    "a thousand comments": "(" * 1000 + V + ")" * 1000 + A,
    "open quote behind": f'{A}, "{V}',
    "only a name": "Eve of victim.test",
}

# The same trouble without any From field.
OTHERS: dict[str, bytes] = {
    "sender instead of from": letter(V).replace(b"From:", b"Sender:"),
    "resent-from besides": letter(V, Resent_From=A),
    "line without colon before": b"From " + A.encode() + b"\n" + letter(V),
    "continuation first": b" From: " + A.encode() + b"\n" + letter(V),
    "blank line first": b"\n" + letter(V),
    "field without name": b": x\n" + letter(V),
    "from in the body": letter(A).replace(b"From: ", b"X: ", 1) + letter(V),
}


def by_signature() -> Iterator[tuple[str, bytes]]:
    """Signatures that hold for somebody, or were made to look so."""
    plain = letter(V)
    mine = signed(plain, "attacker.test")
    true = signed(letter(V, body="The true text.\n"), "victim.test")
    # The key of victim.test and attacker.test is the same in this scene, so each of these must fail by what it says.
    yield "signed by the attacker", mine
    yield "signed by the attacker, Ed25519", signed(plain, "attacker.test", ED25519)
    yield "true signature, other body", true.replace(b"The true text.", b"Another text.")
    yield "true signature, more body", true + b"And more.\n"
    yield "true signature, other subject", true.replace(b"An invoice", b"A reward")
    yield "true signature, subject added", true.replace(b"Subject:", b"Subject: A reward\nSubject:")
    yield "true signature, subject added below", true.replace(b"\n\n", b"\nSubject: A reward\n\n", 1)
    yield "true signature, from added", b"From: " + A.encode() + b"\n" + true
    yield "true signature, from added below", true.replace(b"\n\n", b"\nFrom: boss@victim.test\n\n", 1)
    yield "true signature, type added", true.replace(b"\n\n", b"\nContent-Type: text/html\n\n", 1)
    yield "true signature, to added", true.replace(b"\n\n", b"\nTo: bob@home.test\n\n", 1)
    yield "i= of the victim", _changed(mine, b"s=k1;", b"s=k1; i=@victim.test;")
    yield "i= with two at signs", _changed(mine, b"s=k1;", b"s=k1; i=a@attacker.test@victim.test;")
    yield "d= twice", _changed(mine, b"d=attacker.test;", b"d=attacker.test; d=victim.test;")
    yield "d= with a comment", _changed(mine, b"d=attacker.test;", b"d=victim.test(.attacker.test);")
    yield "d= with NUL escaped", _changed(mine, b"d=attacker.test;", b"d=victim.test\\0.attacker.test;")
    yield "d= the top-level domain", _changed(mine, b"d=attacker.test;", b"d=test;")
    yield "d= empty", _changed(mine, b"d=attacker.test;", b"d=;")
    yield "d= with a final dot", _changed(mine, b"d=attacker.test;", b"d=victim.test.;")
    yield "s= that leaves the domain", _changed(mine, b"s=k1;", b"s=k1._domainkey.attacker.test#;")
    yield "s= with a NUL", _changed(mine, b"s=k1;", b"s=k1._domainkey.attacker.test\\000.x;")
    yield "l= of nothing", _changed(true, b"v=1;", b"v=1; l=0;")
    yield "expired", signed(plain, "victim.test", now=NOW - 99).replace(b"t=", b"x=1763700000; t=", 1)
    yield "from the future", signed(plain, "victim.test", now=NOW + 10 * 86_400)
    yield "rsa-sha1", _changed(true, b"a=rsa-sha256", b"a=rsa-sha1")
    yield "no algorithm", _changed(true, b"a=rsa-sha256", b"a=none")
    yield "other algorithm's key", _changed(true, b"a=rsa-sha256", b"a=ed25519-sha256")
    yield "empty signature", re.sub(rb"\tb=[^:]*?\nFrom", b"\tb=\nFrom", true)
    yield "From not signed", true.replace(b"h=from:from:", b"h=")
    yield "unknown version", _changed(true, b"v=1;", b"v=2;")
    yield "ten bad ones before a good one", b"DKIM-Signature: v=1\n" * 10 + true


def _changed(message: bytes, old: bytes, new: bytes) -> bytes:
    assert old in message
    return message.replace(old, new, 1)


def by_chain() -> Iterator[tuple[str, bytes]]:
    """Forged ARC."""
    claim = "mx.home.test; dmarc=pass header.from=victim.test; dkim=pass header.d=victim.test; spf=pass"
    plain = letter(V)
    yield "sealed by the attacker", sealed(plain, "attacker.test", claim)
    yield (
        "sealed in the name of the trusted",
        _changed(sealed(plain, "attacker.test", claim), b"d=attacker.test", b"d=sealer.test"),
    )
    yield "sealed, then changed", sealed(plain, "sealer.test", claim).replace(b"pay at once", b"pay me")
    yield (
        "trusted seal below the attacker's",
        sealed(sealed(plain, "sealer.test", "sealer.test; dmarc=fail"), "attacker.test", claim, "pass"),
    )
    yield (
        "attacker's seal below the trusted",
        sealed(sealed(plain, "attacker.test", claim), "sealer.test", "sealer.test; dmarc=fail; arc=pass", "pass"),
    )
    yield (
        "results changed under the seal",
        _changed(sealed(plain, "sealer.test", "sealer.test; dmarc=fail x=1"), b"dmarc=fail", b"dmarc=pass"),
    )
    yield "pass only in a comment", sealed(plain, "sealer.test", "sealer.test; dmarc=fail (; dmarc=pass)")
    yield (
        "pass only in a comment within one",
        sealed(plain, "sealer.test", "sealer.test; dmarc=fail (a (b) ; dmarc=pass )"),
    )
    yield (
        "pass only in a quoted local part",
        sealed(plain, "sealer.test", 'sealer.test; spf=pass smtp.mailfrom="x; dmarc=pass "@a.test; dmarc=fail'),
    )
    yield "pass only as a part of a word", sealed(plain, "sealer.test", "sealer.test; xdmarc=pass; dmarc=passing")
    yield "no chain, only claims", f"ARC-Authentication-Results: i=1; {claim}\n".encode() + plain
    yield "claims in our name", f"Authentication-Results: {claim}\n".encode() + plain


BY_SPF: dict[str, Peer] = {
    "null sender, HELO of the victim": {"sender": "", "helo": "victim.test"},
    "null sender, HELO of the attacker": {"sender": "", "helo": "attacker.test"},
    "sender of a victim's subdomain": {"sender": "x@news.victim.test"},
    "sender of the victim": {"sender": V},
    "sender with a quoted victim": {"sender": '"eve@victim.test"@attacker.test'},
    "HELO of the victim": {"helo": "victim.test"},
    "HELO with a blank": {"helo": "victim.test attacker.test"},
    "HELO as a literal": {"helo": "[192.0.2.10]"},
    "IPv6 that looks like the victim": {"ip": "2001:db8::c000:20a"},
    "sealer's host": {"ip": SEALER_IP, "helo": "sealer.test", "sender": "x@sealer.test"},
}

SEALER = {"ip": SEALER_IP, "helo": "sealer.test", "sender": "x@sealer.test"}
PROVEN = re.compile(rb"d(?:marc|kim)=pass[^;]*header\.(?:from|d|i)=\S*victim\.test|spf=pass[^;]*victim\.test")


def _address_of(mailbox: Mailbox) -> Address | None:
    try:
        return Address.of((mailbox.local or b"").decode(), (mailbox.domain or b"").decode())
    except (AddressError, UnicodeDecodeError):
        return None


class ForgeryTests(SynchronousTestCase):
    """Every case, each on a fresh house; and once more on one that has seen all the others before."""

    def setUp(self) -> None:
        self.warm = Scene(trusted_sealers=frozenset({"sealer.test"}))
        self.warm.dns.remembered = {}

    def judge(self, name: str, message: bytes, **peer: str) -> None:
        scene = Scene(trusted_sealers=frozenset({"sealer.test"}))
        if not peer:
            peer = {"ip": ATTACKER_IP}
        verdict = scene.examine(message, **peer)
        for _ in range(2):
            self.assertEqual(self.warm.examine(message, **peer), verdict, name)
        self.assertIsNone(PROVEN.search(verdict.fields.replace(b"\n\t", b" ")), f"{name}: {verdict.fields!r}")
        if verdict.action is Action.REJECT:
            return
        # The door asks for one plain author before anything is checked.
        header, _ = split(message)
        try:
            author = author_at_the_door(group_fields(header).get(b"from", []))
        except AuthorError:
            return
        self.assertFalse(author.domain.endswith("victim.test"), f"{name}: {verdict.action} with author {author}")
        if "dmarc=pass" in verdict.fields.decode():
            self.assertIn(f"header.from={author.domain}", verdict.fields.decode(), name)

    def test_from(self) -> None:
        """Odd From fields, signed by the attacker and not."""
        for name, value in FROMS.items():
            message = letter(value)
            self.judge(name, message)
            self.judge(f"{name}, signed", signed(message, "attacker.test"))
        for name, message in OTHERS.items():
            self.judge(name, message)
            self.judge(f"{name}, signed", signed(message, "attacker.test"))

    def test_what_readers_see(self) -> None:
        """What gets in shows the one author that was checked, and ENVELOPE names nobody else as whole address."""
        for name, value in FROMS.items():
            header, _ = split(signed(letter(value), "attacker.test"))
            try:
                author = author_at_the_door(group_fields(header).get(b"from", []))
            except AuthorError:
                continue
            checked = author_for_the_checks(HeaderBlock(header))
            self.assertIn(checked, (None, author), name)
            shown = {_address_of(one) for one in from_addresses(header) if one.is_whole}
            self.assertLessEqual(shown - {None}, {author}, name)
            envelope = render_envelope(header)
            for one in from_addresses(header):
                if one.is_whole and one.domain is not None and one.domain.isascii():
                    self.assertIn(b'"' + one.domain + b'"', envelope, name)
            if author.domain != "victim.test":
                self.assertNotIn(b'"victim.test"', envelope.split(b'"An invoice"', 1)[1].split(b"))")[0], name)

    def test_signatures(self) -> None:
        """Odd signatures."""
        for name, message in by_signature():
            self.judge(name, message)

    def test_chains(self) -> None:
        """Forged ARC."""
        for name, message in by_chain():
            self.judge(name, message)

    def test_envelopes(self) -> None:
        """SPF for the wrong identity."""
        for name, peer in BY_SPF.items():
            self.judge(name, letter(V), **peer)

    def test_enough_of_them(self) -> None:
        """The battery counts at least 60 cases, and the scene itself can tell right from wrong."""
        cases = 2 * (len(FROMS) + len(OTHERS)) + len(list(by_signature())) + len(list(by_chain())) + len(BY_SPF)
        self.assertGreaterEqual(cases, 60)
        true = signed(letter(V, body="The true text.\n"), "victim.test")
        verdict = Scene().examine(true)
        self.assertEqual(verdict.action, Action.ACCEPT)
        self.assertIsNotNone(PROVEN.search(verdict.fields.replace(b"\n\t", b" ")))
        good = sealed(letter(V), "sealer.test", "sealer.test; dmarc=pass header.from=victim.test")
        trusting = Scene(trusted_sealers=frozenset({"sealer.test"}))
        self.assertEqual(trusting.examine(good, **SEALER).action, Action.ACCEPT)

    def test_homographs(self) -> None:
        """A name that only looks like the victim's shows as what it is."""
        verdict = Scene().examine(letter("eve@víctim.test"), sender="x@xn--vctim-dqa.test")
        self.assertNotIn("header.from=victim.test", verdict.fields.decode())
        self.assertIn("header.from=xn--vctim-", verdict.fields.decode())
