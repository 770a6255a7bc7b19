"""One event: one line, one counter, one step of a message's trail."""
