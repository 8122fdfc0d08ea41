"""What the dialects call the same things: messages speak as the setup does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Dialect


@dataclass(frozen=True)
class Terms:
    """Words and remedies of a dialect; in remedies ``{buffer}`` stands for a buffer's name.

    Parameters
    ----------
    worker
        A worker.
    slot_count, processes
        Keys: how many events a buffer holds, and how many processes a worker has.
    use, write, read
        How a buffer gets used at all, written, and read.
    free_workers
        Whether there may be workers without any buffer.
    free_buffers
        Whether a buffer that nobody uses, or nobody reads, is only odd.
    """

    worker: str
    slot_count: str
    processes: str
    use: str
    write: str
    read: str
    free_workers: bool = False
    free_buffers: bool = False


TERMS: dict[Dialect, Terms] = {
    "mimoCoRB 1": Terms(
        worker="function",
        slot_count="number_of_slots",
        processes="num_process",
        use="remove it, or name it in 'RB_assign:' of functions",
        write="name it in 'RB_assign:' of the function that writes it: '{buffer}: write'",
        read="name it in 'RB_assign:' of a function that reads it, if only one that calls rbDrain: "
        "'{buffer}: read'",
        free_workers=True,
        free_buffers=True,
    ),
    "mimoCoRB 2": Terms(
        worker="worker",
        slot_count="slot_count",
        processes="number_of_processes",
        use="remove it, or name it in sinks and sources of workers",
        write="add it to the sinks of a worker: 'sinks: [{buffer}]'",
        read="add a worker that does, if only 'drain_{buffer}: "
        "{{function: exporters.drain, sources: [{buffer}]}}'",
    ),
}
