"""Asking a running run, from any machine: its state, pause, resume, stop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import KeysError, RunError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mimocorb_dist.wire.security import Security

DEFAULT_BROKER = "tcp://127.0.0.1:5550"
TIMEOUT_S = 5.0
_LOCAL_TIMEOUT_S = 2.0


def overview(broker: str | None = None) -> dict[str, Any]:
    """Return the state of a run, as plain values.

    Parameters
    ----------
    broker
        Where its broker listens, ``tcp://host:port``; None takes the run on this machine.

    Raises
    ------
    UnreachableError
        If nobody answers.
    RunError
        If it is not clear which run is meant.
    """
    return dict(_ask("status", broker).field("overview", dict))


def status(broker: str | None = None) -> str:
    """Return the state of a run as text; parameters and errors as in `overview`."""
    from .table import overview_text

    return overview_text(overview(broker))


def command(
    name: str, broker: str | None = None, scope: str = "roots", security: Security | None = None
) -> str:
    """Have a command carried out.

    Parameters
    ----------
    name
        ``pause``, ``resume``, ``stop`` or ``abort``.
    broker
        Where the broker listens; None takes the run on this machine.
    scope
        ``roots`` or ``all``: which buffers to pause or resume.
    security
        How to connect, if that is known.

    Returns
    -------
    str
        What happens now.

    Raises
    ------
    RefusedError
        If it does not fit the state of the run.
    UnreachableError
        If nobody answers.
    RunError
        If it is not clear which run is meant.
    """
    text: str = _ask(name, broker, security, scope=scope).field("text", str)
    return text


def find_broker() -> str | None:
    """Return where the broker of the run on this machine listens; None if there is no run.

    Raises
    ------
    RunError
        If there are several runs.
    """
    runs = {card["broker"]: card for card in _cards()}
    if len(runs) > 1:
        choices = "\n".join(f"  --broker {broker}   {card['setup']}" for broker, card in runs.items())
        raise RunError(f"several runs are going on this machine; name one:\n{choices}")
    return next(iter(runs), None)


def _ask(kind: str, broker: str | None, security: Security | None = None, **fields: Any) -> Any:
    from mimocorb_dist.wire.sockets import ControlClient

    address = broker or find_broker()
    timeout_s = TIMEOUT_S if address else _LOCAL_TIMEOUT_S
    refusals: list[KeysError] = []
    for choice in _choices() if security is None else [security]:
        with ControlClient(address or DEFAULT_BROKER, security=choice) as client:
            try:
                return client.request(kind, timeout_s=timeout_s, **fields)
            except KeysError as error:
                refusals.append(error)
            except UnreachableError as error:
                if address:
                    raise
                raise UnreachableError(
                    f"no run on this machine, and nobody answers at {DEFAULT_BROKER}; "
                    "name the broker of a run elsewhere with --broker tcp://HOST:PORT"
                ) from error
    raise next((refusal for refusal in refusals if refusal.unknown), refusals[0])


def _choices() -> list[Security]:
    """Return how a broker might be protected, to be tried in turn: which keys do not fit is told at once."""
    from mimocorb_dist.wire.keys import key_path, read_keys
    from mimocorb_dist.wire.security import Secured

    path = key_path()
    keys = read_keys(path)
    if keys.own is None:
        return ["none"]
    servers = [keys.own.public, *keys.known.values()]
    return [*(Secured(str(path), server) for server in servers), "none"]


def _cards() -> list[Mapping[str, Any]]:
    """Return what the living nodes on this machine tell of their runs."""
    from mimocorb_dist.ring.runtime import dead_runtime_directories, runtime_directories

    dead = set(dead_runtime_directories())
    cards = []
    for directory in runtime_directories():
        if directory not in dead:
            try:
                card = json.loads((directory / "node.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):  # another user's, or its run has not begun
                continue
            cards.append(card)
    return cards
