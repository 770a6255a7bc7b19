"""Names: look-ups by dnspython's packets over Twisted's sockets, cached and bounded (fills ``ports/dns.py``)."""
