"""The command table: every verb that may be said, gathered from the files of this folder.

A new command is a new row in one of them, or a new file and its line here.
"""

from __future__ import annotations

from mailbox_appliance.imap.commands import (
    acl,
    append,
    auth,
    connection,
    copy,
    expunge,
    fetch,
    idle,
    listing,
    mailboxes,
    metadata,
    notify,
    quota,
    search,
    select,
    status,
    store,
    thread,
)
from mailbox_appliance.imap.table import Row

TABLE: dict[str, Row] = {
    row.verb: row
    for rows in (
        connection.ROWS,
        auth.ROWS,
        mailboxes.ROWS,
        listing.ROWS,
        status.ROWS,
        quota.ROWS,
        acl.ROWS,
        metadata.ROWS,
        notify.ROWS,
        append.ROWS,
        select.ROWS,
        idle.ROWS,
        fetch.ROWS,
        search.ROWS,
        thread.ROWS,
        store.ROWS,
        copy.ROWS,
        expunge.ROWS,
    )
    for row in rows
}
