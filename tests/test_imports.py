from __future__ import annotations

import gc

from mimocorb_dist.imports import uncollected


def test_garbage_is_collected_again_after_imports():
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
