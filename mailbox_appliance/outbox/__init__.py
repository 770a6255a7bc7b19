"""Folders of our own making: what waits to leave, and addresses to give away, as any mail client sees them."""
