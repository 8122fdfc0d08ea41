"""Filters of waveforms, written for mimoCoRB 1."""

import time

import numpy as np
from mimocorb.buffer_control import rbProcess, rbTransfer
from shapes import number_of


def parameters(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """Does something else for each of five kinds of events."""
    dtype = sink_list[1]["dtype"]

    def choose(data):
        time.sleep(config_dict.get("takes_s", 0))
        number = number_of(data)
        result = np.zeros(1, dtype=dtype)
        result["number"] = number
        result["height"] = data["ch1"].max()
        result["width"] = (data["ch1"] > config_dict["above"]).sum()
        result["flag"] = number * 37 % 256
        if number % 5 == 0:
            return None  # rejected
        if number % 5 == 1:
            return 1  # the raw data only
        if number % 5 == 2:
            return [result]  # the raw data, too
        if number % 5 == 3:
            changed = data.copy()
            changed["ch1"] *= 2
            return [changed, result]
        return [None, result]  # only the result

    rbTransfer(
        source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=choose, **rb_info
    )()


def pulses(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """Does something else for each of four kinds of events."""
    dtype = sink_list[1]["dtype"]

    def pulse(data, place):
        result = np.zeros((1,), dtype=dtype)
        result["1st_number"] = number_of(data)
        result["2nd_place"] = place
        result["3rd_value"] = data["ch1"][place]
        return result

    def find(data):
        kind = number_of(data) % 4
        if kind == 0:
            return None
        if kind == 1:
            return [True, None]
        if kind == 2:
            return [None, pulse(data, 5)]
        return [True, [pulse(data, place) for place in (3, 9, 27)]]

    rbProcess(source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=find, **rb_info)()
