"""Leave: routes to the next host and the conversation there."""
