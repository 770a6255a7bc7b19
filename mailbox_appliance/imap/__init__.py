"""Read: IMAP conversations over shared open mailboxes."""
