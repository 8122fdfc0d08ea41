"""Named like a module of prebuilt functions."""

import multiprocessing
import time

import numpy as np
from mimocorb2 import Exporter, Filter, Observer, Processor


def double(number):
    return 2 * number


def third(io):
    """Say a numpy.bool_ for each event; before that use a spawned process, and print more than pipes hold."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(double, [1, 2]) == [2, 4]
    print("x" * 200_000)
    Filter(io)(lambda data: np.any(data["n"] % 3 == 0))


def name(io):
    example = io.data_out_examples[0].copy()

    def named(data):
        example["n"] = data["n"][0]
        example["text"] = f'no. "{data["n"][0]}", ä'
        example["code"] = b"a,b"
        return [example]

    Processor(io)(named)


def drain(io):
    """Not the prebuilt function of this name."""
    with (io.run_dir / f"{io.name}.txt").open("w") as file:
        for data, metadata in Exporter(io):
            print(metadata["counter"][0], data["n"][0], metadata["timestamp"][0], file=file)


def watch(io):
    """Hold each event for long."""
    with (io.run_dir / f"{io.name}.txt").open("w") as file:
        for data, metadata in Observer(io)():
            if data is None:
                print("end", file=file)
                break
            time.sleep(0.02)
            print(metadata["counter"][0], data["n"][0], file=file)
