"""Of the same name as a file in another folder."""

import time

import numpy as np
from mimocorb2 import Importer


def work(io):
    def count():
        for number in range(io["events"]):
            time.sleep(0.001)
            yield np.full(4, number)
        yield None

    Importer(io)(count)
