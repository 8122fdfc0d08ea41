"""`Nodes:`, `Broker:` and `security:` of a setup."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from .drafts import HostsDraft
from .fields import Fields, check_name, check_reference, section
from .findings import shown
from .model import DEFAULT_BROKER_PORT, LOCAL_NODE, Node, Place

if TYPE_CHECKING:
    from .document import Entry, Item
    from .fields import Reference
    from .findings import Findings

NODE_KEYS = ("host",)
BROKER_KEYS = ("node", "port", "ports")
_NODES_EXAMPLE = "Nodes: {daq: {host: 192.168.1.10}}"
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_MAX_PORT = 65535


def read_hosts(findings: Findings, top: Fields) -> HostsDraft:
    """Read `Nodes:`, `Broker:` and `security:` from the top level of a setup."""
    draft = HostsDraft()
    _read_nodes(findings, top, draft)
    _read_broker(findings, top, draft)
    _read_security(findings, top, draft)
    _check_reachable(findings, draft)
    return draft


def is_loopback(host: str | None) -> bool:
    """Tell whether a host can be reached from its own machine only."""
    if host is None or host.casefold().rstrip(".") in ("localhost", "ip6-localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_nodes(findings: Findings, top: Fields, draft: HostsDraft) -> None:
    entry = top.entries.get("Nodes")
    draft.named = entry is not None
    if entry is None:
        draft.nodes[LOCAL_NODE] = Node(LOCAL_NODE)
        draft.places[LOCAL_NODE] = Place(top.place.file)
        return
    entries = section(findings, entry.item, "Nodes", _NODES_EXAMPLE)
    if entries is not None and not entries:
        findings.mistake(
            entry.key_place, "Nodes is empty", f"name at least one node, as in '{_NODES_EXAMPLE}'"
        )
    for name, node_entry in (entries or {}).items():
        for place in node_entry.earlier:
            remedy = f"the other one is at line {place.line}; give each node a name of its own"
            findings.mistake(node_entry.key_place, f"there are two nodes of the name '{name}'", remedy)
        if check_name(findings, name, node_entry.key_place, "node") is not None:
            draft.nodes[name] = Node(name, _read_host(findings, name, node_entry, draft))
            draft.places[name] = node_entry.key_place


def _read_host(findings: Findings, name: str, entry: Entry, draft: HostsDraft) -> str | None:
    draft.host_places[name] = entry.key_place
    if entry.item.value is None:
        return None
    label = f"node '{name}'"
    example = f"{name}: {{host: {entry.item.value if isinstance(entry.item.value, str) else '192.168.1.10'}}}"
    entries = section(findings, entry.item, label, example)
    if entries is None:
        return None
    fields = Fields(findings, label, entry.key_place, entries)
    fields.check_keys(NODE_KEYS)
    host = fields.text("host", "192.168.1.10")
    if host is None:
        return None
    draft.host_places[name] = host.place
    problem = _host_problem(host.name)
    if problem:
        findings.mistake(
            host.place,
            f"{label}: host {shown(host.name)} {problem}",
            "write a host name or an address: host: 192.168.1.10",
        )
    return host.name


def _host_problem(host: str) -> str | None:
    """Return what is wrong with a host, None if nothing is."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if "://" in host or re.search(r":\d+$", host):
            return "has a protocol or a port"
        if re.fullmatch(r"[0-9.]+", host):
            return "is no valid address"
        return None if _HOST_NAME.fullmatch(host) else "is no host name"
    return "is no address of one host" if address.is_unspecified or address.is_multicast else None


def _read_broker(findings: Findings, top: Fields, draft: HostsDraft) -> None:
    item = top.item("Broker")
    entries = section(findings, item, "Broker", "Broker: {node: storage, port: 5550}") if item else {}
    fields = Fields(findings, "Broker", item.place if item else top.place, entries or {})
    fields.check_keys(BROKER_KEYS)
    draft.broker_node = fields.text("node", "storage")
    if draft.broker_node:
        check_node(findings, draft.broker_node, draft, "Broker")
    port = fields.integer("port", 1, _MAX_PORT)
    draft.broker_port = DEFAULT_BROKER_PORT if port is None and draft.named else port
    ports = fields.item("ports")
    if ports:
        draft.data_ports = _read_ports(findings, fields, ports, draft.broker_port)
        draft.ports_place = ports.place


def _read_ports(
    findings: Findings, fields: Fields, item: Item, broker_port: int | None
) -> tuple[int, int] | None:
    remedy = "write the lowest and the highest port: ports: [5551, 5599]"
    if not isinstance(item.value, list) or len(item.value) != 2:
        what = f"{len(item.value)} values" if isinstance(item.value, list) else shown(item.value)
        findings.mistake(item.place, f"Broker: ports is {what}, not a pair", remedy)
        return None
    low, high = (fields.whole_number(port, "a port of ports", 1, _MAX_PORT) for port in item.value)
    if low is None or high is None:
        return None
    if low > high:
        findings.mistake(item.place, f"Broker: ports [{low}, {high}] begins above its end", remedy)
        return None
    if broker_port is not None and low <= broker_port <= high:
        findings.mistake(
            item.place,
            f"Broker: ports [{low}, {high}] contains the broker's own port {broker_port}",
            "leave it out of the range, or give the broker another one with 'port:'",
        )
        return None
    return low, high


def _read_security(findings: Findings, top: Fields, draft: HostsDraft) -> None:
    entry = top.entries.get("security")
    if entry is not None and entry.item.value != "none":
        findings.mistake(
            entry.item.place,
            f"security is {shown(entry.item.value)}",
            "the only value is the word none, 'security: none', for a network that you trust",
        )
    draft.security = None if entry is None else "none"


def _check_reachable(findings: Findings, draft: HostsDraft) -> None:
    open_nodes = [node for node in draft.nodes.values() if not is_loopback(node.host)]
    if not open_nodes:
        return
    broker = draft.broker_node.name if draft.broker_node else next(iter(draft.nodes))
    for node in draft.nodes.values():
        if is_loopback(node.host):
            has = f"host {node.host}" if node.host else "no host"
            who = f"the broker's node '{node.name}'" if node.name == broker else f"node '{node.name}'"
            other = open_nodes[0]
            findings.mistake(
                draft.host_places[node.name],
                f"{who} has {has}, where node '{other.name}' ({other.host}) cannot reach it",
                "write the address under which the other hosts reach it: host: 192.168.1.12",
            )


def check_node(findings: Findings, reference: Reference, draft: HostsDraft, label: str) -> None:
    """Note a mistake if a reference names no node of the setup."""
    if draft.named or reference.name in draft.nodes:
        check_reference(findings, reference, draft.nodes, "node", label)
    else:
        findings.mistake(
            reference.place,
            f"{label}: there is no node '{reference.name}', for the setup has no 'Nodes:'",
            f"remove the key, or add 'Nodes: {{{reference.name}: {{host: 192.168.1.10}}}}'",
        )
