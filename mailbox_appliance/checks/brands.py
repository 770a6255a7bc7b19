"""Firms whose names forgers borrow: what they are called, and the domains that are really theirs.

A name is compared by what a reader sees (mail/lookalike). The table is short and of no country's making: banks,
payment, parcels, mail and cloud services that false letters name most. Whoever is missing is only not protected.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from mailbox_appliance.mail.lookalike import skeleton

# The name as one word, or two: the labels under which the firm's own domains are registered. "paypal" is also
# paypal.de and paypal.co.uk. A name with "!" is also a plain word or a person's, and counts only as the first word.
BRANDS: Mapping[str, str] = {
    "paypal": "paypal paypalobjects paypal-community paypal-corp paypal-prepaid xoom",
    "klarna": "klarna",
    "amazon": "amazon amazon-adsystem amazonaws amazonses media-amazon images-amazon ssl-images-amazon awsapps",
    "ebay": "ebay ebaystatic ebayimg kleinanzeigen",
    "netflix": "netflix nflximg nflxext nflxso",
    "disney": "disney disneyplus go",
    "spotify": "spotify",
    "apple!": "apple icloud itunes me mzstatic",
    "icloud": "apple icloud",
    "google": "google googlemail gmail youtube android withgoogle googleapis google-analytics appsheet goo",
    "microsoft": "microsoft microsoftonline office office365 outlook live azure windows sharepoint onmicrosoft xbox "
    "microsoftemail github linkedin hotmail msn skype",
    "office 365": "microsoft microsoftonline office office365 sharepoint onmicrosoft",
    "onedrive": "microsoft onedrive live sharepoint 1drv",
    "sharepoint": "microsoft sharepoint sharepointonline",
    "docusign": "docusign",
    "dropbox": "dropbox dropboxmail hellosign",
    "facebook": "facebook facebookmail fb meta",
    "instagram": "instagram facebookmail meta",
    "whatsapp": "whatsapp facebookmail meta",
    "linkedin": "linkedin",
    "norton": "norton nortonlifelock gendigital symantec",
    "mcafee": "mcafee",
    "geek squad": "geeksquad bestbuy",
    "coinbase": "coinbase",
    "binance": "binance",
    "metamask": "metamask consensys",
    "dhl": "dhl deutschepost dpdhl post",
    "fedex": "fedex",
    "ups!": "ups upsemail",
    "dpd!": "dpd dpdgroup geopost",
    "usps": "usps",
    "royal mail": "royalmail",
    "deutsche post": "deutschepost dhl post",
    "postbank": "postbank deutsche-bank",
    "deutsche bank": "deutsche-bank db postbank",
    "commerzbank": "commerzbank comdirect",
    "comdirect": "comdirect commerzbank",
    "targobank": "targobank",
    "santander": "santander santanderconsumer openbank",
    "wells fargo": "wellsfargo wf",
    "chase bank": "chase jpmorgan",
    "bank of america": "bankofamerica bofa",
    "hsbc": "hsbc",
    "barclays": "barclays barclaycard",
    "american express": "americanexpress aexp amex",
    "mastercard": "mastercard",
    "telekom": "telekom t-online telekom-dienste magenta",
    "vodafone": "vodafone vodafonemail",
    "ionos": "ionos 1und1 united-internet",
    "strato": "strato",
}
# Banks of one name with many domains, each of which bears it somewhere: only the name beside the address is looked at.
FAMILIES = ("sparkasse", "volksbank", "raiffeisenbank", "raiffeisen", "credit agricole")
# Where a name before the domain is a section or a customer's desk that the house itself has given out.
_DESKS = frozenset({"stackexchange", "zendesk", "custhelp", "github"})
_BETWEEN = re.compile(r"[.\-_]")
_SEPARATOR = re.compile(r"[\W_]+")


@functools.cache
def _named() -> tuple[dict[str, tuple[str, frozenset[str]]], dict[str, tuple[str, frozenset[str]]]]:
    """By skeleton: names anywhere in a text, and names that must come first."""
    anywhere: dict[str, tuple[str, frozenset[str]]] = {}
    first: dict[str, tuple[str, frozenset[str]]] = {}
    for name, labels in BRANDS.items():
        plain = name.rstrip("!")
        (first if name.endswith("!") else anywhere)[skeleton(plain)] = plain, frozenset(labels.split())
    for name in FAMILIES:
        anywhere[skeleton(name)] = name, frozenset()
    return anywhere, first


def label_of(registered: str) -> str:
    """The first label of a registered name."""
    return registered.partition(".")[0]


def brand_named(name: str) -> str:
    """The firm that a display name names; "" for none."""
    anywhere, first = _named()
    words = _SEPARATOR.sub(" ", skeleton(name)).split()
    for at in range(len(words)):
        for length in (3, 2, 1):
            found = anywhere.get(" ".join(words[at : at + length])) or (first.get(words[at]) if at == 0 else None)
            if found is not None and at + length <= len(words):
                return found[0]
    return ""


def is_of(brand: str, host: str, registered: str) -> bool:
    """Is the host one of the firm's own?"""
    if brand in FAMILIES:
        return brand.replace(" ", "") in host.replace("-", "")
    own = BRANDS.get(brand) or BRANDS.get(brand + "!", "")
    return label_of(registered) in own.split()


def is_spelt(brand: str, shown: str) -> bool:
    """Does the firm's name stand there letter by letter? paypa1 is no way to write paypal."""
    return brand in _BETWEEN.split(shown.lower())


def is_firm(registered: str) -> bool:
    """Is it a domain of one of these firms?"""
    return label_of(registered) in _own_labels()


@functools.cache
def _own_labels() -> frozenset[str]:
    return frozenset(label for labels in BRANDS.values() for label in labels.split())


@functools.lru_cache(maxsize=2048)
def brand_in_host(host: str, registered: str) -> str:
    """The firm whose name stands in a host that is not its own, as a word between dots and hyphens; "" for none.

    ``host`` in Unicode, so that letters of other alphabets are seen for what they look like.
    """
    anywhere, first = _named()
    if label_of(registered) in _DESKS:
        return ""
    for word in _BETWEEN.split(host.lower())[:20]:
        key = skeleton(word)
        found = anywhere.get(key) or (first.get(key) if len(word) > 4 else None)
        if found is not None and found[0] not in FAMILIES and label_of(registered) not in found[1]:
            return found[0]
    return ""
