"""Links that are not what they seem."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.brands import BRANDS, brand_in_host, brand_named, is_firm, is_of
from mailbox_appliance.checks.domains import registered
from mailbox_appliance.checks.links import Reader, check_links
from mailbox_appliance.checks.readable import Link

READER = Reader(("ann@miller.test",), frozenset({"shop.test"}), frozenset({"miller.test"}), registered)
MARK = base64.b64encode(b"ann@miller.test").decode()


def result(target: str, shown: str = "", text: str = "") -> str:
    """Of one link; "" for nothing."""
    return "".join(one.result for one in check_links([Link(target, shown)], text, READER))


class LinkTests(SynchronousTestCase):
    """The table of the module, row by row, and honest links beside it."""

    def test_links(self) -> None:
        """Each kind."""
        for target, shown, wanted in (
            ("https://www.shop.test/a", "our shop", ""),
            ("https://www.far.test/a", "https://www.far.test/other", ""),
            ("https://click.shop.test/c/1", "www.partner.test", ""),  # a newsletter's own click counter
            ("https://click.post.test/c/1", "https://www.shop.test", ""),  # the same at somebody else's
            ("https://click.post.test/c/1", "https://www.far.test", "disguised"),
            ("https://evil.test/", "https://www.miller.test/webmail", "disguised"),
            ("https://evil.shop.test/", "https://www.paypal.com/login", "disguised"),
            ("https://evil.shop.test/", "www.sparkasse-koeln.de", "disguised"),
            ("https://www.paypal.com/signin", "https://www.paypal.com", ""),
            ("https://www.paypal.com.verify.test/", "Verify", "brand"),
            ("https://dhl-zustellung.test/p", "", "brand"),
            ("https://images-amazon.com/x.png", "", ""),
            ("https://apple.stackexchange.com/q/1", "", ""),
            ("https://hermes.uni.test/", "", ""),
            ("https://netflix-login.blogspot.com/", "", "brand"),
            ("https://marketplace.amazon.co.uk/", "", ""),
            ("https://paypa1-login.test/", "", "homograph"),
            ("https://xn--pypal-4ve.com/", "", "homograph"),  # a Cyrillic letter in it
            ("https://mi11er.test/", "", "homograph"),
            ("https://miller.test/webmail", "", ""),
            ("https://bank.test@evil.test/", "", "userinfo"),
            ("https://bank.test%40x@evil.test/", "", "userinfo"),
            ("https://ann@evil.test/", "", ""),
            ("http://203.0.113.7/netflix/", "", "number"),
            ("http://[2001:db8::1]:8080/", "", "number"),
            ("http://3405803783/x", "", "number"),
            ("data:text/html;base64,PGZvcm0+", "Upgrade", "inside"),
            ("DATA:text/html,x", "", "inside"),
            ("data:image/png;base64,AAAA", "", ""),
            ("https://evil.test/x.html#ann@miller.test", "", "marked"),
            ("https://evil.test/x.html#" + MARK, "", "marked"),
            ("https://evil.test/x.html#" + MARK.rstrip("="), "", "marked"),
            ("https://news.shop.test/u#ann@miller.test", "", ""),
            ("https://post.test/unsubscribe?u=ann@miller.test", "", ""),
            ("https://far.test/setup.exe", "", "program"),
            ("https://far.test/photos.zip", "", ""),
            ("https://bit.ly/3xYz", "", "short"),
            ("mailto:bob@paypal.example", "", ""),
            ("#top", "", ""),
            ("//", "", ""),
            ("https://exa mple/", "", ""),
        ):
            self.assertEqual(result(target, shown), wanted, (target, shown))

    def test_the_key_beside_the_lock(self) -> None:
        """A link to an archive is nothing, unless the letter says its password."""
        target = "https://far.test/Invoice.zip"
        self.assertEqual(result(target, text="The invoice is here."), "")
        for text in ("password 7788", "Passwort: Rg77", "The password is 1234.", "mot de passe : abc9"):
            self.assertEqual(result(target, text=text), "locked", text)

    def test_the_worst_counts(self) -> None:
        """Many links are one piece of evidence."""
        links = [Link("https://bit.ly/a"), Link("data:text/html,x"), Link("http://203.0.113.7/")]
        (one,) = check_links(links, "", READER)
        self.assertEqual(one.result, "inside")

    @given(st.text(max_size=200), st.text(max_size=80))
    def test_anything(self, target: str, shown: str) -> None:
        """Whatever stands there, nothing breaks."""
        for start in ("", "https://", "https://a@", "data:"):
            result(start + target, shown, shown)


class BrandTests(SynchronousTestCase):
    """Whose name it is."""

    def test_names(self) -> None:
        """A firm's name as words of a display name; names that are also others' only in the first place."""
        for name, wanted in (
            ("PayPal Service", "paypal"),
            ("service PAYPAL", "paypal"),
            ("P\u0430yP\u0430l", "paypal"),  # Cyrillic
            ("Office 365 Team", "office 365"),
            ("Apple Support", "apple"),
            ("Fiona Apple", ""),
            ("Deutsche Bank AG", "deutsche bank"),
            ("Sparkasse KölnBonn", "sparkasse"),
            ("Ann Miller", ""),
            ("", ""),
        ):
            self.assertEqual(brand_named(name), wanted, name)

    def test_own_domains(self) -> None:
        """Every firm is known by its own domains, whatever country they are of."""
        for brand, labels in BRANDS.items():
            for label in labels.split():
                host = f"mail.{label}.com"
                self.assertTrue(is_of(brand.rstrip("!"), host, f"{label}.com"), brand)
                self.assertTrue(is_firm(f"{label}.com"))
                self.assertEqual(brand_in_host(f"{label}.co.uk", f"{label}.co.uk"), "", label)
        self.assertTrue(is_of("sparkasse", "sparkasse-koelnbonn.de", "sparkasse-koelnbonn.de"))
        self.assertFalse(is_of("sparkasse", "evil.test", "evil.test"))
