"""How the stations are made and joined, a page for each; stations.build is the table of contents."""
