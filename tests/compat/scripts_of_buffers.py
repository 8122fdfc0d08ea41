"""A script that uses buffers of mimoCoRB2 directly, with processes started in the way that it is told."""

import multiprocessing
import sys

import numpy as np

from mimocorb_dist.compat.buffer import mimoBuffer
from mimocorb_dist.compat.interfaces import BufferObserver, BufferReader, BufferWriter

EVENTS = 300


def write(writer, first):
    for number in range(first, first + EVENTS):
        with writer as (metadata, data):
            data["value"][:] = number
            metadata["counter"] = number


def read(buffer, found):
    reader = BufferReader(buffer)
    total = 0
    while True:
        with reader as (metadata, data):
            if metadata is None:
                break
            assert data["value"].tolist() == [metadata["counter"][0]] * 10
            total += int(metadata["counter"][0])
    found.put(total)


def watch(observer, found):
    seen = []
    while True:
        with observer as (metadata, data):
            if data is None:
                break
            seen.append(int(metadata["counter"][0]))
    found.put(len(seen) > 0)


def main(way):
    context = multiprocessing.get_context(way)
    setup = {"slot_count": 8, "data_length": 10, "data_dtype": {"value": "<f4"}}
    buffer = mimoBuffer.from_setup("numbers", setup)
    found = context.Queue()
    readers = [context.Process(target=read, args=(buffer, found)) for _ in range(2)]
    watcher = context.Process(target=watch, args=(BufferObserver(buffer), found))
    writers = [
        context.Process(target=write, args=(BufferWriter(buffer), first)) for first in (0, EVENTS, 2 * EVENTS)
    ]
    for process in (*readers, watcher, *writers):
        process.start()
    for process in writers:
        process.join()
    assert buffer.get_stats()["event_count"] == 3 * EVENTS
    buffer.send_flush_event()
    for process in (*readers, watcher):
        process.join()
    sums = [found.get() for _ in range(3)]
    assert True in sums
    sums.remove(True)
    print(sum(sums), [process.exitcode for process in (*readers, watcher, *writers)])
    with BufferReader(buffer) as (metadata, data):
        assert metadata is data is None
    # As in the examples of the manual: a new end for each event.
    second = mimoBuffer("second", 4, 2, np.dtype([("n", "i8")]))
    for number in range(600):
        with BufferWriter(second) as (metadata, data):
            data["n"] = number
        with BufferReader(second) as (metadata, data):
            assert data["n"].tolist() == [number] * 2


if __name__ == "__main__":
    main(sys.argv[1])
