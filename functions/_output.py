"""Files that workers write into the run directory."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from numpy.typing import NDArray

    from mimocorb_dist.workers import BufferIO


def create_file(io: BufferIO, name: str, suffix: str) -> BinaryIO:
    """Create a file of this process in the run directory.

    It is ``<name><suffix>`` for the first process of the worker, ``<name>.part2<suffix>`` for the second one,
    and so on. A file that is there already stays as it is: this process wrote it before it was started anew,
    or one of the same worker on another node did. Then the next name that no other process here takes is
    tried: of three processes the first one has ``<name>.part4<suffix>`` next.
    """
    for part in _parts(io, name):
        path = io.run_dir / f"{part}{suffix}"
        try:
            file = path.open("xb")
        except FileExistsError:
            io.logger.info("%s is there already, and stays as it is", path.name)
            continue
        return file
    raise AssertionError("unreachable: names do not run out")


def create_directory(io: BufferIO, name: str) -> Path:
    """Create a directory in the run directory; see `create_file`."""
    for part in _parts(io, name):
        path = io.run_dir / part
        try:
            path.mkdir()
        except FileExistsError:
            io.logger.info("%s is there already, and stays as it is", path.name)
            continue
        return path
    raise AssertionError("unreachable: names do not run out")


def unfinished(io: BufferIO, name: str, suffix: str, is_finished: Callable[[Path], bool]) -> list[str]:
    """Return the names of files that processes before this one left without what makes them whole."""
    if not io.again:
        return []
    earlier = itertools.takewhile(Path.exists, (io.run_dir / f"{part}{suffix}" for part in _parts(io, name)))
    return [path.name for path in earlier if not is_finished(path)]


def tell_what_is_gone(io: BufferIO, what: str) -> None:
    """Have the record of the run say what a process before this one had in memory, if there was one."""
    if io.again:
        io.tell(what)


def own_name(io: BufferIO, name: str) -> str:
    """Return the name that this process of the worker takes for one that all its processes have."""
    return next(_parts(io, name))


def _parts(io: BufferIO, name: str) -> Iterator[str]:
    """Yield the names that are this process's, one after the other."""
    for number in itertools.count(io.number + 1, io.processes):
        yield name if number == 1 else f"{name}.part{number}"


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
