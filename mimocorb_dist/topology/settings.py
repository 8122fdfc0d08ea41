"""The configs of workers with prebuilt functions, against what the functions declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .findings import shown, suggest
from .hosts import is_loopback
from .prebuilt import config_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from .drafts import BufferDraft, SetupDraft, WorkerDraft
    from .fields import Reference
    from .findings import Findings
    from .model import Place
    from .prebuilt import DeclaredConfig


def check_configs(
    findings: Findings, setup: SetupDraft, setup_dir: Path, nodes: Collection[str] | None
) -> None:
    """Note what is wrong with the configs of prebuilt functions, and warn of keys that mean nothing to them.

    Parameters
    ----------
    findings
        Gets mistakes and warnings.
    setup
        The setup.
    setup_dir
        The setup's folder.
    nodes
        Names of the nodes whose data files this machine has. None: those that can run nowhere else.
    """
    if nodes is None:
        nodes = [node.name for node in setup.hosts.nodes.values() if is_loopback(node.host)]
    declared = {name: _declared(worker) for name, worker in setup.workers.items()}
    for name, worker in setup.workers.items():
        if (config := declared[name]) is not None:
            _check_config(findings, setup, worker, config, setup_dir, nodes)
    _warn_of_keys(findings, setup, declared)


def _declared(worker: WorkerDraft) -> DeclaredConfig | None:
    """Return what a worker's function declares; None if only its author knows."""
    return None if worker.file or worker.function is None else config_of(worker.function.name)


def _check_config(
    findings: Findings,
    setup: SetupDraft,
    worker: WorkerDraft,
    config: DeclaredConfig,
    setup_dir: Path,
    nodes: Collection[str],
) -> None:
    sources, sinks, observes = (
        _known_buffers(names, setup) for names in (worker.sources, worker.sinks, worker.observes)
    )
    ports = worker.ports
    complete = (
        worker.complete
        and (len(sources), len(sinks), len(observes))
        == (len(worker.sources), len(worker.sinks), len(worker.observes))
        and (ports is None or (len(sources) >= ports.sources[0] and len(sinks) >= ports.sinks[0]))
    )
    runs_on = [node.name for node in worker.nodes] or list(setup.hosts.nodes)[:1]
    for problem in config.problems(
        worker.config,
        sources=sources,
        sinks=sinks,
        observes=observes,
        complete=complete,
        setup_dir=setup_dir,
        files=any(node in nodes for node in runs_on),
    ):
        place = worker.config_places.get(problem.key, worker.place)
        findings.mistake(place, f"worker '{worker.name}': {problem.what}", problem.remedy)


def _known_buffers(names: tuple[Reference, ...], setup: SetupDraft) -> list[BufferDraft]:
    """Return the buffers of these names; none of them unless all are known and right."""
    buffers = [setup.buffers.get(reference.name) for reference in names]
    known = [buffer for buffer in buffers if buffer and buffer.data_dtype and buffer.data_length]
    return known if len(known) == len(names) else []


def _warn_of_keys(findings: Findings, setup: SetupDraft, declared: dict[str, DeclaredConfig | None]) -> None:
    """Warn of keys of configs that mean nothing to the prebuilt functions that get them.

    Several workers may have one config, by a file, an anchor or a merge key; one that knows the key will do.
    """
    takers: dict[tuple[Any, Place], list[WorkerDraft]] = {}
    for worker in setup.workers.values():
        for key, place in worker.own_keys:
            takers.setdefault((key, place), []).append(worker)
    for (key, place), workers in takers.items():
        configs = [declared[worker.name] for worker in workers]
        if all(config is not None and key not in config.keys for config in configs):
            function, first = workers[0].function, configs[0]
            assert function is not None and first is not None
            what = f"worker '{workers[0].name}': the key {shown(key)} means nothing to {function.name}"
            findings.warn(place, what, suggest(key, first.keys, "its keys") if first.keys else "remove it")
