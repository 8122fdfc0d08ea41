"""Files that workers write into the run directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers.names import part_names

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mimocorb_dist.workers import BufferIO


def create_directory(io: BufferIO, name: str) -> Path:
    """Create a directory of this process in the run directory: ``<name>``, ``<name>.part2``, and so on.

    One that is there already stays as it is: this process made it before it was started anew, or one of the
    same worker on another node did.
    """
    for part in part_names(io, name):
        path = io.run_dir / part
        try:
            path.mkdir()
        except FileExistsError:
            io.logger.info("%s is there already, and stays as it is", path.name)
            continue
        return path
    raise AssertionError("unreachable: names do not run out")


def tell_what_is_gone(io: BufferIO, what: str) -> None:
    """Have the record of the run say what a process before this one had in memory, if there was one."""
    if io.again:
        io.tell(what)


def own_name(io: BufferIO, name: str) -> str:
    """Return the name that this process of the worker takes for one that all its processes have."""
    return next(part_names(io, name))


def replace_file(path: Path, content: bytes) -> None:
    """Give a file a new content, so that readers see the old one or the new one."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)


def single_values(io: BufferIO, function: str) -> NDArray[Any]:
    """Return the source's example, after a check that its events have data_length 1."""
    example: NDArray[Any] = io.data_in_examples[0]
    if example.size != 1:
        raise SetupError(
            f"worker {io.name}: {function} needs a source with data_length 1, but {io.buffer_names_in[0]} "
            f"has data_length {example.size}; exporters.parquet and data.export take any"
        )
    return example
