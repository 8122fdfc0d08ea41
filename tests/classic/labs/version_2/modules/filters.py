"""Filters and a processor, written for mimoCoRB2."""

import time

import numpy as np
from mimocorb2 import Filter, Processor
from shapes import number_of


def choose(buffer_io):
    """All to one of two sinks; some to a third."""

    def ufunc(data):
        time.sleep(buffer_io.get("takes_s", 0))
        number = number_of(data)
        accepted = number % 5 != 0
        return [accepted, not accepted, number % 2 == 1]

    Filter(buffer_io)(ufunc)


def keep(buffer_io):
    Filter(buffer_io)(lambda data: np.bool_(number_of(data) % 5 != 4))


def analyse(buffer_io):
    processor = Processor(buffer_io)
    pulse = buffer_io.data_out_examples[0].copy()
    parameters = buffer_io.data_out_examples[1].copy()

    def ufunc(data):
        number = number_of(data)
        if number % 5 == 1:
            return None
        pulse["number"] = number
        pulse["place"] = data["ch1"].argmax()
        pulse["value"] = data["ch1"].max()
        parameters["number"] = number
        parameters["height"] = data["ch1"].max()
        parameters["width"] = (data["ch1"] > buffer_io["above"]).sum()
        parameters["flag"] = number * 37 % 256
        return [pulse, parameters if number % 5 == 3 else None]

    processor(ufunc)
