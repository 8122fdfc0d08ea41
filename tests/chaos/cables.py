"""What may befall the cable between a host and the switch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from tests.netns.network import Host

NARROW_MEGABITS = 20
DELAY_S = 0.2


@contextlib.contextmanager
def _killed(host: Host) -> Iterator[None]:
    host.kill_connections()
    yield


CABLES: dict[str, Callable[[Host], AbstractContextManager[None]]] = {
    "down": Host.unplugged,
    "silent": Host.silent,
    "resetting": Host.resetting,
    "disconnected": _killed,
    "narrow": lambda host: host.narrow(NARROW_MEGABITS),
    "far": lambda host: host.far_away(DELAY_S),
}
"""No carrier; half-open; each packet answered with a reset; each connection ended; little room; far away."""
AT_ONCE = ("disconnected",)
"""Those that do not last."""
