"""The station of doubt: evidence about a stranger's message, one verdict made of it; signatures on our own mail."""
