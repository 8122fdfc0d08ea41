"""What a node tells a worker process to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class WorkerJob:
    """The work of one worker process; handed over as a JSON file.

    Parameters
    ----------
    run_id
        Name of the run.
    node
        Name of the node.
    worker
        Name of the worker in the setup.
    number
        Which of the worker's processes this one is, from 0.
    processes
        How many processes the worker has on this node.
    run_dir, setup_dir
        Directory of the run, and of the setup file.
    function
        Name of the function in `file`; without a file ``module.function`` of `mimocorb_dist.functions`.
    file
        Path of the user's file, or None.
    config
        The worker's configuration.
    sources
        For each source the path of the ring, the reader group and the name of the buffer:
        ``{"ring": ..., "group": ..., "buffer": ...}``.
    sinks, observes
        The same without group.
    call
        How the function is called: with its `BufferIO` (``io``), or as in mimoCoRB 1 (``classic1``).
    assigned
        What a function of mimoCoRB 1 does with each buffer, in the order of the setup: pairs of its name and
        ``read``, ``write`` or ``observe``.
    again
        Whether a process before it, with the same number, was killed or failed.
    log_level
        What is logged: ``DEBUG``, ``INFO``, ``WARNING``, ...
    """

    run_id: str
    node: str
    worker: str
    number: int
    processes: int
    run_dir: Path
    setup_dir: Path
    function: str
    file: Path | None = None
    config: dict[str, Any] = field(default_factory=dict)
    sources: tuple[dict[str, str], ...] = ()
    sinks: tuple[dict[str, str], ...] = ()
    observes: tuple[dict[str, str], ...] = ()
    call: str = "io"
    assigned: tuple[tuple[str, str], ...] = ()
    again: bool = False
    log_level: str = "INFO"

    @property
    def process_name(self) -> str:
        """Name of the process: worker and number."""
        return f"{self.worker}.{self.number}"

    def to_json(self) -> str:
        """Write the job as JSON."""
        values = asdict(self) | {"config": _encoded(self.config)}
        for key in ("run_dir", "setup_dir", "file"):
            values[key] = None if values[key] is None else str(values[key])
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> WorkerJob:
        """Read a job written by `to_json`.

        Raises
        ------
        SetupError
            If it is none.
        """
        try:
            values = json.loads(text)
            values["config"] = _decoded(values.get("config") or {})
            for key in ("run_dir", "setup_dir", "file"):
                values[key] = None if values.get(key) is None else Path(values[key])
            for key in ("sources", "sinks", "observes"):
                values[key] = tuple(values.get(key) or ())
            values["assigned"] = tuple((name, role) for name, role in values.get("assigned") or ())
            return cls(**values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SetupError(
                f"this is not the job of a worker ({error}); "
                "worker processes are started by `mimocorb-node start`"
            ) from error


# YAML knows more than JSON: keys that are no text, dates, bytes, sets. These become {_MARK: [kind, value]}.
_MARK = "!mimocorb"


def _encoded(value: Any) -> Any:
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and _MARK not in value:
            return {key: _encoded(item) for key, item in value.items()}
        return {_MARK: ["map", [[_encoded(key), _encoded(item)] for key, item in value.items()]]}
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return {_MARK: ["set", [_encoded(item) for item in value]]}
    if isinstance(value, bytes):
        return {_MARK: ["bytes", value.hex()]}
    if isinstance(value, (datetime, date)):
        return {_MARK: [type(value).__name__, value.isoformat()]}
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _MARK not in value:
        return {key: _decoded(item) for key, item in value.items()}
    kind, content = value[_MARK]
    return _DECODERS[kind](content)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "map": lambda pairs: {_decoded(key): _decoded(item) for key, item in pairs},
    "set": lambda items: {_decoded(item) for item in items},
    "bytes": bytes.fromhex,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
}
