"""How often somebody knocks: failures per address over all services."""
