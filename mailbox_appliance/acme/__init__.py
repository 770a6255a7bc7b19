"""Certificates: files, ACME http-01, or a CA of our own; swapped without a restart."""
