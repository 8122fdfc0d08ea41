"""Which keys protect the sockets of a node."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mimocorb_dist.errors import KeysError
from mimocorb_dist.wire.keys import read_keys
from mimocorb_dist.wire.security import Secured, own_security

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mimocorb_dist.topology import Topology
    from mimocorb_dist.wire.security import Security


def security_of(topology: Topology, all_here: bool) -> Security:
    """Return how the nodes that run here are protected.

    Parameters
    ----------
    topology
        The setup.
    all_here
        Whether all nodes run on this machine, which nothing leaves then.

    Raises
    ------
    KeysError
        If keys are needed and there are none.
    """
    if topology.security == "none":
        return "none"
    if all_here or not topology.on_network:
        return None
    try:
        return own_security()
    except KeysError as error:
        raise KeysError(
            f"{error}, or keys for all nodes at once with "
            f"`mimocorb-node keys new --for {topology.path.name}` (more: `mimocorb-node keys --help`); "
            "nodes on a network need them unless the setup says `security: none`"
        ) from None


def lack_of_keys(topology: Topology) -> str:
    """Return what keeps a node of a setup from starting on this machine for want of keys, if anything."""
    try:
        security_of(topology, all_here=False)
    except KeysError as error:
        return f"on this machine no node of this setup can be started: {error}"
    return ""


def towards_broker(security: Security, topology: Topology, names: Collection[str]) -> Security:
    """Return how to connect to the broker, whose key must be known.

    Raises
    ------
    KeysError
        If it is not.
    """
    if not isinstance(security, Secured):
        return security
    broker = topology.broker_node
    known = read_keys(security.path).known
    if broker in names:
        server = security.own.public
    elif broker in known:
        server = known[broker]
    else:
        who = f"known are: {', '.join(sorted(known))}" if known else "no other key is"
        raise KeysError(
            f"the key of node {broker}, where the broker runs, is not known here ({who}); type here what "
            f"`mimocorb-node keys show` says there"
        )
    return replace(security, server=server)


def towards_sender(security: Security, sender: str, public_keys: Mapping[str, str]) -> Security:
    """Return how to listen for a link: only the node at its other end may connect."""
    return replace(security, allowed=(public_keys[sender],)) if isinstance(security, Secured) else security


def towards_receiver(security: Security, receiver: str, public_keys: Mapping[str, str]) -> Security:
    """Return how to connect a link: only to the node at its other end."""
    return replace(security, server=public_keys[receiver]) if isinstance(security, Secured) else security
