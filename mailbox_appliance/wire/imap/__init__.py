"""IMAP as a language: commands into values, values into responses."""
