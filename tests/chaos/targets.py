"""Whom faults may strike, and which routes feel it."""

from __future__ import annotations

from dataclasses import dataclass

from .processes import Role
from .routes import ROUTES


@dataclass(frozen=True)
class Target:
    """A process of the lab.

    Parameters
    ----------
    role
        What it is for.
    routes
        Names of the routes that need it.
    """

    role: Role
    routes: tuple[str, ...]

    def __str__(self) -> str:
        return str(self.role)


def _links(from_node: str, to_node: str, routes: dict[str, str], arrow: str = "->") -> list[tuple[Role, str]]:
    """Return both ends of links from node to node, each with its route."""
    view = "view-" if arrow == "~>" else ""
    return [
        (Role(node, f"{buffer}@{from_node}{arrow}{to_node}", f"{view}{kind}"), route)
        for buffer, route in routes.items()
        for node, kind in ((from_node, "send"), (to_node, "receive"))
    ]


_LINKS = [
    *_links("daq", "filter", {"line": "line", "pulses": "pulses", "waves": "waves"}),
    *_links("daq", "storage", {"waves": "waves"}),
    *_links("filter", "storage", {"passed": "line", "kept": "pulses", "digests": "waves"}),
]


def _of(*roles: tuple[Role, str]) -> tuple[Target, ...]:
    return tuple(Target(role, (route,)) for role, route in roles)


PROCESSES: dict[str, tuple[Target, ...]] = {
    "filter": _of((Role("filter", "choose", "0"), "pulses"), (Role("filter", "choose", "1"), "pulses")),
    "processor": _of(
        (Role("filter", "pass", "0"), "line"),
        (Role("filter", "digest", "0"), "waves"),
        (Role("storage", "digest", "0"), "waves"),
    ),
    "csv": _of((Role("storage", "csv", "0"), "pulses")),
    "parquet": _of(
        (Role("storage", "parquet", "0"), "pulses"), (Role("storage", "parquet_waves", "0"), "waves")
    ),
    "mimo": _of((Role("storage", "mimo", "0"), "pulses"), (Role("storage", "mimo_line", "0"), "line")),
    "observer": _of((Role("storage", "scope", "0"), "view")),
    "send": _of(*(end for end in _LINKS if end[0].part == "send")),
    "receive": _of(*(end for end in _LINKS if end[0].part == "receive")),
    "view": _of(*_links("daq", "storage", {"waves": "view"}, "~>")),
    "broker": (Target(Role("", "broker"), tuple(ROUTES)),),
    "node": tuple(
        Target(Role(node, "node"), tuple(name for name, route in ROUTES.items() if node in route.nodes))
        for node in ("daq", "filter", "storage")
    ),
}
# A killed importer takes the event in its hand with it, so that its host is spared here.
HOSTS = PROCESSES["node"][1:]
CONSUMERS = ("csv", "parquet", "mimo", "processor")


def routes_of(host: str) -> tuple[str, ...]:
    """Return the routes that a host's cable carries."""
    return tuple(name for name, route in ROUTES.items() if host in route.nodes)
