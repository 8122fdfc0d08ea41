"""What a node says of itself when it comes, and whether the nodes of a run fit together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mimocorb_dist.topology import NodePlan
    from mimocorb_dist.wire.messages import Message


@dataclass(frozen=True)
class Registration:
    """A node's word on itself.

    Parameters
    ----------
    node
        Its name in the setup.
    host
        Host name of its machine.
    pid
        Its process there.
    address
        Host name or address under which the other nodes reach its links.
    setup
        Name of its setup file.
    setup_hash
        Hash of what the setup says, with its configs.
    yaml_files
        Names of the setup file and of its config files -> hash of what each says.
    function_files
        File name relative to the setup -> hash of its content.
    versions
        Software -> version.
    clock_s
        Its wall clock when it wrote this, in s since 1970.
    max_events, max_time_s
        Limits of the run that its command line sets.
    key
        Its public key; empty without keys.
    restarts
        How often it has died and was started again.
    """

    node: str
    host: str
    pid: int
    address: str
    setup: str
    setup_hash: str
    yaml_files: Mapping[str, str]
    function_files: Mapping[str, str]
    versions: Mapping[str, str]
    clock_s: float
    max_events: int | None = None
    max_time_s: float | None = None
    key: str = ""
    restarts: int = 0

    @classmethod
    def from_message(cls, message: Message, key: str = "") -> Registration:
        """Read a registration from a `register` message, which came from the holder of a key.

        Raises
        ------
        WireError
            When a field is missing or of a wrong type.
        """
        max_events, max_time_s = message.fields.get("max_events"), message.fields.get("max_time_s")
        if max_events is not None and (type(max_events) is not int or max_events < 1):
            raise WireError(f"max_events of a 'register' message is {max_events!r}, not a number of events")
        if max_time_s is not None and not isinstance(max_time_s, (int, float)):
            raise WireError(f"max_time_s of a 'register' message is {max_time_s!r}, not a time")
        return cls(
            node=message.field("node", str),
            host=message.field("host", str),
            pid=message.field("pid", int),
            address=message.field("address", str),
            setup=message.field("setup", str),
            setup_hash=message.field("setup_hash", str),
            yaml_files=message.field("yaml_files", dict),
            function_files=message.field("function_files", dict),
            versions=message.field("versions", dict),
            clock_s=message.field("clock_s", float),
            max_events=max_events,
            max_time_s=max_time_s,
            key=key,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain values, of which `Registration` can be made again."""
        return asdict(self)

    def facts(self) -> dict[str, Any]:
        """Return what the record of the run keeps of it."""
        kept = self.to_plain()
        return {name: kept[name] for name in ("host", "address", "pid", "restarts", "versions")}


def differences(one: Registration, other: Registration) -> Iterator[str]:
    """Yield what must be the same on two nodes and is not: a text for each, with file and nodes."""
    both = f"nodes {one.node} and {other.node}"
    for node in (one, other):
        if node.versions.get("mimocorb_dist") is None:
            yield f"node {node.node} does not tell its version of mimocorb_dist"
    if one.versions.get("mimocorb_dist") != other.versions.get("mimocorb_dist"):
        yield (
            f"{both} have different versions of mimocorb_dist "
            f"({one.versions.get('mimocorb_dist')} and {other.versions.get('mimocorb_dist')}); "
            "install the same on both"
        )
    if one.setup_hash != other.setup_hash:
        for file in _differing_yaml(one, other):
            yield f"{file} differs between {both}; copy the right one to both"
        return
    for file in sorted({*one.function_files, *other.function_files}, key=str):
        here, there = one.function_files.get(file), other.function_files.get(file)
        if here is None or there is None:
            missing = one.node if here is None else other.node
            yield f"function file {file} is missing on node {missing}; copy it there"
        elif here != there:
            yield f"function file {file} differs between {both}; copy the right one to both"


def _differing_yaml(one: Registration, other: Registration) -> list[str]:
    """Return which of the files that a setup is made of differ, where the setups do."""
    setups = one.setup if one.setup == other.setup else f"{one.setup} and {other.setup}"
    # A config file that only one setup names is a difference of the setups.
    configs = sorted((one.yaml_files.keys() & other.yaml_files.keys()) - {one.setup, other.setup}, key=str)
    found = [f"config file {file}" for file in configs if one.yaml_files[file] != other.yaml_files[file]]
    if not found or one.yaml_files.get(one.setup) != other.yaml_files.get(other.setup):
        found.insert(0, f"setup file {setups}")
    return found


def addresses(
    plan: NodePlan, registrations: Mapping[str, Registration], ports: Mapping[str, Mapping[str, int]]
) -> dict[str, str]:
    """Return where the link senders of a node find their receivers: link -> address.

    Parameters
    ----------
    plan
        The node's plan.
    registrations
        The nodes that are here.
    ports
        Node -> link -> port on which its receiver listens.
    """
    ends = {link.name: link.to_node for link in plan.links_out}
    ends |= {view.name: view.to_node for view in plan.views_out}
    found = {}
    for name, to_node in ends.items():
        if name not in ports.get(to_node, {}):
            continue  # its receiver could not start, as that node tells, too
        host = registrations[to_node].address
        shown = f"[{host}]" if ":" in host else host
        found[name] = f"tcp://{shown}:{ports[to_node][name]}"
    return found
