"""Of the same name as a file in another folder."""

import time

from mimocorb2 import Filter


def work(io):
    """Choose sinks by numpy's truth values; one process is much slower than the others at the end."""

    def choose(data):
        number = data["n"][0]
        if number > 550 and io.number == 0:
            time.sleep(0.2)
        return [number % 2 == 0, number % 2 == 1, False]

    Filter(io)(choose)
