"""Old mail from elsewhere: import."""

from __future__ import annotations

from mailbox_appliance.admin.importing import ImportDesk
from mailbox_appliance.admin.verb import Argument, Verb
from mailbox_appliance.admin.verbs.arguments import ADDRESS

_IMPORTING = (
    Argument("folder", "put everything below this folder", "option"),
    Argument("dry_run", "only show which folder goes where", "flag"),
)

VERBS: tuple[Verb, ...] = (
    Verb(
        "import",
        "maildir",
        ImportDesk,
        ImportDesk.maildir,
        "Bring in Maildirs; Dovecot's keep their UIDs.",
        (ADDRESS, Argument("path", "the Maildir, or a folder of them"), *_IMPORTING),
        lists=True,
        here=True,
    ),
    Verb(
        "import",
        "mbox",
        ImportDesk,
        ImportDesk.mbox,
        "Bring in mbox files: Thunderbird's, Gmail's archive.",
        (ADDRESS, Argument("path", "the file, or a folder of them"), *_IMPORTING),
        lists=True,
        here=True,
    ),
    Verb(
        "import",
        "imap",
        ImportDesk,
        ImportDesk.imap,
        "Bring in the mail of an account on another server.",
        (
            ADDRESS,
            Argument("host", "the old server, or host:port"),
            Argument("user", "the name to log in with there"),
            Argument("password_file", "a file whose first line is the password", "option"),
            Argument("tls", "implicit (default) or starttls; the certificate is verified", "option"),
            Argument("trust_anchor", "a file of certificates to trust besides", "option"),
            Argument("only", "only this folder of the old account", "option"),
            *_IMPORTING,
            Argument("password", "asked for, or the first line of standard input", "secret"),
        ),
        lists=True,
        here=True,
    ),
)
