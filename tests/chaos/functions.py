"""The user's functions of the lab: each event tells which one it is, and whether it is whole."""

import itertools
import os

import numpy as np

from mimocorb_dist.workers import (
    BatchExporter,
    BatchFilter,
    BatchImporter,
    BatchProcessor,
    Importer,
    Observer,
    Processor,
)

ARRAY = 256
KEPT = 8
RAMP = np.arange(17000) % 4096
WAVES = 4096


def check_of(number):
    """Return what the second field of an event must be."""
    return number * 2654435761 % (1 << 31)


def small(io):
    """Events of 24 bytes, as fast as the buffer takes them."""
    importer = BatchImporter(io)
    events = np.zeros((ARRAY, 1), importer.write[0].data_example.dtype)

    def source():
        for first in itertools.count(0, ARRAY):
            numbers = np.arange(first, first + ARRAY)[:, np.newaxis]
            events["number"] = numbers
            events["check"] = check_of(numbers)
            events["half"] = 0.5 * numbers
            yield events

    importer(source)


def waves(io):
    """Events of 68 kB, as fast as the buffer takes them."""
    importer = Importer(io)
    data = importer.data_example.copy()

    def source():
        for number in itertools.count():
            data["wave"] = RAMP + number % WAVES
            yield data

    importer(source)


def choose(io):
    """Every eighth event."""

    def chosen(data):
        number = data["number"][:, 0]
        _demand(io, data["check"][:, 0] == check_of(number), number)
        return number % KEPT == 0

    BatchFilter(io)(chosen)


def pass_on(io):
    """All events, one by one."""

    def passed(data):
        number = data["number"]
        _demand(io, data["check"] == check_of(number), number)
        return [data]

    Processor(io)(passed)


def digest(io):
    """The number of a wave, modulo WAVES, and a check of all its samples."""

    def digested(data):
        first = data["wave"][:, :1]
        whole = (data["wave"] - first == RAMP).all(axis=1)
        _demand(io, whole, first[:, 0])
        number = first.astype(np.int64)
        return [{"number": number, "check": check_of(number), "half": 0.5 * number}]

    BatchProcessor(io, limit=8)(digested)


def look(io):
    """See that each wave is whole."""
    for data, metadata in Observer(io)():
        if data is None:
            break
        number = int(metadata["counter"][0])
        _demand(io, data["wave"] - number % WAVES == RAMP, number)


def tail(io):
    """A reader that does nothing."""
    for _ in BatchExporter(io):
        pass


def _demand(io, whole, what):
    if not np.all(whole):
        with open(io.run_dir / f"torn.{io.name}.{os.getpid()}.txt", "a") as file:
            print(what, file=file)
