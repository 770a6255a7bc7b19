"""Deliver: each recipient becomes a mailbox, a forward or nothing; one round makes it durable."""
