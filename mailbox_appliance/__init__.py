"""mailappliance: a whole mail server for a family or a small group, in one Twisted process."""
