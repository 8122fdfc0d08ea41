"""The plan as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mimocorb_dist.ring import layout
from mimocorb_dist.ring.layout import BufferSpec, Layout
from mimocorb_dist.topology import Buffer, Place, RingPlan, buffers, describe, limits, memory_shortage, plan
from mimocorb_dist.topology.sizes import ring_bytes

from .setups import BUFFERS, NODES, SETUP, TAKE
from .test_plan import CHAIN, three

if TYPE_CHECKING:
    from collections.abc import Callable

    from mimocorb_dist.topology import Topology


def test_a_buffer_that_may_drop_events_says_so(setup: Callable[[str], Topology]) -> None:
    text = describe(plan(setup(SETUP.replace("raw: {", "raw: {when_full: drop_old, "))))
    assert "shared, drop_old  take =>" in text


def test_a_plan_of_three_nodes_shows_buffers_workers_and_links(
    setup: Callable[[str], Topology], folder: object
) -> None:
    topology = setup(
        three(CHAIN, raw=", delivery: broadcast") + "Broker: {node: storage, ports: [6000, 6009]}\n"
    )
    assert (
        describe(plan(topology))
        == f"""\
setup.yaml: 2 buffers, 4 workers, 3 nodes, 2 links
broker on storage, port 5550
data ports 6000 to 6009
runs go to {folder}/target

node daq (this machine): 1 ring in 0.1 MB of memory
  buffers
    raw  8 x 16 B  0.1 MB  broadcast  take => raw@daq->filter
  workers
    take  x 1  importer  user.py: take  writes raw
  links out
    raw@daq->filter  from  raw  to  raw.in
  views out
    raw@daq~>storage  of  raw

node filter (this machine): 2 rings in 0.2 MB of memory
  buffers
    raw.in  8 x 16 B  0.1 MB  broadcast  raw@daq->filter => find
    pulses  8 x 16 B  0.1 MB  shared     find => pulses@filter->storage
  workers
    find  x 2  filter  user.py: find  reads raw.in, writes pulses
  links out
    pulses@filter->storage  from  pulses  to  pulses.in
  links in
    raw@daq->filter  into  raw.in

node storage (this machine): 2 rings in 0.2 MB of memory
  buffers
    raw.view   4 x 16 B  0.1 MB  broadcast  raw@daq~>storage => (only observed)
    pulses.in  8 x 16 B  0.1 MB  shared     pulses@filter->storage => save
  workers
    save   x 1  exporter  user.py: save  reads pulses.in
    scope  x 1  observer  user.py: save  observes raw.view
  links in
    pulses@filter->storage  into  pulses.in
  views in
    raw@daq~>storage  into  raw.view"""
    )


def test_a_worker_that_writes_other_events_than_it_reads_is_a_processor(
    setup: Callable[[str], Topology],
) -> None:
    peaks = "peaks: {slot_count: 8, data_length: 1, data_dtype: {height: float64}}"
    copies = "copies: {slot_count: 8, data_length: 4, data_dtype: {ch1: float32}}"
    workers = (
        f"  {TAKE}\n"
        "  find: {file: modules/user.py, function: find, sources: [raw], sinks: [peaks, copies]}\n"
        "  sift: {file: modules/user.py, function: find, sources: [copies], sinks: [rest]}\n"
        "  save: {file: modules/user.py, function: save, sources: [rest, peaks]}\n"
    )
    topology = setup(
        f"{BUFFERS}  {copies}\n  {copies.replace('copies', 'rest')}\n  {peaks}\nWorkers:\n{workers}"
    )
    roles = [topology.role_of(worker) for worker in topology.workers.values()]
    assert roles == ["importer", "processor", "filter", "exporter"]


def test_a_plan_of_one_host_is_short(setup: Callable[[str], Topology], folder: object) -> None:
    assert (
        describe(plan(setup(SETUP)))
        == f"""\
setup.yaml: 1 buffer, 2 workers
runs go to {folder}/target

node local (this machine): 1 ring in 0.1 MB of memory
  buffers
    raw  8 x 16 B  0.1 MB  shared  take => save
  workers
    take  x 1  importer  user.py: take      writes raw
    save  x 1  exporter  exporters.parquet  reads raw"""
    )


def test_security_none_is_said_in_so_many_words(setup: Callable[[str], Topology]) -> None:
    text = describe(plan(setup(NODES + SETUP)))
    assert "security: none (whoever reaches these hosts can read the data and control the run)" in text
    assert "node daq (192.168.1.10)" in text


@pytest.mark.parametrize(("slots", "length"), [(1, 1), (8, 4), (1000, 25000), (65536, 3)])
@pytest.mark.parametrize("groups", [(), ("readers",), ("a", "b", "c")])
def test_memory_is_that_of_the_ring(slots: int, length: int, groups: tuple[str, ...]) -> None:
    buffer = Buffer("raw", "local", slots, length, np.dtype([("a", "f4")]), "shared", Place("setup.yaml"))
    estimate = ring_bytes(RingPlan("raw", buffer, groups, 1, slots))
    made = Layout(BufferSpec("raw", slots, length, buffer.data_dtype, groups)).total_bytes
    assert abs(made - estimate) <= 3 * 4096


def test_limits_are_those_of_the_ring() -> None:
    assert (limits.MAX_GROUPS, buffers.MAX_SLOTS) == (layout.MAX_GROUPS, layout.MAX_SLOTS)
    assert limits.MAX_ATTACHED < layout.MAX_MEMBERS


def test_a_lack_of_memory_names_the_largest_buffer_and_its_place(setup: Callable[[str], Topology]) -> None:
    buffers = BUFFERS + "  big: {slot_count: 1000, data_length: 25000, data_dtype: {ch1: float32}}\n"
    take = TAKE.replace("[raw]", "[raw, big]")
    save = "save: {file: modules/user.py, function: save, sources: [raw, big]}"
    one_host = plan(setup(f"{buffers}Workers:\n  {take}\n  {save}\n"))
    assert memory_shortage(one_host, 101_000_000) is None
    shortage = memory_shortage(one_host, 50_000_000)
    assert shortage is not None
    assert shortage.startswith("setup.yaml:3:3: the buffers need 100.3 MB of shared memory on this machine")
    assert "has 50.0 MB free; lower slot_count of the largest, 'big' (100.2 MB)" in shortage


def test_memory_is_asked_of_the_nodes_that_run_on_the_machine(setup: Callable[[str], Topology]) -> None:
    hosts = plan(setup(NODES + SETUP))  # all of it is on daq
    assert memory_shortage(hosts, 0) is None
    assert memory_shortage(hosts, 0, ["filter", "storage"]) is None
    assert memory_shortage(hosts, 0, ["daq"]) is not None
    here = plan(setup("Nodes: {daq: , filter: }\n" + SETUP))
    assert memory_shortage(here, 0) is not None


def test_memory_is_that_of_the_slots(setup: Callable[[str], Topology]) -> None:
    text = SETUP.replace("slot_count: 8", "slot_count: 1000").replace("data_length: 4", "data_length: 25000")
    assert "1000 x 100 kB  100.2 MB" in describe(plan(setup(text)))
