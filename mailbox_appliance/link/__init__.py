"""The link between an edge in the public net and a store at home: pairing, control channel, mail and splices."""
