"""What goes wrong between `dns records` and a registrar's form, told from what then stands in the DNS.

Pure, beside published.py: quotes typed into a text, the domain added once more by the form, and an SPF record that
needs one word more and shall keep what else its owner wrote.
"""

from __future__ import annotations

from mailbox_appliance.mailauth.forms import short_name
from mailbox_appliance.mailauth.lookups import Answers
from mailbox_appliance.mailauth.publish import DnsRecord
from mailbox_appliance.ports.dns import Answer, Status

_QUOTES = "\"'`´“”„‟‘’‚«»"
_LONGEST_NAME = 253


def quoted(wanted: DnsRecord, answer: Answer) -> str:
    """The text that is ours but for quotes around it, as it stands in the DNS; "" for none."""
    if wanted.rdtype != "TXT":
        return ""
    mark = wanted.value.partition("=")[0]
    for text in answer.records:
        if isinstance(text, bytes):
            said = text.decode("utf-8", "replace").strip()
            if said[:1] and said[0] in _QUOTES and said.strip(_QUOTES + " ").lower().startswith(f"{mark}="):
                return said[:80]
    return ""


def doubled(name: str, domain: str) -> str:
    """Where a record lies whose name was typed whole into a form that adds the domain; "" where it cannot."""
    again = f"{name}.{domain}"
    return again if short_name(name, domain) not in ("", "@") and len(again) <= _LONGEST_NAME else ""


def misplaced(wanted: DnsRecord, domain: str, answers: Answers) -> tuple[str, str] | None:
    """(words, remedy) when the record stands at its name with the domain added once more. Raises Missing."""
    name = doubled(wanted.name, domain)
    if not name or wanted.rdtype == "PTR":
        return None
    found = answers.get(name, wanted.rdtype)
    if found.status is not Status.OK:
        return None
    words = f"it stands at {name}: the form has added {domain} once more"
    return words, f"type {short_name(wanted.name, domain)} as its name in the form"


def led_astray(target: str, wanted: str, domain: str) -> str:
    """The remedy when a value is ``wanted`` with the domain added once more; "" when it is something else."""
    if target.rstrip(".").lower() != f"{wanted.rstrip('.')}.{domain}".lower():
        return ""
    return f"the form has added {domain}: write {wanted.rstrip('.')}. with the dot at its end"


def mended_spf(texts: list[str], value: str) -> str:
    """One record of all ``texts`` with everything that ``value`` says, and an end that forbids the rest."""
    terms: dict[str, None] = dict.fromkeys(value.split()[1:-1])
    for text in texts:
        for term in text.split()[1:]:
            if term.lower().lstrip("+-~?") != "all":
                terms.setdefault(term)
    soft = any(text.lower().endswith("~all") for text in texts)
    return " ".join(["v=spf1", *terms, "~all" if soft else "-all"])


def same_spf(text: str, value: str) -> bool:
    """Does ``text`` say just what we asked for, whatever it ends with?"""
    ours, theirs = (one.lower().split() for one in (value, text))
    return set(ours[:-1]) <= set(theirs)
