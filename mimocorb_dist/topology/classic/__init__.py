"""The dialect of mimoCoRB 1: `RingBuffer:` and `Functions:`, read to the same drafts as other setups.

    setup        the whole: top-level keys, `Fkt_main`, the rules of its runs
    items        the numbered lists: names of their items, and which keys they may have
    buffers      `RingBuffer:`
    functions    `Functions:` from `Fkt_1` on
    configs      which config a function gets
    copies       the files that a run directory gets copies of

Names of files are relative to the working directory of the command.
"""

from __future__ import annotations

from .setup import is_classic, read_classic

__all__ = ["is_classic", "read_classic"]
