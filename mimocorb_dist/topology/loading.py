"""From a setup file to a `Topology`: all mistakes at once, or a model without any."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mimocorb_dist.errors import TopologyError

from .buffers import read_buffers
from .classic import is_classic, read_classic
from .configs import ConfigReader
from .content import content_hash
from .disk import read_disk
from .document import read_document
from .drafts import SetupDraft
from .fields import Fields
from .findings import Findings, nearest, shown
from .hosts import read_hosts
from .limits import check_plan
from .model import Buffer, Topology, Worker
from .paths import Folder, is_file, missing_setup
from .plan import plan
from .resolved import resolved_setup
from .rules import check_setup
from .settings import check_configs
from .target import DEFAULT_TARGET, read_target
from .workers import WorkerReader

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .document import Item
    from .drafts import BufferDraft, WorkerDraft

TOP_LEVEL_KEYS = (
    "Nodes",
    "Broker",
    "Buffers",
    "Workers",
    "target_directory",
    "base_config",
    "security",
    "Disk",
    "Options",
)


def load(
    path: str | os.PathLike[str], *, text: str | None = None, nodes: Collection[str] | None = None
) -> Topology:
    """Read a setup file and check it.

    Parameters
    ----------
    path
        The setup file. Names of files in it are relative to its folder.
    text
        Its content, if it is known already; then the file itself is not read.
    nodes
        Names of the nodes whose workers' data files are looked at, for this machine has them. None: the
        nodes that can run nowhere else, for they have no host on a network.

    Returns
    -------
    Topology
        The model; its `warnings` tell what is odd.

    Raises
    ------
    TopologyError
        If the file cannot be read or has mistakes, with all of them.
    """
    shown_path = Path(path)
    absolute = Path(os.path.abspath(path))
    if text is None and not is_file(absolute):
        raise TopologyError([missing_setup(shown_path)])
    findings = Findings(str(shown_path))
    document = read_document(absolute, str(shown_path), findings, text)
    setup = _read_setup(findings, document, shown_path, absolute) if document else None
    if setup is not None:
        check_setup(findings, setup)
        check_configs(findings, setup, absolute.parent, nodes)
    if document is None or setup is None or findings.mistakes:
        raise TopologyError(findings.mistakes, findings.warnings)
    yaml_files = {absolute.name: content_hash(document.plain()), **setup.config_files}
    topology = replace(_build(setup, absolute), yaml_files=yaml_files)
    check_plan(findings, plan(topology), setup)
    if findings.mistakes:
        raise TopologyError(findings.mistakes, findings.warnings)
    return replace(topology, warnings=tuple(findings.warnings))


def _read_setup(findings: Findings, document: Item, shown_path: Path, path: Path) -> SetupDraft | None:
    if not isinstance(document.value, dict):
        what = (
            "the setup is empty"
            if document.value is None
            else f"the setup is {shown(document.value)}, not a mapping"
        )
        findings.mistake(document.place, what, "it needs at least 'Buffers:' and 'Workers:'")
        return None
    if is_classic(document):
        return read_classic(findings, document, path)
    top = Fields(findings, "setup", document.place, document.value)
    _check_top_level(findings, top)
    _check_options(findings, top)
    folder = Folder(path.parent, shown_path.parent)
    configs = ConfigReader(findings, folder)
    workers = WorkerReader(findings, configs, folder, top.item("base_config"))
    target_directory, target_path = read_target(findings, top, folder, "target_directory")
    return SetupDraft(
        hosts=read_hosts(findings, top),
        buffers=read_buffers(findings, top),
        workers=workers.read(top),
        target_directory=target_directory,
        target_path=target_path,
        disk=read_disk(findings, top),
        config_files=configs.hashes,
    )


# Keys of `Options:` in the first months of mimoCoRB2 -> what says the same now.
_FORMER_OPTIONS = {"output_directory": "target_directory", "overarching_config": "base_config"}


def _check_options(findings: Findings, top: Fields) -> None:
    """Find options that had a meaning once; later all of them were passed over, as they are here."""
    options = top.entries.get("Options")
    if options is None or not isinstance(options.item.value, dict):
        return
    for key, entry in options.item.value.items():
        now = _FORMER_OPTIONS.get(key)
        value = entry.item.value
        if now is None or now in top.entries or value in (None, [], {}, DEFAULT_TARGET):
            continue
        findings.warn(
            entry.key_place,
            f"'{key}' under 'Options' is passed over, as in mimoCoRB2 since the summer of 2025",
            f"write '{now}' at the top level if it is to count",
        )


def _check_top_level(findings: Findings, top: Fields) -> None:
    """Find keys that look like mistyped known ones; all others may hold templates and anchors."""
    absent = [key for key in TOP_LEVEL_KEYS if key not in top.entries]
    for key, entry in top.entries.items():
        if key in TOP_LEVEL_KEYS:
            continue
        old_name = key == "Functions" and "Workers" in absent
        meant = "Workers" if old_name else nearest(key, absent, cutoff=0.75)
        if meant in ("Buffers", "Workers"):
            what = f"there is no '{meant}:', but '{key}:'"
            findings.mistake(entry.key_place, what, f"write '{meant}:', names of keys are exact")
            top.mistyped.add(meant)
        elif meant:
            what = f"the key '{key}' means nothing at the top level"
            findings.warn(entry.key_place, what, f"did you mean '{meant}'?")
        elif present := nearest(key, TOP_LEVEL_KEYS, cutoff=0.85):
            what = f"the key '{key}' means nothing at the top level, where '{present}' is, too"
            findings.warn(entry.key_place, what, f"move what it holds to '{present}', or name it otherwise")


def _build(setup: SetupDraft, path: Path) -> Topology:
    hosts = setup.hosts
    first_node = next(iter(hosts.nodes))
    workers = {name: _worker(draft, first_node) for name, draft in setup.workers.items()}
    written = {sink for worker in workers.values() for sink in worker.sinks}
    # One that nobody writes is not used at all, which a dialect may allow.
    buffers = {name: _buffer(draft, workers) for name, draft in setup.buffers.items() if name in written}
    broker_node = hosts.broker_node.name if hosts.broker_node else first_node
    return Topology(
        path=path,
        directory=path.parent,
        target_directory=setup.target_path,
        nodes=hosts.nodes,
        broker_node=broker_node,
        broker_port=hosts.broker_port,
        data_ports=hosts.data_ports,
        security=hosts.security,
        buffers=buffers,
        workers=workers,
        resolved=resolved_setup(setup, buffers, workers, broker_node),
        dialect=setup.dialect,
        rules=setup.rules,
        disk=setup.disk,
    )


def _worker(draft: WorkerDraft, first_node: str) -> Worker:
    assert draft.function is not None
    return Worker(
        name=draft.name,
        nodes=tuple(node.name for node in draft.nodes) or (first_node,),
        function=draft.function.name,
        file=draft.file_path,
        config=draft.config,
        processes=draft.processes,
        sources=tuple(reference.name for reference in draft.sources),
        sinks=tuple(reference.name for reference in draft.sinks),
        observes=tuple(reference.name for reference in draft.observes),
        on_error=draft.on_error,
        place=draft.place,
        call=draft.call,
        assigned=draft.assigned,
    )


def _buffer(draft: BufferDraft, workers: Mapping[str, Worker]) -> Buffer:
    assert draft.slot_count is not None
    assert draft.data_length is not None
    assert draft.data_dtype is not None
    first_writer = next(worker for worker in workers.values() if draft.name in worker.sinks)
    return Buffer(
        name=draft.name,
        node=draft.node.name if draft.node else first_writer.nodes[0],
        slot_count=draft.slot_count,
        data_length=draft.data_length,
        data_dtype=draft.data_dtype,
        delivery=draft.delivery,
        when_full=draft.when_full,
        place=draft.place,
        watchdog_s=draft.watchdog_s,
    )
