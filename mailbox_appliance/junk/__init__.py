"""Is it junk? A statistical filter that each account teaches by moving mail, with a family memory and a small prior."""
