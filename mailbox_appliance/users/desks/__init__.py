"""What an operator may change, one desk per noun: domains, accounts, aliases, app passwords."""
