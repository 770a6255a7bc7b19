"""Bring in the old mail: Maildirs, mbox files, another server's IMAP; a process of its own beside the service."""
