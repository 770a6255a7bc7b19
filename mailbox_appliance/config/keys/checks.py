"""[checks]: what is looked at in strangers' mail."""

from __future__ import annotations

from mailbox_appliance.config import values
from mailbox_appliance.config.keys.key import Key
from mailbox_appliance.ports.checks import CHECK_NAMES

TEXTS = {"checks": "Checks of mail from strangers"}

KEYS: tuple[Key, ...] = (
    Key(
        "checks.enabled",
        values.flag,
        "false",
        "Check strangers' mail (SPF, DKIM, DMARC, ARC, names, DNS lists) before it is taken. It needs name servers "
        "that answer: without them much mail is put off, so it stays off until you have seen that "
        "`mailappliance status` calls them good.",
        "true",
    ),
    Key(
        "checks.dnsbl",
        values.several(values.dns_list),
        "[]",
        'Lists of bad addresses in the DNS to ask about strangers, each as "zone" (6 points) or "zone=points"; with '
        "points below 0 a list of good ones.",
        '["bl.example.net", "wl.example.net=-2"]',
    ),
    Key(
        "checks.domain_lists",
        values.several(values.dns_list),
        "[]",
        "Lists of bad domains in the DNS, written like those of dnsbl: asked about the domains of From, Reply-To and "
        "the envelope, and about those that the text links to.",
        '["dbl.example.net", "uri.example.net=4"]',
    ),
    Key(
        "checks.forwarders",
        values.several(values.network),
        "[]",
        "Hosts that forward mail to you (a school, an old provider): what they bring may fail DMARC and SPF, for they "
        "are believed to have looked.",
        '["192.0.2.25", "198.51.100.0/28"]',
    ),
    Key(
        "checks.sealers",
        values.several(values.full_host_name),
        "[]",
        "Domains whose ARC seal you trust: where such a seal says that DMARC passed, a failure here is forgiven.",
        '["lists.example.net"]',
    ),
    Key(
        "checks.mailing_lists",
        values.several(values.full_host_name),
        "[]",
        "Domains of mailing lists: what they have signed, or what comes with their envelope and passes SPF, may carry "
        "any From.",
        '["lists.example.net"]',
    ),
    Key(
        "checks.people",
        values.several(values.text),
        "[]",
        "Names of people of the house: a stranger's address behind one of them is suspicious.",
        '["Ann Miller", "Ben Miller"]',
    ),
    Key(
        "checks.weights",
        values.weights,
        "{}",
        'Other figures for what checks find, by "check result" as docs/checks.md lists them.',
        '{ "spf fail" = 1.5, "fcrdns none" = 0 }',
    ),
    Key(
        "checks.actions",
        values.actions,
        "{}",
        'What is done about a result whatever the sum: "accept" (nothing: the row counts no more), "junk", "defer" or '
        '"reject", by "check result". The decisive rows of docs/checks.md are the defaults.',
        '{ "attachment program" = "reject", "dmarc fail p=quarantine" = "accept" }',
    ),
    Key(
        "checks.switched_off",
        values.several(values.choice(*CHECK_NAMES)),
        "[]",
        "Checks that are not made at all, by the first word of the lines in docs/checks.md.",
        '["dnsbl"]',
    ),
    Key(
        "checks.greylist",
        values.flag,
        "false",
        "Ask a suspicious sender whom the recipient has never met to come again in a few minutes. It stops some junk "
        "and delays some letters; nobody is kept waiting within 15 minutes after he opened Rejects or made a "
        "throw-away address.",
        "true",
    ),
    Key(
        "checks.dmarc_reports",
        values.flag,
        "false",
        "Tell domains that ask for it once a day what came in their name and what was made of it (DMARC).",
        "true",
    ),
)
