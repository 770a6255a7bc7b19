"""The link between edge and store, over memory."""
