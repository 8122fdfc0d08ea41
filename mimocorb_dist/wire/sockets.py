"""All sockets of mimocorb_dist, and what is needed to use them.  No other room makes any.

Sockets are not safe to share between threads: each is used by the thread that made it.
"""

from __future__ import annotations

from mimocorb_dist.wire.base import LOOPBACK, PEER_SILENCE_MS, context, is_loopback
from mimocorb_dist.wire.control import ControlClient, ControlServer, Request, new_identity
from mimocorb_dist.wire.data import data_receiver, data_sender, readable
from mimocorb_dist.wire.monitor import Monitor
from mimocorb_dist.wire.security import Secured, Security

__all__ = [
    "LOOPBACK",
    "PEER_SILENCE_MS",
    "ControlClient",
    "ControlServer",
    "Monitor",
    "Request",
    "Secured",
    "Security",
    "context",
    "data_receiver",
    "data_sender",
    "is_loopback",
    "new_identity",
    "readable",
]
