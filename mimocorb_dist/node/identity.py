"""Which node of a setup this machine is."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from mimocorb_dist.errors import SetupError

if TYPE_CHECKING:
    from mimocorb_dist.topology import Topology


def find_node(topology: Topology, name: str | None) -> str:
    """Return the name of the node to run here.

    Parameters
    ----------
    topology
        The setup.
    name
        The node that the user named; None looks for one with a host name or address of this machine.

    Raises
    ------
    SetupError
        If there is no such node, or several may be meant.
    """
    nodes = ", ".join(topology.nodes)
    if name is not None:
        if name not in topology.nodes:
            raise SetupError(f"{topology.path}: there is no node {name!r}; its nodes are {nodes}")
        return name
    if len(topology.nodes) == 1:
        return next(iter(topology.nodes))
    here = _names_of_this_machine()
    found = [node.name for node in topology.nodes.values() if node.host is None or _is_here(node.host, here)]
    if len(found) == 1:
        return found[0]
    hosts = ", ".join(f"{node.name}: {node.host or 'this machine'}" for node in topology.nodes.values())
    if not found:
        raise SetupError(
            f"{topology.path}: no node has a name or address of this machine ({', '.join(sorted(here))}), "
            f"only {hosts}; name one with --node, or run all here with --all"
        )
    raise SetupError(
        f"{topology.path}: several nodes are on this machine ({', '.join(found)}); "
        "name one with --node, or run all here with --all"
    )


def _names_of_this_machine() -> set[str]:
    """Return host names and addresses of this machine."""
    import psutil

    name = socket.gethostname()
    names = {"localhost", name, name.partition(".")[0]}
    for addresses in psutil.net_if_addrs().values():
        names |= {
            address.address.partition("%")[0]
            for address in addresses
            if address.family in (socket.AF_INET, socket.AF_INET6)
        }
    return {text.casefold() for text in names}


def _is_here(host: str, here: set[str]) -> bool:
    host = host.casefold().rstrip(".")
    if host in here:
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:  # a name that is not known here is not the name of this machine
        return False
    return any(str(address[4][0]) in here for address in found)
