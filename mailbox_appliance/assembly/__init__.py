"""How the stations are made and joined, a page for each: stations.build reads like a table of contents."""
