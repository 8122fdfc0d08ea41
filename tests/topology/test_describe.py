"""The plan as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mimocorb_dist.ring import layout
from mimocorb_dist.ring.layout import BufferSpec, Layout
from mimocorb_dist.topology import Buffer, Place, RingPlan, buffers, describe, limits, plan
from mimocorb_dist.topology.describe import ring_bytes

from .setups import NODES, SETUP
from .test_plan import CHAIN, three

if TYPE_CHECKING:
    from collections.abc import Callable

    from mimocorb_dist.topology import Topology


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


def test_memory_is_that_of_the_slots(setup: Callable[[str], Topology]) -> None:
    text = SETUP.replace("slot_count: 8", "slot_count: 1000").replace("data_length: 4", "data_length: 25000")
    assert "1000 x 100 kB  100.2 MB" in describe(plan(setup(text)))
