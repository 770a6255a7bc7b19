"""What an operator may do, each thing once; the desks offer it."""
