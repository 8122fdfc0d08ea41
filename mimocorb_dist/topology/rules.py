"""Rules about a setup as a whole: references, the buffers of each worker, and the data flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fields import check_reference
from .findings import nearest
from .flow import Ends, find_cycles
from .hosts import check_node

if TYPE_CHECKING:
    from .drafts import BufferDraft, SetupDraft, WorkerDraft
    from .fields import Reference
    from .findings import Findings


def check_setup(findings: Findings, setup: SetupDraft) -> None:
    """Note every mistake that only shows when the parts of a setup are seen together."""
    _check_references(findings, setup)
    for worker in setup.workers.values():
        if worker.complete:
            _check_buffers_of(findings, worker, setup)
    _check_cycles(findings, setup)
    if setup.workers and all(worker.complete for worker in setup.workers.values()):
        _check_use(findings, setup)
    _warn_of_placement(findings, setup)


def _check_references(findings: Findings, setup: SetupDraft) -> None:
    for buffer in setup.buffers.values():
        if buffer.node:
            check_node(findings, buffer.node, setup.hosts, f"buffer '{buffer.name}'")
    for worker in setup.workers.values():
        label = f"{setup.terms.worker} '{worker.name}'"
        for node in worker.nodes:
            check_node(findings, node, setup.hosts, label)
        for reference in _references(worker):
            check_reference(findings, reference, setup.buffers, "buffer", label)


def _references(worker: WorkerDraft) -> tuple[Reference, ...]:
    return (*worker.sources, *worker.sinks, *worker.observes)


def _check_buffers_of(findings: Findings, worker: WorkerDraft, setup: SetupDraft) -> None:
    if not _references(worker):
        if not setup.terms.free_workers:
            findings.mistake(
                worker.place,
                f"worker '{worker.name}' has no sources, no sinks and observes nothing",
                "name its buffers with 'sources: [...]', 'sinks: [...]' or 'observes: [...]'",
            )
        return
    ports, function = worker.ports, worker.function
    if ports is not None and function is not None:
        for key, limits in (("sources", ports.sources), ("sinks", ports.sinks), ("observes", ports.observes)):
            _check_number(findings, worker, function.name, key, limits)
        for key in ports.single:
            _check_single(findings, worker, function.name, key, setup)
        if ports.same_type:
            _check_types(findings, worker, function.name, setup)


def _check_number(
    findings: Findings, worker: WorkerDraft, function: str, key: str, limits: tuple[int, int | None]
) -> None:
    names: tuple[Reference, ...] = getattr(worker, key)
    low, high = limits
    if len(names) >= low and (high is None or len(names) <= high):
        return
    verb = "observes" if key == "observes" else f"has {key}"
    if high == 0:
        wants = "observes nothing" if key == "observes" else f"has no {key}"
    else:
        wants = f"{verb}: {'exactly' if low == high else 'at least'} {low}"
    findings.mistake(
        names[0].place if names else worker.place,
        f"worker '{worker.name}' names {len(names)} {'buffer' if len(names) == 1 else 'buffers'} in {key}, "
        f"but {function} {wants}",
        f"remove '{key}'" if high == 0 else f"write '{key}: [{'name of a buffer' if low < 2 else '...'}]'",
    )


def _check_single(
    findings: Findings, worker: WorkerDraft, function: str, key: str, setup: SetupDraft
) -> None:
    names: tuple[Reference, ...] = getattr(worker, key)
    for reference in names:
        buffer = setup.buffers.get(reference.name)
        if buffer and (buffer.data_length or 1) > 1:
            findings.mistake(
                reference.place,
                f"worker '{worker.name}': {function} needs data_length 1 in its {key}, but '{buffer.name}' "
                f"has {buffer.data_length}",
                "name another buffer, or use another function",
            )


def _check_types(findings: Findings, worker: WorkerDraft, function: str, setup: SetupDraft) -> None:
    """Note sinks that cannot hold what a function copies from its only source."""
    source = setup.buffers.get(worker.sources[0].name) if len(worker.sources) == 1 else None
    for reference in worker.sinks:
        sink = setup.buffers.get(reference.name)
        difference = _difference(source, sink) if source and sink else None
        if difference and source:
            findings.mistake(
                reference.place,
                f"worker '{worker.name}': {function} copies events from '{source.name}' to "
                f"'{reference.name}', which differ in {difference}",
                "give both buffers the same data_length and data_dtype",
            )


def _difference(source: BufferDraft, sink: BufferDraft) -> str | None:
    """Return how two buffers differ; None if they do not, or if one of them is wrong anyway."""
    if source.data_length and sink.data_length and source.data_length != sink.data_length:
        return f"data_length ({source.data_length} and {sink.data_length})"
    if source.data_dtype and sink.data_dtype and source.data_dtype != sink.data_dtype:
        return f"data_dtype ({_fields(source)} and {_fields(sink)})"
    return None


def _fields(buffer: BufferDraft) -> str:
    return "{" + ", ".join(f"{name}: {text}" for name, text in buffer.dtype_texts.items()) + "}"


def _check_cycles(findings: Findings, setup: SetupDraft) -> None:
    # A worker that observes and writes ends after what it observes, so it can close a circle too.
    ends = {
        worker.name: Ends(
            tuple(reference.name for reference in (*worker.sources, *worker.observes)),
            tuple(reference.name for reference in worker.sinks),
        )
        for worker in setup.workers.values()
    }
    for cycle in find_cycles(ends):
        closing = setup.workers[cycle[-2]]
        findings.mistake(
            next(sink.place for sink in closing.sinks if sink.name == cycle[0]),
            f"the data flow runs in a circle: {' -> '.join(cycle)}",
            f"such a run could never end; let one of these {setup.terms.worker}s write to another buffer",
        )


def _check_use(findings: Findings, setup: SetupDraft) -> None:
    workers, terms = setup.workers.values(), setup.terms
    read = {reference.name for worker in workers for reference in worker.sources}
    written = {reference.name for worker in workers for reference in worker.sinks}
    observed = {reference.name for worker in workers for reference in worker.observes}
    used = read | written | observed
    # An unknown name most likely means the buffer that is like it: its other faults are no news.
    excused = {nearest(name, setup.buffers) for name in used - set(setup.buffers)}
    for name, buffer in setup.buffers.items():
        if name in excused:
            continue
        if name not in used:
            what = f"no {terms.worker} uses buffer '{name}'"
            (findings.warn if terms.free_buffers else findings.mistake)(buffer.place, what, terms.use)
            continue
        if name not in written:
            what = f"no {terms.worker} writes buffer '{name}'"
            findings.mistake(buffer.place, what, terms.write.format(buffer=name))
        if name in read:
            continue
        if name in observed or terms.free_buffers:
            only = "only observed" if name in observed else "only written"
            what = f"no {terms.worker} reads buffer '{name}', it is {only}"
            findings.warn(buffer.place, what, "its events are released as soon as they are written")
        else:
            what = f"no {terms.worker} reads buffer '{name}', so it would fill up and stop the run"
            findings.mistake(buffer.place, what, terms.read.format(buffer=name))


def _warn_of_placement(findings: Findings, setup: SetupDraft) -> None:
    nodes = list(setup.hosts.nodes)
    for worker in setup.workers.values():
        if len(nodes) > 1 and not worker.nodes:
            findings.warn(
                worker.place,
                f"{setup.terms.worker} '{worker.name}' names no node, so it runs on the first, '{nodes[0]}'",
                f"say where it runs with 'node:' (nodes: {', '.join(nodes)})",
            )
        processes = worker.processes * max(1, len(worker.nodes))
        imports = worker.sinks and not worker.sources and not worker.observes
        if processes > 1 and worker.complete and imports:
            findings.warn(
                worker.processes_place,
                f"{setup.terms.worker} '{worker.name}' imports with {processes} processes, and each counts "
                "its own events",
                "use one process unless event numbers may occur several times",
            )
