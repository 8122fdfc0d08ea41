"""A checked setup as plain values, with all defaults and merged configs: for the record of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .content import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .drafts import SetupDraft, WorkerDraft
    from .model import Buffer, Worker


def resolved_setup(
    setup: SetupDraft, buffers: Mapping[str, Buffer], workers: Mapping[str, Worker], broker_node: str
) -> dict[str, Any]:
    """Return a setup as plain values that JSON and YAML can hold; those of mimoCoRB2 are themselves a setup.

    Parameters
    ----------
    setup
        The setup as it was read, without mistakes.
    buffers, workers
        The same in the model.
    broker_node
        Name of the broker's node.

    Returns
    -------
    dict
        `Buffers`, `Workers`, `target_directory`; `Nodes`, `Broker`, `security` and `Disk` where the setup has
        them; of a setup of mimoCoRB 1 also `dialect`, `max_events` and `max_time_s`.
    """
    hosts, named = setup.hosts, setup.hosts.named
    resolved: dict[str, Any] = {}
    if setup.dialect == "mimoCoRB 1":
        limits = {"max_events": setup.rules.max_events, "max_time_s": setup.rules.max_time_s}
        resolved["dialect"] = setup.dialect
        resolved |= {key: value for key, value in limits.items() if value is not None}
    if named:
        resolved["Nodes"] = {
            node.name: {"host": node.host} if node.host else {} for node in hosts.nodes.values()
        }
    if named or hosts.broker_port or hosts.data_ports:
        broker = {
            "node": broker_node,
            "port": hosts.broker_port,
            "ports": hosts.data_ports and list(hosts.data_ports),
        }
        resolved["Broker"] = {key: value for key, value in broker.items() if value is not None}
    if hosts.security:
        resolved["security"] = hosts.security
    if disk := setup.disk.resolved():
        resolved["Disk"] = disk
    resolved["Buffers"] = {
        name: {
            **({"node": buffer.node} if named else {}),
            "slot_count": buffer.slot_count,
            "data_length": buffer.data_length,
            "data_dtype": setup.buffers[name].dtype_texts or str(buffer.data_dtype),
            "delivery": buffer.delivery,
            "when_full": buffer.when_full,
            **({} if buffer.watchdog_s is None else {"watchdog": buffer.watchdog_s}),
        }
        for name, buffer in buffers.items()
    }
    resolved["Workers"] = {
        name: _resolved_worker(worker, setup.workers[name], named) for name, worker in workers.items()
    }
    resolved["target_directory"] = setup.target_directory
    return resolved


def _resolved_worker(worker: Worker, draft: WorkerDraft, named: bool) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if named:
        values["node"] = worker.nodes[0] if len(worker.nodes) == 1 else list(worker.nodes)
    if draft.file:
        values["file"] = draft.file.name
    values["function"] = worker.function
    values["number_of_processes"] = worker.processes
    for key in ("sources", "sinks", "observes"):
        if getattr(worker, key):
            values[key] = list(getattr(worker, key))
    values["on_error"] = worker.on_error
    values["config"] = plain(worker.config)
    return values
