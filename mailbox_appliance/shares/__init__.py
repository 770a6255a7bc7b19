"""Share: mailboxes that more than their owner may use, each reader with rights and \\Seen marks of his own."""
