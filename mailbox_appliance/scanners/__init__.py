"""scanners/: programs outside that are asked about a stranger's message: SpamAssassin's spamd, rspamd, milters."""
