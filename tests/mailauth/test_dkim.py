"""DKIM's rules one by one, our own signatures against dkimpy, and whatever else may stand in the fields."""

from __future__ import annotations

import base64
import itertools
import re

import dkim as dkimpy
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mailauth import dkim
from mailbox_appliance.mailauth.canonical import MOST_FIELDS, RELAXED, SIMPLE, BodyHash, HeaderBlock
from mailbox_appliance.mailauth.sign import dkim_field, load_key, names_to_sign, new_key, public_record
from mailbox_appliance.mailauth.signature import ED25519, RSA
from mailbox_appliance.mailauth.tags import TagError, read_tags
from mailbox_appliance.ports.dns import Answer, Status
from tests.mailauth.proof import Book, body_digest, split, verify

NOW = 1_763_800_000.0
RSA_KEY = load_key("example.org", "k1", new_key(RSA))
ED_KEY = load_key("example.org", "e1", new_key(ED25519))
RECORDS = {"k1._domainkey.example.org": public_record(RSA_KEY), "e1._domainkey.example.org": public_record(ED_KEY)}
MESSAGE = (
    b"Received: by x\nFrom: Ann <ann@example.org>\nTo: bob@example.net\nSubject: Hello,\n  folded\n\tsubject\n"
    b"Date: Sat, 22 Nov 2025 08:26:40 +0000\nMessage-ID: <1@example.org>\n\nText  with blanks \t\n\n\nand more\n\n\n"
)


def sign(message: bytes = MESSAGE, *keys: object, now: float = NOW) -> bytes:
    header, body = split(message)
    block = HeaderBlock(header)
    digest = body_digest(body, RELAXED)
    return b"".join(dkim_field(block, digest, key, now) for key in keys or (RSA_KEY, ED_KEY)) + message  # type: ignore[arg-type]


def judged(message: bytes, records: dict[str, object] | None = None, now: float = NOW) -> list[tuple[str, str]]:
    return [(one.result, one.reason) for one in verify(message, Book(RECORDS if records is None else records), now)]


class OwnSignatureTests(SynchronousTestCase):
    """What we make holds."""

    def test_both_hold(self) -> None:
        """Ours verify them, dkimpy verifies the RSA one."""
        message = sign()
        self.assertEqual([result for result, _ in judged(message)], ["pass", "pass"])
        book = {name.encode() + b".": text.encode() for name, text in RECORDS.items()}
        self.assertTrue(dkimpy.verify(message.replace(b"\n", b"\r\n"), dnsfunc=lambda name, timeout=5: book[name]))

    def test_oversigned(self) -> None:
        """Nothing that people see can be added, be it there or not."""
        message = sign()
        for name in (b"From", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"Reply-To", b"Content-Type"):
            for changed in (name + b": x\n" + message, message.replace(b"\n\n", b"\n" + name + b": x\n\n", 1)):
                self.assertEqual({result for result, _ in judged(changed)}, {"fail"}, name)
        self.assertEqual({result for result, _ in judged(b"X-Other: y\n" + message)}, {"pass"})

    def test_form(self) -> None:
        """Lines stay short, h= counts one more than there are, t= is now."""
        field = sign().partition(b"Received")[0]
        self.assertLessEqual(max(map(len, field.split(b"\n"))), 78)
        self.assertIn(b"h=from:from:to:to:cc:", field)
        self.assertIn(b"t=1763800000;", field)
        names = names_to_sign(HeaderBlock(b"From: a\nList-Id: x\nList-Id: y\n\n"))
        self.assertEqual((names.count(b"from"), names.count(b"list-id"), names.count(b"cc")), (2, 2, 1))

    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=400).map(lambda octets: octets.replace(b"\r", b"").replace(b"\0", b"")))
    def test_any_body(self, body: bytes) -> None:
        """Whatever the body, our signature holds here and with dkimpy."""
        message = sign(b"From: ann@example.org\n\n" + body, RSA_KEY)
        self.assertEqual([result for result, _ in judged(message)], ["pass"])
        record = RECORDS["k1._domainkey.example.org"].encode()
        self.assertTrue(dkimpy.verify(message.replace(b"\n", b"\r\n"), dnsfunc=lambda name, timeout=5: record))


class RuleTests(SynchronousTestCase):
    """Each rule has a message that breaks it."""

    def changed(self, old: bytes, new: bytes, message: bytes = b"") -> list[tuple[str, str]]:
        message = message or sign(MESSAGE, RSA_KEY)
        self.assertIn(old, message)
        return judged(message.replace(old, new, 1))

    def test_fields(self) -> None:
        """Tags that are missing, doubled, unknown or senseless."""
        for old, new, result, reason in (
            (b"v=1; ", b"", "permerror", "v= is missing"),
            (b"v=1;", b"v=2;", "permerror", "unknown version"),
            (b"v=1;", b"v=1; v=1;", "permerror", "twice"),
            (b"v=1;", b"v=1; nonsense;", "permerror", "is no tag"),
            (b"a=rsa-sha256", b"a=rsa-sha1", "permerror", "RFC 8301"),
            (b"a=rsa-sha256", b"a=rsa-md5", "permerror", "unknown algorithm"),
            (b"c=relaxed/relaxed", b"c=lazy", "permerror", "canonicalization"),
            (b"d=example.org;", b"d=org;", "permerror", "single label"),
            (b"d=example.org;", b"d=example..org;", "permerror", "not a domain"),
            (b"s=k1;", b"s=;", "permerror", "selector"),
            (b"s=k1;", b"s=k1; i=ann@example.com;", "permerror", "not within"),
            (b"s=k1;", b"s=k1; i=ann@notexample.org;", "permerror", "not within"),
            (b"s=k1;", b"s=k1; i=nobody;", "permerror", "not within"),
            (b"s=k1;", b"s=k1; q=http;", "permerror", "q="),
            (b"h=from:from:", b"h=", "permerror", "From is not signed"),
            (b"t=1763800000", b"t=soon", "permerror", "number"),
            (b"t=1763800000", b"t=1863800000", "permerror", "future"),
            (b"t=1763800000", b"t=1763800000; x=1763700000", "permerror", "before t="),
            (b"t=1763800000;", b"x=1763700000;", "policy", "expired"),
            (b"s=k1;", b"s=k1; l=3;", "policy", "anybody's"),
            (b"s=k1;", b"s=k1; l=99999;", "permerror", "larger than the body"),
            (b"s=k1;", b"s=k1; l=-1;", "permerror", "number"),
            (b"\tbh=", b"\tbh=!", "permerror", "base64"),
            (b"\tbh=", b"\tbh=AAAA", "fail", "body was changed"),
            (b"and more", b"and less", "fail", "body was changed"),
            (b"Hello", b"Hullo", "fail", "header fields were changed"),
            (b"s=k1;", b"s=k2;", "permerror", "no key"),
        ):
            ((got, why),) = self.changed(old, new)
            self.assertEqual(got, result, (old, new, why))
            self.assertIn(reason, why)

    def test_harmless(self) -> None:
        """Folding, blanks and capitals that relaxed canonicalization allows."""
        message = sign(MESSAGE, RSA_KEY)
        for old, new in (
            (b"Subject: Hello,", b"SUBJECT:Hello,  "),
            (b"To: bob", b"to \t: \n bob"),
            (b"more\n\n\n", b"more\n"),
        ):
            self.assertIn(old, message)
            self.assertEqual(judged(message.replace(old, new, 1))[0][0], "pass", old)

    def test_key_records(self) -> None:
        """Records that must not verify, each with its reason."""
        good = RECORDS["k1._domainkey.example.org"]
        p = good.partition("p=")[2]
        for record, result, reason in (
            ("v=DKIM1; p=", "permerror", "revoked"),
            ("v=DKIM1; k=rsa", "permerror", "holds no key"),
            (f"v=DKIM2; p={p}", "permerror", "version"),
            (f"p={p}; v=DKIM1", "permerror", "version"),
            (f"v=DKIM1; h=sha1; p={p}", "permerror", "SHA-256"),
            (f"v=DKIM1; s=tlsrpt; p={p}", "permerror", "not for mail"),
            (f"v=DKIM1; k=ed25519; p={p}", "permerror", "the key is for"),
            (f"v=DKIM1; p={p[:40]}", "policy", "less than 1024"),
            (f"v=DKIM1; p={p[:200]}", "permerror", "cannot be read"),
            ("v=DKIM1; p=%%%", "permerror", "base64"),
            ("nothing of the kind", "permerror", "malformed"),
            (b"\xff\xfe", "permerror", "malformed"),
            (f"v=DKIM1; s=email; h=sha1:sha256; t=y; n=note; p={p}", "pass", ""),
            (f"p={p}", "pass", ""),
            ([b"v=spf1 -all", good], "pass", ""),
        ):
            ((got, why),) = judged(sign(MESSAGE, RSA_KEY), {"k1._domainkey.example.org": record})
            self.assertEqual(got, result, (str(record)[:60], why))
            self.assertIn(reason, why)

    def test_short_keys(self) -> None:
        """768 bits are refused although the signature holds (RFC 8301)."""
        try:
            small = rsa.generate_private_key(65537, 768)
        except ValueError:
            # This library makes none; the record of one must be refused all the same.
            octets = base64.b64encode(b"\x30\x7c" + bytes(124)).decode()
            ((result, reason),) = judged(sign(MESSAGE, RSA_KEY), {"k1._domainkey.example.org": f"p={octets}"})
            self.assertEqual(result, "policy", reason)
            return
        key = load_key("example.org", "k1", small.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        ((result, reason),) = judged(sign(MESSAGE, key), {"k1._domainkey.example.org": public_record(key)})
        self.assertEqual((result, "1024" in reason), ("policy", True), reason)

    def test_strict_key(self) -> None:
        """t=s: i= may not be of a subdomain."""
        record = RECORDS["k1._domainkey.example.org"].replace("k=rsa;", "k=rsa; t=s;")
        message = sign(MESSAGE, RSA_KEY).replace(b"s=k1;", b"s=k1; i=@sub.example.org;", 1)
        ((result, reason),) = judged(message, {"k1._domainkey.example.org": record})
        self.assertEqual((result, "t=s" in reason), ("permerror", True))

    def test_no_answer(self) -> None:
        """A key that cannot be asked for is temperror."""
        book = Book({}, {("k1._domainkey.example.org", "TXT"): Answer(Status.TEMPERROR, reason="SERVFAIL")})
        (result,) = verify(sign(MESSAGE, RSA_KEY), book, NOW)
        self.assertEqual((result.result, "SERVFAIL" in result.reason), ("temperror", True))

    def test_ten_of_a_thousand(self) -> None:
        """A thousand signatures cost ten."""
        field = sign(MESSAGE, ED_KEY).partition(b"Received")[0]
        message = field * 1000 + MESSAGE
        book = Book(RECORDS)
        results = verify(message, book, NOW)
        self.assertEqual(([one.result for one in results], len(book.asked)), (["pass"] * 10, 1))
        self.assertEqual(dkim.read_signatures(HeaderBlock(split(message)[0]), NOW)[1], 990)

    def test_too_many_fields(self) -> None:
        """A block of countless fields proves nothing, and is not gone through to its end."""
        message = sign(MESSAGE, ED_KEY).replace(b"\n\n", b"\n" + b"X: y\n" * MOST_FIELDS + b"\n", 1)
        ((result, reason),) = judged(message)
        self.assertEqual((result, "header fields" in reason), ("policy", True))


class CanonicalBodyTests(SynchronousTestCase):
    """The hash of a body does not depend on how it was cut, and is dkimpy's."""

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.sampled_from([b" ", b"\t", b"\n", b"a", b"  \n", b"\n\n", b"word ", b"\xff"]), max_size=30),
        st.lists(st.integers(0, 60), max_size=6),
    )
    def test_pieces(self, pieces: list[bytes], cuts: list[int]) -> None:
        """In pieces as in one."""
        from dkim.canonicalization import Relaxed, Simple

        body = b"".join(pieces)
        for form, theirs in ((RELAXED, Relaxed), (SIMPLE, Simple)):
            out: list[bytes] = []
            whole, cut = BodyHash(form, out.append), BodyHash(form)
            whole.update(body)
            places = [0, *sorted(min(at, len(body)) for at in cuts), len(body)]
            for start, stop in itertools.pairwise(places):
                cut.update(body[start:stop])
            whole.finish()
            octets = b"".join(out)
            self.assertEqual(octets, theirs.canonicalize_body(body.replace(b"\n", b"\r\n")), (form, body))
            reference = BodyHash(form)
            reference.update(body)
            self.assertEqual(cut.finish(), reference.finish(), (form, body, cuts))


class FuzzTests(SynchronousTestCase):
    """Parsers say what is wrong and nothing else."""

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=200))
    def test_tags(self, octets: bytes) -> None:
        """Tags or TagError."""
        try:
            tags = read_tags(octets)
        except TagError:
            return
        self.assertTrue(all(re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) for name in tags))

    @settings(max_examples=200, deadline=None)
    @given(st.integers(0, 400), st.binary(min_size=1, max_size=3).filter(lambda octets: b"\r" not in octets))
    def test_signature_fields(self, place: int, octets: bytes) -> None:
        """Octets changed anywhere in the field never break the judge; what still passes is still the signer's."""
        message = sign(MESSAGE, ED_KEY)
        changed = message[:place] + octets + message[place + len(octets) :]
        for one in verify(changed, Book(RECORDS), NOW):
            if one.result == "pass":
                self.assertEqual(one.domain, "example.org")

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=120))
    def test_key_records(self, octets: bytes) -> None:
        """Any octets as a key record."""
        ((result, _),) = judged(sign(MESSAGE, ED_KEY), {"e1._domainkey.example.org": octets})
        self.assertNotEqual(result, "pass")
