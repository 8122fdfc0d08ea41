from __future__ import annotations

from mimocorb_dist.node.backlogs import Backlogs


def ring(fill, **undelivered):
    return {"fill": fill, "slot_count": 10, "undelivered": undelivered, "read": dict.fromkeys(undelivered, 0)}


def looked(backlogs, row):
    backlogs.look({"raw": row})
    return row.get("behind")


def test_of_a_ring_that_was_never_full_nobody_is_behind():
    assert looked(Backlogs(), ring(0.8, slow=8, fast=0)) is None


def test_who_keeps_the_slots_of_a_full_ring_is_behind_on_average_and_stays_so():
    backlogs = Backlogs()
    assert looked(backlogs, ring(1.0, slow=10, fast=1)) == {"slow": 1.0, "fast": 0.1}
    assert looked(backlogs, ring(0.9, slow=9, fast=2)) == {"slow": 0.95, "fast": 0.15}
    assert looked(backlogs, ring(0.1, slow=1, fast=1)) == {"slow": 0.95, "fast": 0.15}
