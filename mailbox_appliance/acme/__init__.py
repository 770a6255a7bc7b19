"""Certificates: self-made, from files, or ordered by ACME; and the TLS contexts that every listener asks for."""
