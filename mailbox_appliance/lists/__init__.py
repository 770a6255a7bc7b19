"""Family lists: one address for many people, who join and leave by mail."""
