"""A setup file becomes one validated, immutable model, and a plan of what runs where.

`load` reads a setup file and checks it; `plan` spreads it over its nodes. The dialects of classic setups end
here. Who looks for something, finds it in

    model, plan, flow                  what the other rooms get: a setup, and what each node has of it
    loading                            the way from a file to the model, step by step:
        document                           YAML with places
        buffers, workers, hosts, disk, configs   the sections; fields reads typed values out of them
        classic                            the same for setups of mimoCoRB 1
        prebuilt, code, user_files, paths  what a section refers to: functions, Python files, files
        drafts, rules, limits, resolved    a setup as read, checked as a whole, checked as a plan, as values
        terms                              what each dialect calls things, for messages
        settings                           configs against what prebuilt functions declare
        findings                           all mistakes and warnings, and how they are said
    describe, sizes, graph             a plan as text, its memory, the data flow as a picture
"""

from __future__ import annotations

from .describe import describe
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
    "load",
    "memory_shortage",
    "plan",
]
