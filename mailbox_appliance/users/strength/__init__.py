"""How good is a password? Judged when it is set and at a log-in, guessed at by night; the work is done in a child."""
