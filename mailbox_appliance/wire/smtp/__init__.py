"""ESMTP as a language: grammar, events, the server's and the client's state machines."""
