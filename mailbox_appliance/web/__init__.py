"""The desk and the token path over HTTP."""
