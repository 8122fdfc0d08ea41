"""The Python names of mimoCoRB 1."""
