"""Reports about our domains, and ours about those of others."""
