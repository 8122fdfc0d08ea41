"""Setups for tests of run control, made from text without files of functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimocorb_dist.topology import Plan, Topology, load, plan

if TYPE_CHECKING:
    from pathlib import Path

THREE_NODES = """
Nodes: {daq: {}, filter: {}, storage: {}}
Broker: {node: storage}
Buffers:
  raw: {slot_count: 16, data_length: 4, data_dtype: {ch1: float32}}
  good: {slot_count: 16, data_length: 4, data_dtype: {ch1: float32}}
Workers:
  source: {node: daq, file: f.py, function: source, sinks: [raw]}
  pick: {node: filter, file: f.py, function: pick, sources: [raw], sinks: [good]}
  save: {node: storage, file: f.py, function: save, sources: [good]}
"""

TWO_FILTERS = (
    THREE_NODES.replace("filter: {}", "filter: {}, other: {}")
    .replace("node: filter", "node: [filter, other]")
    .replace("good: {", "good: {node: storage, ")
)

ONE_NODE = """
Buffers:
  raw: {slot_count: 16, data_length: 4, data_dtype: {ch1: float32}}
Workers:
  source: {file: f.py, function: source, sinks: [raw]}
  save: {file: f.py, function: save, sources: [raw]}
"""

_FUNCTIONS = "def source(io): ...\ndef pick(io): ...\ndef save(io): ...\n"


def planned(folder: Path, text: str) -> tuple[Topology, Plan]:
    """Load a setup whose functions are in `f.py`."""
    (folder / "f.py").write_text(_FUNCTIONS)
    setup = folder / "setup.yaml"
    setup.write_text(text)
    topology = load(setup)
    return topology, plan(topology)
