from __future__ import annotations

import shutil

from mimocorb_dist.broker.remains import Deaths, directory_of
from mimocorb_dist.ring.runtime import RuntimeDirectory


def test_nodes_on_this_machine_are_seen_to_end_with_and_without_cleaning_up():
    run_id = "deaths-of-a-test"
    deaths = Deaths(run_id)
    runtimes = {node: RuntimeDirectory.create(run_id, node) for node in ("ends", "dies", "lives")}
    try:
        nodes = dict.fromkeys(("ends", "dies", "lives", "elsewhere"), 0)
        assert deaths.look(nodes) == {}
        runtimes["ends"].remove()
        assert deaths.look(nodes) == {"ends": True}
        (directory_of(run_id, "dies", 0) / "lock").unlink()
        (directory_of(run_id, "dies", 0) / "lock").touch()  # as one whose owner is no more
        assert deaths.look(nodes) == {"ends": True, "dies": False}
    finally:
        for node, runtime in runtimes.items():
            runtime.remove()
            shutil.rmtree(directory_of(run_id, node, 0), ignore_errors=True)
