"""Links between nodes: the protocol as state machines without I/O, and the two ends around them."""
