"""The call of a function of mimoCoRB 1, in a worker process of a node."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mimocorb_dist.workers.stopping import Calls, WorkerStop, calls
from mimocorb_dist.workers.template import ends_well

from .hands import drop_all
from .place import Place, make_dict, plain_dtype, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mimocorb_dist.ring.interface import Interface
    from mimocorb_dist.workers import BufferIO


_LIBRARIES = {
    "rb_toParquetfile": ("pandas", "pyarrow.parquet"),
    "BufferToParquetfile": ("pandas", "pyarrow.parquet"),
    "plot_buffer": ("matplotlib.figure",),
    "histogram_buffer": ("matplotlib.figure",),
}
"""What some names need, which is large."""


def prepare(function: Callable[..., Any]) -> None:
    """Import what a function will need, while no event has to wait for that."""
    code = getattr(function, "__code__", None)
    for name in getattr(code, "co_names", ()):
        for library in _LIBRARIES.get(name, ()):
            importlib.import_module(library)


@calls(Calls.FUNCTION)
def call(function: Callable[..., Any], io: BufferIO) -> Any:
    """Call a function as mimoCoRB 1 does, and return what it returns.

    Parameters
    ----------
    function
        It gets source_list, sink_list and observe_list (lists of dicts, None if empty), the configuration
        with ``directory_prefix``, and for each buffer a keyword with ``read``, ``write`` or ``observe``.
    io
        The worker's `BufferIO`: the dicts lead to its ends of the buffers.
    """
    serve(io)
    ends: dict[str, Sequence[Interface]] = {"read": io.read, "write": io.write, "observe": io.observe}
    lists = [[_dict(end, role) for end in ends[role]] or None for role in ends]
    roles: dict[str, str] = dict(io.assigned) or {end.name: role for role, its in ends.items() for end in its}
    config = dict(io.config) | {"directory_prefix": f"{io.run_dir}/"}
    try:
        result = function(*lists, config, **roles)
    except BaseException as error:
        drop_all(failed=not (isinstance(error, WorkerStop) or ends_well(error)))
        raise
    drop_all(failed=False)
    return result


def _dict(end: Interface, role: str) -> dict[str, Any]:
    example = end.data_example
    return make_dict(
        Place(str(end.ring.path)), end.name, role, end.slot_count, example.size, plain_dtype(example.dtype),
        group=getattr(end, "group", ""),
    )  # fmt: skip
