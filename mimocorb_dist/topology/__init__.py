"""A setup file becomes one validated, immutable model, and a plan of what runs where.

`load` reads a setup file and checks it; `plan` spreads it over its nodes. The dialects of classic setups end
here.
"""

from __future__ import annotations

from .describe import describe
from .graph import draw
from .limits import memory_shortage
from .loading import load
from .model import Buffer, Node, Place, Topology, Worker
from .plan import LinkPlan, NodePlan, Plan, RingPlan, ViewPlan, WorkerPlan, plan

__all__ = [
    "Buffer",
    "LinkPlan",
    "Node",
    "NodePlan",
    "Place",
    "Plan",
    "RingPlan",
    "Topology",
    "ViewPlan",
    "Worker",
    "WorkerPlan",
    "describe",
    "draw",
    "load",
    "memory_shortage",
    "plan",
]
