"""What others report of our domains (DMARC, TLS), and what we report of theirs."""
