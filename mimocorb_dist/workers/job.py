"""What a node tells a worker process to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mimocorb_dist.errors import SetupError


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
    log_level: str = "INFO"

    @property
    def process_name(self) -> str:
        """Name of the process: worker and number."""
        return f"{self.worker}.{self.number}"

    def to_json(self) -> str:
        """Write the job as JSON."""
        values = asdict(self)
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
            for key in ("run_dir", "setup_dir", "file"):
                values[key] = None if values.get(key) is None else Path(values[key])
            for key in ("sources", "sinks", "observes"):
                values[key] = tuple(values.get(key) or ())
            return cls(**values)
        except (AttributeError, TypeError, ValueError) as error:
            raise SetupError(
                f"this is not the job of a worker ({error}); "
                "worker processes are started by `mimocorb-node start`"
            ) from error
