"""Who lives here: domains, accounts, aliases, passwords, the one cred portal."""
