"""LANGUAGE: the protocols as machines without wires, sockets, files or threads."""
