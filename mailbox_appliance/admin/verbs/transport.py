"""Mail on its way, the names and certificates it needs, and what became of it: queue, relay, dns, cert, trace."""

from __future__ import annotations

from mailbox_appliance.admin.certs import CertDesk
from mailbox_appliance.admin.mailqueue import MailQueueDesk
from mailbox_appliance.admin.names import NamesDesk
from mailbox_appliance.admin.routes import RouteDesk
from mailbox_appliance.admin.tracing import TraceDesk
from mailbox_appliance.admin.verb import Argument, Verb

_DOMAIN = Argument("domain", "one of our domains")
_IDS = Argument("ids", "message ids, as `queue list` shows them", "words")
_WHOLE_DOMAIN = Argument("domain", "everything for this domain", "option")

VERBS: tuple[Verb, ...] = (
    Verb("queue", "list", MailQueueDesk, MailQueueDesk.list, "Show what waits, oldest first.", lists=True),
    Verb(
        "queue",
        "show",
        MailQueueDesk,
        MailQueueDesk.show,
        "Show one message with its content.",
        (Argument("id", "a message id"),),
        lists=True,
    ),
    Verb(
        "queue",
        "retry",
        MailQueueDesk,
        MailQueueDesk.retry,
        "Try messages now.",
        (
            Argument("ids", "message ids, as `queue list` shows them", "any"),
            Argument("all", "everything that is not held", "flag"),
        ),
        changes=True,
    ),
    Verb(
        "queue",
        "hold",
        MailQueueDesk,
        MailQueueDesk.hold,
        "Keep messages back, or all that is and will be for one domain.",
        (Argument("ids", "message ids, as `queue list` shows them", "any"), _WHOLE_DOMAIN),
        changes=True,
    ),
    Verb(
        "queue",
        "release",
        MailQueueDesk,
        MailQueueDesk.release,
        "Let held messages go.",
        (Argument("ids", "message ids, as `queue list` shows them", "any"), _WHOLE_DOMAIN),
        changes=True,
    ),
    Verb(
        "queue",
        "drop",
        MailQueueDesk,
        MailQueueDesk.drop,
        "Remove messages for good.",
        (_IDS, Argument("bounce", "tell their senders", "flag")),
        changes=True,
    ),
    Verb(
        "queue",
        "flush",
        MailQueueDesk,
        MailQueueDesk.flush,
        "Try now everything that is not held, or what waits for one domain.",
        (Argument("domain", "only what waits for this domain", required=False),),
        changes=True,
    ),
    Verb(
        "relay",
        "test",
        RouteDesk,
        RouteDesk.test,
        "Walk the way to an address without sending mail, and explain each step.",
        (Argument("address", "where mail shall go"),),
        lists=True,
    ),
    Verb(
        "dns",
        "records",
        NamesDesk,
        NamesDesk.records,
        "Show what a domain must, should and may publish, one by one for copying.",
        (_DOMAIN, Argument("zone", "as a zone file", "flag")),
        lists=True,
    ),
    Verb(
        "dns",
        "check",
        NamesDesk,
        NamesDesk.check,
        "Compare that with what the world sees, with the remedy for each record.",
        (_DOMAIN,),
        lists=True,
    ),
    Verb(
        "dns",
        "rotate",
        NamesDesk,
        NamesDesk.rotate,
        "Make new signing keys; they sign once the world sees their records.",
        (_DOMAIN,),
        lists=True,
        changes=True,
    ),
    Verb("cert", "show", CertDesk, CertDesk.show, "Show the certificates in use.", lists=True),
    Verb("cert", "renew", CertDesk, CertDesk.renew, "Get a new certificate for the same key, now.", changes=True),
    Verb(
        "cert",
        "rotate",
        CertDesk,
        CertDesk.rotate,
        "Announce a new key: publish its TLSA, and it is used two days later.",
        (Argument("now", "use the new key at once", "flag"),),
        changes=True,
    ),
    Verb(
        "trace",
        "",
        TraceDesk,
        TraceDesk.trace,
        "Tell a message's whole life.",
        (Argument("what", "a message's id, an address (sender, author, recipient, account, peer) or a Message-ID"),),
        lists=True,
    ),
)
