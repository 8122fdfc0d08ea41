"""Workers that fail, hang or dawdle if their configs say so."""

import time

import numpy as np
from mimocorb2 import Exporter, Filter, Importer


def count(io):
    def numbers():
        number = 0
        while number != io.get("events"):
            yield np.full(4, number)
            number += 1
            time.sleep(io.get("pause", 0))

    Importer(io)(numbers)


def pass_on(io):
    if io.get("fails_at_start"):
        raise ValueError("at the start")

    def choose(data):
        if data["n"][0] == io.get("fails_at"):
            raise ValueError("at this event")
        return True

    Filter(io)(choose)


def pass_on_by_hand(io):
    """Without a template: half of what was to be written is written when it fails."""
    reader, writer = io.read[0], io.write[0]
    while True:
        with reader as (metadata, data):
            if data is None:
                break
            with writer as (new_metadata, new_data):
                new_metadata[:] = metadata
                new_data["n"][:2] = data["n"][:2]
                if data["n"][0] == io.get("fails_at"):
                    raise ValueError("half written")
                new_data["n"][2:] = data["n"][2:]
    io.shutdown_sinks()


def save(io):
    with (io.run_dir / f"saved.{io.number}.txt").open("a", buffering=1) as file:
        for data, metadata in Exporter(io):
            time.sleep(io.get("pause", 0))
            print(metadata["counter"][0], *data["n"], file=file)
