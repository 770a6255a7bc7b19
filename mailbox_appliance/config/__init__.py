"""The owner's file: TOML in, a frozen Config out, all complaints at once."""
