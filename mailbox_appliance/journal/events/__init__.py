"""The catalogue of everything that can happen, one file per station."""
