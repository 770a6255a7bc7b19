"""Names: dnspython's packets carried by Twisted, cached, bounded."""
