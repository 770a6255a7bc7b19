"""Keep: Maildir as Dovecot lays it out, one rebuildable index per account."""
