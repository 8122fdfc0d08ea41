"""Rules about a setup as a whole: references, the buffers of each worker, and the data flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fields import check_reference
from .findings import nearest, suggest
from .flow import Ends, find_cycles, path_text
from .hosts import check_node
from .prebuilt import Ports, ports_of

if TYPE_CHECKING:
    from .drafts import BufferDraft, SetupDraft, WorkerDraft
    from .fields import Reference
    from .findings import Findings


def check_setup(findings: Findings, setup: SetupDraft) -> None:
    """Note every mistake that only shows when the parts of a setup are seen together."""
    unknown = _check_references(findings, setup)
    for worker in setup.workers.values():
        _check_buffers_of(findings, worker, setup)
    _check_cycles(findings, setup)
    if all(worker.complete for worker in setup.workers.values()):
        _check_use(findings, setup, excused=unknown)
    _warn_of_placement(findings, setup)


def _check_references(findings: Findings, setup: SetupDraft) -> set[str]:
    """Return the buffers that unknown names probably mean: nothing more is to be said about their use."""
    meant = set()
    for buffer in setup.buffers.values():
        if buffer.node:
            check_node(findings, buffer.node, setup.hosts, f"buffer '{buffer.name}'")
    for worker in setup.workers.values():
        label = f"worker '{worker.name}'"
        for node in worker.nodes:
            check_node(findings, node, setup.hosts, label)
        for reference in (*worker.sources, *worker.sinks, *worker.observes):
            if not check_reference(findings, reference, setup.buffers, "buffer", label):
                worker.complete = (
                    worker.complete and (near := nearest(reference.name, setup.buffers)) is not None
                )
                meant.add(near or "" if worker.complete else "")
    return meant


def _check_buffers_of(findings: Findings, worker: WorkerDraft, setup: SetupDraft) -> None:
    label = f"worker '{worker.name}'"
    if worker.complete and not (worker.sources or worker.sinks or worker.observes):
        findings.mistake(
            worker.place,
            f"{label} has no sources, no sinks and observes nothing",
            "name the buffers that it reads, writes or observes: 'sources: [...]', 'sinks: [...]', 'observes: [...]'",
        )
        return
    ports = ports_of(worker.function.name) if worker.function and not worker.file else None
    if ports and worker.function and worker.complete:
        _check_number(findings, worker, "sources", worker.sources, ports.sources)
        _check_number(findings, worker, "sinks", worker.sinks, ports.sinks)
        _check_number(findings, worker, "observes", worker.observes, ports.observes)
        _check_types(findings, worker, ports, setup)


def _check_number(
    findings: Findings,
    worker: WorkerDraft,
    key: str,
    names: tuple[Reference, ...],
    limits: tuple[int, int | None],
) -> None:
    low, high = limits
    if len(names) >= low and (high is None or len(names) <= high):
        return
    assert worker.function is not None
    wanted = str(low) if low == high else f"at least {low}" if high is None else f"{low} to {high}"
    remedy = (
        f"remove '{key}'"
        if high == 0
        else f"write '{key}: [name of a buffer]'"
        if not names
        else f"leave {wanted} of them"
    )
    findings.mistake(
        names[0].place if names else worker.place,
        f"worker '{worker.name}': {worker.function.name} wants {wanted if high else 'no'} {key}, here {_are(len(names))}",
        remedy,
    )


def _are(number: int) -> str:
    return "is none" if not number else "is 1" if number == 1 else f"are {number}"


def _check_types(findings: Findings, worker: WorkerDraft, ports: Ports, setup: SetupDraft) -> None:
    if not ports.same_type or len(worker.sources) != 1 or worker.function is None:
        return
    source = setup.buffers.get(worker.sources[0].name)
    for reference in worker.sinks:
        sink = setup.buffers.get(reference.name)
        difference = _difference(source, sink) if source and sink else None
        if difference and source:
            findings.mistake(
                reference.place,
                f"worker '{worker.name}': {worker.function.name} copies events from '{source.name}' to '{reference.name}', "
                f"but they differ in {difference}",
                "give both buffers the same data_length and data_dtype",
            )


def _difference(source: BufferDraft, sink: BufferDraft) -> str | None:
    if (
        source.data_length is None
        or sink.data_length is None
        or source.data_dtype is None
        or sink.data_dtype is None
    ):
        return None
    if source.data_length != sink.data_length:
        return f"data_length ({source.data_length} and {sink.data_length})"
    if source.data_dtype != sink.data_dtype:
        return f"data_dtype ({_fields(source)} and {_fields(sink)})"
    return None


def _fields(buffer: BufferDraft) -> str:
    return "{" + ", ".join(f"{name}: {text}" for name, text in buffer.dtype_texts.items()) + "}"


def _check_cycles(findings: Findings, setup: SetupDraft) -> None:
    ends = {worker.name: draft_ends(worker) for worker in setup.workers.values()}
    for cycle in find_cycles(ends):
        closing = setup.workers[cycle[-2]]
        place = next(sink.place for sink in closing.sinks if sink.name == cycle[0])
        findings.mistake(
            place,
            f"the data flow runs in a circle: {path_text(cycle)}",
            "a run with it could never end; let one of these workers write to a new buffer",
        )


def draft_ends(worker: WorkerDraft) -> Ends:
    """Return the buffers of a worker, for the data flow; a worker that observes waits for those buffers' end too."""
    return Ends(
        tuple(reference.name for reference in (*worker.sources, *worker.observes)),
        tuple(reference.name for reference in worker.sinks),
    )


def _check_use(findings: Findings, setup: SetupDraft, excused: set[str]) -> None:
    workers = setup.workers.values()
    read = {reference.name for worker in workers for reference in worker.sources}
    written = {reference.name for worker in workers for reference in worker.sinks}
    observed = {reference.name for worker in workers for reference in worker.observes}
    for name, buffer in setup.buffers.items():
        if name in excused:
            continue
        label = f"buffer '{name}'"
        if name not in read | written | observed:
            findings.mistake(
                buffer.place,
                f"{label} is used by no worker",
                "remove it, or name it in a worker's sinks and another's sources",
            )
            continue
        if name not in written:
            findings.mistake(
                buffer.place, f"nobody writes {label}", f"add it to the sinks of a worker: 'sinks: [{name}]'"
            )
        if name in read:
            continue
        if name in observed:
            findings.warn(
                buffer.place,
                f"nobody reads {label}, it is only observed",
                "its events are released as soon as they are written",
            )
        else:
            findings.mistake(
                buffer.place,
                f"nobody reads {label}, so it would fill up and stop the run",
                f"add a worker that reads it, for example '{_free_name(setup, 'drain')}: {{function: exporters.drain, sources: [{name}]}}'",
            )


def _free_name(setup: SetupDraft, name: str) -> str:
    return name if name not in setup.workers else f"{name}_2"


def _warn_of_placement(findings: Findings, setup: SetupDraft) -> None:
    nodes = list(setup.hosts.nodes)
    for worker in setup.workers.values():
        if len(nodes) > 1 and not worker.nodes:
            findings.warn(
                worker.place,
                f"worker '{worker.name}' names no node and runs on '{nodes[0]}', the first",
                f"say where it runs: 'node: {nodes[0]}' (nodes: {', '.join(nodes)})",
            )
        total = worker.processes * max(1, len(worker.nodes))
        if total > 1 and worker.complete and not worker.sources and not worker.observes:
            findings.warn(
                worker.processes_place,
                f"worker '{worker.name}' imports with {total} processes, each of which counts its own events",
                "event numbers will occur several times; use one process unless that is meant",
            )


__all__ = ["check_setup", "draft_ends", "suggest"]
