"""Leaving: routes, connections to the next host, and what became of each recipient (fills ``ports/relay.py``)."""
