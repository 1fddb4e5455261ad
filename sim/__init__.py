"""A broker that answers from a tape: the exchange, its kernel, and virtual time."""
