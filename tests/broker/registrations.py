"""What nodes of `plans.THREE_NODES` say of themselves, and where their links listen."""

from __future__ import annotations

from mimocorb_dist.broker.registration import Registration

PORTS = {"daq": {}, "filter": {"raw@daq->filter": 1}, "storage": {"good@filter->storage": 2}}


def registration(node, **changes):
    facts = {
        "node": node,
        "host": f"host-of-{node}",
        "pid": 1,
        "address": "127.0.0.1",
        "setup": "setup.yaml",
        "setup_hash": "abc",
        "yaml_files": {"setup.yaml": "1", "config/x.yaml": "1"},
        "function_files": {"f.py": "1"},
        "versions": {"mimocorb_dist": "1"},
        "clock_s": 0.0,
    }
    return Registration(**facts | changes)
