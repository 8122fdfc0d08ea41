"""What processes of a run say to each other: pipes within a node, ZeroMQ messages and sockets between nodes.

Import the modules themselves; this package imports nothing, so that workers do not pay for ZeroMQ.
"""
